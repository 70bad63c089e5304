import { SGD_FORMS, sgd as update } from '../../../native/index.ts'
import { optimizerOf } from './frame.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'
import type { SgdSpec } from './settings.ts'

/**
 * Stochastic gradient descent, in the forms of the kernel `sgd` ({@link SGD_FORMS}).
 *
 * @see Caffe, `src/caffe/solvers/sgd_solver.cpp` and `nesterov_solver.cpp`; Sutskever et al. 2013 for the PyTorch form
 */
export function sgd(spec: SgdSpec, layout: OptimizerLayout): Optimizer {
  const { momentum = 0, weightDecay = 0, l1 = 0 } = spec
  const form = sgdForm(spec)
  return optimizerOf({
    name: 'sgd',
    layout,
    parts: momentum === 0 ? [] : ['momentum'],
    update: ({ w, g, state: [v], segment: { decayMult }, rate, scale }) =>
      update(form, w, g, v, Float32Array.of(scale, weightDecay * decayMult, l1 * decayMult, rate, momentum, 1 + momentum))
  })
}

function sgdForm({ form = 'pytorch', momentum = 0, nesterov = false }: SgdSpec): number {
  return momentum === 0 ? 0 : SGD_FORMS.indexOf(`${form}${nesterov ? '-nesterov' : ''}`)
}

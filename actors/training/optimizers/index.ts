/**
 * @packageDocumentation
 *
 * Optimizers on flat arenas, and the schedules of their rate. Deterministic float32: the same bits everywhere.
 *
 * @example
 * import { createOptimizer, parseSchedule, rateAt } from './actors/training/optimizers/index.ts'
 * const layout = { total: 2, parameters: [{ offset: 0, size: 2, lrMult: 1, decayMult: 1 }] }
 * const optimizer = createOptimizer({ name: 'sgd', form: 'caffe', momentum: 0.9, clipNorm: 10 }, layout)
 * const parameters = Float32Array.of(1, 2)
 * const state = new Float32Array(optimizer.stateFloats)
 * const rate = rateAt(parseSchedule({ policy: 'step', gamma: 0.1, stepSize: 1000 }), 0.1, 0)
 * optimizer.apply({ parameters, gradients: Float32Array.of(4, 8), state, rate, scale: 1 / 4 })
 * console.log(parameters) // 0.9, 1.8
 */
import { adam } from './adam.ts'
import { adadelta, adagrad, rmsprop } from './adaptive.ts'
import { clipped } from './clipping.ts'
import { lamb, lars } from './layerwise.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'
import { type OptimizerSpec, parseOptimizer } from './settings.ts'
import { sgd } from './sgd.ts'

export * from './optimizer.ts'
export * from './schedules.ts'
export * from './settings.ts'

/**
 * The optimizer that `spec` describes, for parameters laid out as `layout`.
 *
 * @throws InvalidParametersError for an unknown name, a setting the optimizer does not have, or a value it cannot have
 */
export function createOptimizer(spec: OptimizerSpec, layout: OptimizerLayout): Optimizer {
  const { clipNorm } = parseOptimizer(spec)
  const optimizer = rule(spec, layout)
  return clipNorm === undefined ? optimizer : clipped(optimizer, layout, clipNorm)
}

function rule(spec: OptimizerSpec, layout: OptimizerLayout): Optimizer {
  switch (spec.name) {
    case 'sgd':
      return sgd(spec, layout)
    case 'adagrad':
      return adagrad(spec, layout)
    case 'adadelta':
      return adadelta(spec, layout)
    case 'rmsprop':
      return rmsprop(spec, layout)
    case 'adam':
    case 'adamw':
      return adam(spec, layout)
    case 'lars':
      return lars(spec, layout)
    case 'lamb':
      return lamb(spec, layout)
  }
}

import { adam as update } from '../../../native/index.ts'
import { optimizerOf, power } from './frame.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'
import type { AdamSpec } from './settings.ts'

/**
 * Adam: m ← β₁m + (1−β₁)g'; v ← β₂v + (1−β₂)g'²; at update t
 *
 *     pytorch:  w ← w − α/(1−β₁ᵗ) · m ÷ (√v/√(1−β₂ᵗ) + ε)
 *     caffe:    w ← w − α·√(1−β₂ᵗ)/(1−β₁ᵗ) · m ÷ (√v + ε)
 *
 * AdamW takes the decay d from the parameters and not by the gradient: w ← (1 − α·d)·w − ….
 *
 * @see Kingma & Ba 2014, 1412.6980; Loshchilov & Hutter 2017, 1711.05101; Caffe, `src/caffe/solvers/adam_solver.cpp`
 */
export function adam(spec: AdamSpec, layout: OptimizerLayout): Optimizer {
  const { name, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, form = 'pytorch', weightDecay = 0, l1 = 0 } = spec
  const decoupled = name === 'adamw'
  return optimizerOf({
    name,
    layout,
    parts: ['mean', 'square'],
    counts: true,
    update({ w, g, state: [m, v], segment: { decayMult }, rate, scale, step }) {
      const decay = weightDecay * decayMult
      const root = Math.sqrt(1 - power(beta2, step))
      const pace = rate / (1 - power(beta1, step))
      const scalars = Float32Array.of(
        ...[scale, decoupled ? 0 : decay, l1 * decayMult, form === 'caffe' ? pace * root : pace, epsilon],
        ...[beta1, 1 - beta1, beta2, 1 - beta2],
        ...[form === 'caffe' ? 1 : 1 / root, decoupled ? 1 - rate * decay : 1]
      )
      update(w, g, m!, v!, scalars)
    }
  })
}

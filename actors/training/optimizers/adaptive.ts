import { adadelta as adadeltaKernel, adagrad as adagradKernel, rmsprop as rmspropKernel } from '../../../native/index.ts'
import { optimizerOf } from './frame.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'
import type { AdadeltaSpec, AdagradSpec, RmspropSpec } from './settings.ts'

/**
 * AdaGrad: h ← h + g'²; w ← w − α·g' ÷ (√h + ε), ε outside the root as in Caffe and PyTorch.
 *
 * @see Duchi, Hazan & Singer 2011
 */
export function adagrad({ epsilon = 1e-10, weightDecay = 0, l1 = 0 }: AdagradSpec, layout: OptimizerLayout): Optimizer {
  return optimizerOf({
    name: 'adagrad',
    layout,
    parts: ['square'],
    update: ({ w, g, state: [h], segment: { decayMult }, rate, scale }) =>
      adagradKernel(w, g, h!, Float32Array.of(scale, weightDecay * decayMult, l1 * decayMult, rate, epsilon))
  })
}

/**
 * AdaDelta: h ← ρh + (1−ρ)g'²; s = √(u+ε) ÷ √(h+ε) · g'; u ← ρu + (1−ρ)s²; w ← w − α·s.
 *
 * @see Zeiler 2012, 1212.5701
 */
export function adadelta({ rho = 0.9, epsilon = 1e-6, weightDecay = 0, l1 = 0 }: AdadeltaSpec, layout: OptimizerLayout): Optimizer {
  return optimizerOf({
    name: 'adadelta',
    layout,
    parts: ['square', 'step-square'],
    update: ({ w, g, state: [h, u], segment: { decayMult }, rate, scale }) =>
      adadeltaKernel(w, g, h!, u!, Float32Array.of(scale, weightDecay * decayMult, l1 * decayMult, rate, epsilon, rho, 1 - rho))
  })
}

/**
 * RMSProp: h ← ρh + (1−ρ)g'²; w ← w − α·g' ÷ (√h + ε); with momentum the quotient goes through b ← m·b + g' ÷ (√h + ε) first.
 *
 * @see Tieleman & Hinton 2012, lecture 6.5; ε outside the root and momentum as in PyTorch
 */
export function rmsprop(spec: RmspropSpec, layout: OptimizerLayout): Optimizer {
  const { rho = 0.99, epsilon = 1e-8, momentum = 0, weightDecay = 0, l1 = 0 } = spec
  return optimizerOf({
    name: 'rmsprop',
    layout,
    parts: momentum === 0 ? ['square'] : ['square', 'momentum'],
    update: ({ w, g, state: [h, b], segment: { decayMult }, rate, scale }) =>
      rmspropKernel(w, g, h!, b, Float32Array.of(scale, weightDecay * decayMult, l1 * decayMult, rate, epsilon, rho, 1 - rho, momentum))
  })
}

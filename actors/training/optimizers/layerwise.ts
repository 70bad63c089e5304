import { lambApply, lambMoments, SGD_FORMS, sgd, sumSquares } from '../../../native/index.ts'
import { optimizerOf, power } from './frame.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'
import type { LambSpec, LarsSpec } from './settings.ts'

/**
 * LARS: every parameter p has a rate of its own, α·r with r = η·‖w‖ ÷ (‖g‖ + d·‖w‖ + ε), and the rate stands inside the momentum:
 * v ← m·v + α·r·g'; w ← w − v. r is 1 where a norm is 0, and for parameters without decay (decay_mult 0: biases, normalisations).
 *
 * @see You, Gitman & Ginsburg 2017, 1708.03888
 */
export function lars(spec: LarsSpec, layout: OptimizerLayout): Optimizer {
  const { trust = 0.001, momentum = 0.9, nesterov = false, epsilon = 0, weightDecay = 0, l1 = 0 } = spec
  const form = momentum === 0 ? 0 : SGD_FORMS.indexOf(nesterov ? 'caffe-nesterov' : 'caffe')
  return optimizerOf({
    name: 'lars',
    layout,
    parts: momentum === 0 ? [] : ['momentum'],
    layerwise: true,
    update({ w, g, state: [v], segment: { decayMult }, rate, scale }) {
      const decay = weightDecay * decayMult
      const weights = Math.sqrt(sumSquares(w))
      const gradients = Math.sqrt(sumSquares(g)) * scale
      const adapts = decayMult !== 0 && weights > 0 && gradients > 0
      const ratio = adapts ? (trust * weights) / (gradients + decay * weights + epsilon) : 1
      sgd(form, w, g, v, Float32Array.of(scale, decay, l1 * decayMult, rate * ratio, momentum, 1 + momentum))
    }
  })
}

/**
 * LAMB: Adam's direction with decoupled decay, u = m̂ ÷ (√v̂ + ε) + d·w, and for every parameter p a rate of its own: w ← w − α·(‖w‖/‖u‖)·u.
 * The quotient is 1 where a norm is 0, and for parameters without decay.
 *
 * @see You et al. 2019, 1904.00962
 */
export function lamb(spec: LambSpec, layout: OptimizerLayout): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6, weightDecay = 0, l1 = 0 } = spec
  return optimizerOf({
    name: 'lamb',
    layout,
    parts: ['mean', 'square'],
    counts: true,
    layerwise: true,
    update({ w, g, state: [m, v], segment: { decayMult }, rate, scale, step }) {
      const scalars = Float32Array.of(
        ...[scale, 0, l1 * decayMult, rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2],
        ...[1 / Math.sqrt(1 - power(beta2, step)), 1 / (1 - power(beta1, step)), weightDecay * decayMult]
      )
      const [weights, directions] = lambMoments(w, g, m!, v!, scalars)
      if (decayMult !== 0 && weights > 0 && directions > 0) scalars[3] = rate * Math.sqrt(weights / directions)
      lambApply(w, m!, v!, scalars)
    }
  })
}

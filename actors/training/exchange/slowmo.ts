import { numberOption } from './options.ts'
import { rounds } from './rounds.ts'

/**
 * SlowMo: a slow momentum on top of local SGD. With x̄ the mean after `h` local steps from x₀, γ the learning rate:
 *
 *     u ← βu + (x₀ − x̄)/γ;  x ← x₀ − aγu
 *
 * With β = 0 and a = 1 it is local SGD.
 *
 * Options: `h`; `beta` β; `alpha` a; `algorithm`.
 *
 * @see Wang et al. 2019, arXiv 1910.00643
 */
export const slowmo = rounds<{ beta: number; alpha: number }>({
  name: 'slowmo',
  h: 12,
  known: ['beta', 'alpha'],
  options: options => ({
    beta: numberOption('slowmo', options, 'beta', 0.7, { from: 0, below: 1 }),
    alpha: numberOption('slowmo', options, 'alpha', 1, { above: 0, to: 10 })
  }),
  momentum: true,
  update({ beta, alpha }, { anchor, mean, momentum: u, parameters, rate }) {
    // a schedule that ended at 0 moved nobody: there is nothing to divide
    const scale = rate > 0 ? -1 / rate : 0
    return [
      { type: 'combine', into: u, from: mean, alpha: beta, beta: scale },
      { type: 'copy', into: parameters, from: anchor },
      { type: 'combine', into: parameters, from: u, alpha: 1, beta: -alpha * rate }
    ]
  }
})

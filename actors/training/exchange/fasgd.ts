import { numberOption } from './options.ts'
import { shards } from './shards.ts'

/**
 * FASGD: the owner keeps moving moments of what comes, and divides by its standard deviation and by the staleness:
 *
 *     n ← γn + (1−γ)g²;  b ← γb + (1−γ)g;  v ← βv + (1−β)·√(n − b² + ε);  θ ← θ − α/(v·max(1, τ))·g
 *
 * The paper prints the mean of 1/std and then divides by it; its prose and code divide by the std, as here. v begins as the first std.
 *
 * Options: `gamma` γ; `beta` β; `epsilon` ε; `shards`; `slots`.
 *
 * @see Odena 2016, arXiv 1601.04033
 */
export const fasgd = shards<{ gamma: number; beta: number; epsilon: number }>({
  name: 'fasgd',
  known: ['gamma', 'beta', 'epsilon'],
  options: options => ({
    gamma: numberOption('fasgd', options, 'gamma', 0.9, { from: 0, below: 1 }),
    beta: numberOption('fasgd', options, 'beta', 0.9, { from: 0, below: 1 }),
    epsilon: numberOption('fasgd', options, 'epsilon', 1e-4, { above: 0, to: 1 })
  }),
  aux: 3,
  every: () => ({ push: 1, fetch: 1 }),
  arrived({ gamma, beta, epsilon }, { master, aux, pieces, scratch, staleness, rate, updates }) {
    const [n, b, v, g] = [aux[0]!, aux[1]!, aux[2]!, pieces[0]!]
    // moments that begin at 0 would make the first steps too long
    const keep = updates === 0 ? 0 : beta
    return {
      effects: [
        { type: 'multiply', into: scratch, from: g, by: g },
        { type: 'combine', into: n, from: scratch, alpha: gamma, beta: 1 - gamma },
        { type: 'combine', into: b, from: g, alpha: gamma, beta: 1 - gamma },
        { type: 'multiply', into: scratch, from: b, by: b },
        { type: 'combine', into: scratch, from: n, alpha: -1, beta: 1 },
        { type: 'root', into: scratch, from: scratch, epsilon },
        { type: 'combine', into: v, from: scratch, alpha: keep, beta: 1 - keep },
        { type: 'divide', into: g, from: g, by: v },
        { type: 'combine', into: master, from: g, alpha: 1, beta: -rate / Math.max(1, staleness) }
      ],
      updated: true
    }
  }
})

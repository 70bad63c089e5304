import { integerOption, numberOption } from './options.ts'
import { shards } from './shards.ts'
import type { StrategyEffect } from './strategy.ts'

/**
 * Downpour SGD: a trainer takes plain steps on its own copy and sums its gradients; it pushes the sum every `n-push` steps and fetches
 * every `n-fetch`. The owner applies what comes with AdaGrad:
 *
 *     h ← h + g²;  θ ← θ − α·g / (√h + δ)
 *
 * Options: `n-push`; `n-fetch`; `delta` δ; `shards`; `slots`.
 *
 * @see Dean et al. 2012, Large scale distributed deep networks
 */
export const downpour = shards<{ push: number; fetch: number; delta: number }>({
  name: 'downpour',
  known: ['n-push', 'n-fetch', 'delta'],
  options: options => ({
    push: integerOption('downpour', options, 'n-push', 1, 1, 1_000_000),
    fetch: integerOption('downpour', options, 'n-fetch', 1, 1, 1_000_000),
    delta: numberOption('downpour', options, 'delta', 1e-7, { above: 0, to: 1 })
  }),
  aux: 1,
  local: 1,
  every: ({ push, fetch }) => ({ push, fetch }),
  payload(_, { gradients, denominator, outgoing, local, first }) {
    const [sum, mean] = [outgoing[0]!, local[0]!]
    const effects: StrategyEffect[] = [{ type: 'divide', into: mean, from: gradients, by: denominator }]
    effects.push({ type: first ? 'copy' : 'reduce', into: sum, from: mean })
    return effects
  },
  localStep: (_, { parameters, local, rate }) => ({
    effects: [{ type: 'combine', into: parameters, from: local[0]!, alpha: 1, beta: -rate }],
    scale: 0
  }),
  arrived({ delta }, { master, aux, pieces, scratch, rate }) {
    const [h, g] = [aux[0]!, pieces[0]!]
    return {
      effects: [
        { type: 'multiply', into: scratch, from: g, by: g },
        { type: 'reduce', into: h, from: scratch },
        // δ beside the root: scratch ← √h + δ
        { type: 'root', into: scratch, from: h, epsilon: 0 },
        { type: 'offset', into: scratch, value: delta },
        { type: 'divide', into: g, from: g, by: scratch },
        { type: 'combine', into: master, from: g, alpha: 1, beta: -rate }
      ],
      updated: true
    }
  }
})

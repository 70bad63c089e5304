import { numberOption } from './options.ts'
import { shards } from './shards.ts'

/**
 * DC-ASGD: asynchronous SGD whose owner corrects a gradient for how far the shard has moved since it was taken:
 *
 *     w ← w − α(g + λ·g⊙g⊙(w − w_backup))
 *
 * w_backup is the copy that the gradient was computed on. It travels with the gradient, so that an owner keeps nothing for each trainer:
 * a push holds 2n floats. λ = 0 is plain asynchronous SGD, bit for bit, and then only n travel.
 *
 * Options: `lambda` λ; `shards`; `slots`.
 *
 * @see Zheng et al. 2017, arXiv 1609.08326
 */
export const dcAsgd = shards<{ lambda: number }>({
  name: 'dc-asgd',
  known: ['lambda'],
  options: options => ({ lambda: numberOption('dc-asgd', options, 'lambda', 0.04, { from: 0, to: 1000 }) }),
  aux: 0,
  pieces: 2,
  every: () => ({ push: 1, fetch: 1 }),
  payload: (_, { gradients, denominator, parameters, outgoing }) => [
    { type: 'divide', into: outgoing[0]!, from: gradients, by: denominator },
    { type: 'copy', into: outgoing[1]!, from: parameters }
  ],
  arrived({ lambda }, { master, pieces, scratch, rate }) {
    const [g, moved] = [pieces[0]!, pieces[1]!]
    const step = { type: 'combine', into: master, from: g, alpha: 1, beta: -rate } as const
    if (lambda === 0) return { effects: [step], updated: true }
    return {
      effects: [
        { type: 'combine', into: moved, from: master, alpha: -1, beta: 1 },
        { type: 'multiply', into: scratch, from: g, by: g },
        { type: 'multiply', into: scratch, from: scratch, by: moved },
        { type: 'combine', into: g, from: scratch, alpha: 1, beta: lambda },
        step
      ],
      updated: true
    }
  }
})

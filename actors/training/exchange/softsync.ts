import { choiceOption, integerOption, numberOption } from './options.ts'
import { shards } from './shards.ts'

/**
 * n-softsync: the owner of a shard updates it after every c = ⌊λ/n⌋ gradients, with λ the trainers that take part:
 *
 *     v ← m·v + (1/c) Σ α(τ)/α · g;  θ ← θ − α·v,  α(τ) = α/τ for τ > 0, α at τ = 0 (`rule` stale), or α (fixed)
 *
 * τ is the shard's clock less that of the copy that the gradient was computed on; push and fetch are one exchange, answered after the update
 * that the push may bring, so that the mean of τ is (λ − 1)/c whatever the delays. With n = λ and fixed rates it is asynchronous SGD.
 *
 * Options: `n`, 0 for λ; `rule`; `momentum` m; `shards`; `slots`.
 *
 * @see Zhang et al. 2015, arXiv 1511.05950; Gupta et al. 2015 (Rudra), arXiv 1509.04210
 */
export const softsync = shards<{ n: number; stale: boolean; momentum: number }>({
  name: 'softsync',
  known: ['n', 'rule', 'momentum'],
  options: options => ({
    n: integerOption('softsync', options, 'n', 1, 0, 4096),
    stale: choiceOption('softsync', options, 'rule', ['stale', 'fixed']) === 'stale',
    momentum: numberOption('softsync', options, 'momentum', 0.9, { from: 0, below: 1 })
  }),
  aux: 2,
  every: () => ({ push: 1, fetch: 1 }),
  arrived({ n, stale, momentum }, { master, aux, pieces, staleness, rate, trainers, count }) {
    const [sum, velocity] = [aux[0]!, aux[1]!]
    const scale = stale && staleness > 0 ? 1 / staleness : 1
    const due = Math.max(1, Math.floor(trainers / (n === 0 ? trainers : n)))
    const add = { type: 'combine', into: sum, from: pieces[0]!, alpha: 1, beta: scale } as const
    if (count < due) return { effects: [add], updated: false }
    return {
      effects: [
        add,
        { type: 'combine', into: velocity, from: sum, alpha: momentum, beta: 1 / count },
        { type: 'combine', into: master, from: velocity, alpha: 1, beta: -rate },
        { type: 'fill', into: sum, value: 0 }
      ],
      updated: true
    }
  }
})

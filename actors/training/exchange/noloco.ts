import { meetings } from './meetings.ts'
import { integerOption, numberOption } from './options.ts'
import type { Range } from './strategy.ts'
import { partnerOf } from './topology.ts'

/**
 * NoLoCo: `h` inner steps from the slow parameters φ to θ, then an outer step with one random partner, and no allreduce:
 *
 *     m ← a·m + b·mean(θ − φ) + b·(mean φ − φ_i);  φ ← φ + m
 *
 * with means over the two. The two terms are b·(mean θ − φ_i): only θ travels. The pairs of a round are a matching drawn from its number,
 * which everybody knows; who is left over steps alone.
 *
 * Options: `h`; `outer-momentum` a; `outer-lr` b; `patience`, ms; `slots`.
 *
 * @see Kolehmainen et al. 2025, arXiv 2506.10911
 */
export const noloco = meetings<{ h: number; momentum: number; lr: number }>({
  name: 'noloco',
  known: ['h', 'outer-momentum', 'outer-lr'],
  options: options => ({
    h: integerOption('noloco', options, 'h', 50, 1, 1_000_000),
    momentum: numberOption('noloco', options, 'outer-momentum', 0.5, { from: 0, below: 1 }),
    lr: numberOption('noloco', options, 'outer-lr', 0.7, { above: 0, to: 10 })
  }),
  overlap: false,
  h: ({ h }) => h,
  // a fast pair may be several rounds ahead of a slow one before they are matched
  lead: 8,
  kept: 2,
  weights(_, names, self, round, key) {
    const partner = partnerOf(names, self, `${key}/${round}`)
    return new Map(partner === undefined ? [] : [[partner, 0.5]])
  },
  begin: size => [{ type: 'copy', into: slow(size), from: { arena: 'parameters', offset: 0, length: size } }],
  update({ momentum, lr }, mean, size) {
    const m: Range = { arena: 'state', offset: size, length: size }
    return [
      { type: 'combine', into: m, from: mean, alpha: momentum, beta: lr },
      { type: 'combine', into: m, from: slow(size), alpha: 1, beta: -lr },
      { type: 'reduce', into: slow(size), from: m },
      { type: 'copy', into: { arena: 'parameters', offset: 0, length: size }, from: slow(size) }
    ]
  }
})

const slow = (size: number): Range => ({ arena: 'state', offset: 0, length: size })

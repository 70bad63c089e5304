import { shares } from './gossip-frame.ts'
import { choiceOption } from './options.ts'
import { graphNames } from './topology.ts'

/**
 * Staleness-aware gossip. A trainer holds (x, w, a): parameters, weight, Lamport clock; a is +1 a local step, the maximum on a merge.
 * After each local step it keeps w/2 and sends (x, w/2, a) to one random live neighbour, unless its last share is still on its way. The
 * receiver, with n live trainers and τ = max(0, a_r − a_s):
 *
 *     x_r ← x_r + (1 + τ/n)⁻¹ · w_s/(w_r + w_s) · (x_s − x_r);  w_r ← w_r + w_s
 *
 * Options: `slots`, shares that may land at once; `topology`, among whom the neighbour is drawn.
 *
 * @see Blot et al. 2016 (GoSGD, arXiv 1611.09726) for the weights
 */
export const gossip = shares({
  name: 'gossip',
  known: ['topology'],
  rule: options => ({
    discount: true,
    probability: 1,
    graph: choiceOption('gossip', options, 'topology', [...graphNames, 'bandwidth'])
  })
})

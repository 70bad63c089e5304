import { shares } from './gossip-frame.ts'
import { choiceOption, numberOption } from './options.ts'
import { graphNames } from './topology.ts'

/**
 * GoSGD: after a local step, with probability p, half the weight goes with a copy of the parameters to a random live neighbour:
 *
 *     w_s ← w_s/2;  x_r ← (w_r x_r + w_s x_s)/(w_r + w_s);  w_r ← w_r + w_s
 *
 * `gossip` without its discount; Σw·x is conserved by every exchange.
 *
 * Options: `probability` p; `slots`; `topology`.
 *
 * @see Blot et al. 2016, arXiv 1611.09726
 */
export const gosgd = shares({
  name: 'gosgd',
  known: ['probability', 'topology'],
  rule: options => ({
    discount: false,
    probability: numberOption('gosgd', options, 'probability', 1, { above: 0, to: 1 }),
    graph: choiceOption('gosgd', options, 'topology', [...graphNames, 'bandwidth'])
  })
})

import { meetings } from './meetings.ts'
import { choiceOption } from './options.ts'
import { type GraphName, graphNames, neighboursOf } from './topology.ts'

/**
 * D-PSGD: X ← XW − αG. While a trainer computes its gradient at x_i, it exchanges x_i with all its neighbours in a fixed graph; then it
 * takes the mean with weights 1/(1 + the larger degree of the two), and applies the gradient. On a ring every weight is 1/3.
 *
 * Options: `topology`; `patience`, ms; `slots`, copies that may land at once.
 *
 * @see Lian et al. 2017, arXiv 1705.09056; the weights are Metropolis'
 */
export const dPsgd = meetings<{ graph: GraphName }>({
  name: 'd-psgd',
  known: ['topology'],
  options: options => ({
    graph: choiceOption('d-psgd', options, 'topology', ['ring', ...graphNames.filter(name => name !== 'ring')])
  }),
  overlap: true,
  h: () => 1,
  // neighbours are in step: two rounds apart they can only be after a join or a loss
  lead: 2,
  kept: 0,
  weights({ graph }, names, self, _round, key) {
    const near = neighboursOf(graph, names, self, key)
    const degree = (name: string) => neighboursOf(graph, names, name, key).length
    return new Map(near.map(name => [name, 1 / (1 + Math.max(near.length, degree(name)))]))
  }
})

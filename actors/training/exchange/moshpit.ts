import { meetings } from './meetings.ts'
import { integerOption } from './options.ts'
import { gridGroup } from './topology.ts'

/**
 * Moshpit averaging: trainers stand on a grid of `dimensions` dimensions; in round r those that share all indices but that of dimension
 * r mod d take the mean of their parameters, and their places in that group are their indices in it. After d rounds on a full grid without
 * faults everybody has everybody's mean. Places follow from the sorted names of those that live, so that nobody has to be asked.
 *
 * Options: `dimensions`; `h`, local steps between two rounds; `patience`, ms; `slots`, copies that may land at once.
 *
 * @see Ryabinin et al. 2021, arXiv 2103.03239
 */
export const moshpit = meetings<{ dimensions: number; h: number }>({
  name: 'moshpit',
  known: ['dimensions', 'h'],
  options: options => ({
    dimensions: integerOption('moshpit', options, 'dimensions', 2, 1, 8),
    h: integerOption('moshpit', options, 'h', 1, 1, 1_000_000)
  }),
  overlap: false,
  h: ({ h }) => h,
  lead: 9,
  kept: 0,
  weights({ dimensions }, names, self, round) {
    const group = gridGroup(names, self, dimensions, round)
    return new Map(group.map(name => [name, 1 / (group.length + 1)]))
  }
})

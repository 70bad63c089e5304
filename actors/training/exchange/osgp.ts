import { shares } from './gossip-frame.ts'
import { choiceOption, integerOption } from './options.ts'
import { scheduleNames } from './topology.ts'

/**
 * Overlap stochastic gradient push: `sgp` whose shares are on their way while up to `tau` further steps are computed. A share goes out
 * every `tau` steps, and only when the one before and that round's share from the other side are there.
 *
 * Options: `tau`; `topology`; `patience`, ms; `slots`.
 *
 * @see Assran et al. 2018, arXiv 1811.10792, algorithm 2
 */
export const osgp = shares({
  name: 'osgp',
  known: ['tau', 'topology', 'patience'],
  rule: options => ({
    discount: false,
    probability: 1,
    graph: 'complete',
    push: {
      schedule: choiceOption('osgp', options, 'topology', scheduleNames),
      every: integerOption('osgp', options, 'tau', 1, 1, 1000),
      overlap: true,
      patience: integerOption('osgp', options, 'patience', 2000, 1, 3_600_000)
    }
  })
})

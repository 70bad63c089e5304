import { shares } from './gossip-frame.ts'
import { choiceOption, integerOption } from './options.ts'
import { scheduleNames } from './topology.ts'

/**
 * Stochastic gradient push: x ← P(x − αg(z)); w ← Pw; z = x/w, with P column-stochastic: in each round a trainer keeps half of (x, w)
 * and sends half to one trainer, another each round. Arena `parameters` holds z, so that the step is z ← z − α/w·g with w = 1 on average
 * (taken up to 8 times the rate), and adding (x, w) is the weighted mean of z.
 *
 * A trainer waits for its round's share before its next step. It never waits for a trainer that it has not heard of, and for `patience`
 * at most: views of who lives may differ. One that has nothing to train keeps up its rounds.
 *
 * Options: `topology`, the schedule of rounds; `patience`, ms; `slots`.
 *
 * @see Assran et al. 2018, arXiv 1811.10792
 */
export const sgp = shares({
  name: 'sgp',
  known: ['topology', 'patience'],
  rule: options => ({
    discount: false,
    probability: 1,
    graph: 'complete',
    push: {
      schedule: choiceOption('sgp', options, 'topology', scheduleNames),
      every: 1,
      overlap: false,
      patience: integerOption('sgp', options, 'patience', 2000, 1, 3_600_000)
    }
  })
})

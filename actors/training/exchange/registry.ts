import { InvalidParametersError } from '../../../common/index.ts'
import { adPsgd } from './ad-psgd.ts'
import { allreduce } from './allreduce.ts'
import { bmuf } from './bmuf.ts'
import { dPsgd } from './d-psgd.ts'
import { dcAsgd } from './dc-asgd.ts'
import { diloco } from './diloco.ts'
import { downpour } from './downpour.ts'
import { eamsgd, easgd } from './easgd.ts'
import { fasgd } from './fasgd.ts'
import { gosgd } from './gosgd.ts'
import { gossip } from './gossip.ts'
import { localSgd } from './local-sgd.ts'
import { moshpit } from './moshpit.ts'
import { noloco } from './noloco.ts'
import { osgp } from './osgp.ts'
import { sgp } from './sgp.ts'
import { slowmo } from './slowmo.ts'
import { softsync } from './softsync.ts'
import { ssp } from './ssp.ts'
import type { ExchangeStrategy } from './strategy.ts'

/** Every strategy by name. A new one is one file and one line here. */
export const strategies: ReadonlyMap<string, ExchangeStrategy<any>> = new Map<string, ExchangeStrategy<any>>(
  [
    allreduce,
    localSgd,
    bmuf,
    slowmo,
    diloco,
    gossip,
    gosgd,
    sgp,
    osgp,
    adPsgd,
    dPsgd,
    moshpit,
    noloco,
    softsync,
    downpour,
    fasgd,
    dcAsgd,
    ssp,
    easgd,
    eamsgd
  ].map(s => [s.name, s])
)

/**
 * The strategy called `name`.
 *
 * @throws InvalidParametersError that lists the known names
 */
export function strategyNamed(name: string): ExchangeStrategy<any> {
  const strategy = strategies.get(name)
  if (strategy === undefined) {
    throw new InvalidParametersError(
      `no exchange strategy is called '${name.slice(0, 100)}'; choose one of ${[...strategies.keys()].join(', ')}`
    )
  }
  return strategy
}

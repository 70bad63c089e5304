import type { Clock, Logger, Rng } from '../common/index.ts'
import type { Authority } from './admission/index.ts'
import type { Control } from './control/index.ts'
import type { Host } from './host.ts'

const RENEW_PROTOCOL = '/gradmesh/renew/1.0.0'
const CHECK_INTERVAL = 3_600_000
const NOTHING = new Uint8Array(0)

/**
 * Keeps our certificate from expiring while we run: past half of its life, members are asked for a new one. (A connection that is
 * made then brings one along by itself.)
 *
 * @returns stops
 */
export function startRenewal(init: {
  authority: Authority
  control: Control
  host: Host
  clock: Clock
  random: Rng
  wallClock: () => number
  logger: Logger
}): () => void {
  const { authority, control, host, clock, random, wallClock, logger } = init
  let cancel = () => {}

  const unhandle = control.handle(RENEW_PROTOCOL, (_, { from }) => {
    const chain = host.certificate(from)
    return (chain === undefined ? undefined : authority.renew(chain)) ?? NOTHING
  })

  const check = async () => {
    const leaf = authority.chain()?.leaf
    const peers = host.peers()
    if (leaf === undefined || peers.length === 0 || wallClock() < (leaf.issued + leaf.expiry) / 2) return
    const chain = await control.request(peers[random.int(peers.length)]!, RENEW_PROTOCOL, NOTHING)
    if (chain.byteLength > 0) authority.adopt(chain)
  }

  const schedule = () => {
    cancel = clock.setTimer(CHECK_INTERVAL * (0.75 + 0.5 * random.float()), () => {
      check().catch(error => logger.debug(`the certificate was not renewed: ${(error as Error).message}`))
      schedule()
    })
  }
  schedule()
  return () => {
    cancel()
    unhandle()
  }
}

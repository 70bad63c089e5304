import { decode, encode } from '@ipld/dag-cbor'
import { AdmissionError, type Clock } from '../common/index.ts'
import type { Authority } from './admission/index.ts'
import type { Host } from './host.ts'
import type { MeshRecord, Records } from './records/index.ts'

/** Kind of the records that say who was revoked; the key is the peer id. */
const REVOCATION = 'revocation'
const TTL = 10 * 365 * 86_400_000
/** So long what is told to a revoked peer still reaches it, ms. */
const GRACE = 1000

/** Who counts as no member any more, on every node and over restarts. */
export interface Revocations {
  revoke(peer: string): void
  /** Resolves when we ourselves were revoked, with the reason. */
  removed: Promise<Error>
  stop(): void
}

export function createRevocations(init: {
  records: Records
  authority: Authority
  host: Host
  clock: Clock
  wallClock: () => number
}): Revocations {
  const { records, authority, host, clock, wallClock } = init
  const removed = Promise.withResolvers<Error>()
  const cancels = new Set<() => void>()
  records.define(REVOCATION, { owner: 'any', kept: true })

  const learn = ({ key, payload, author }: MeshRecord) => {
    const at = timeOf(payload)
    if (at === undefined || authority.revoked(key) !== undefined) return
    authority.revoke(key, at)
    if (key === host.peer) {
      removed.resolve(new AdmissionError(`this node was removed from the mesh by ${author}`))
      return
    }
    records.forgetAuthor(key)
    // Not at once: the same news is on its way to the peer itself, on the connection that ends.
    cancels.add(clock.setTimer(GRACE, () => void host.disconnect(key)))
  }

  for (const record of records.list(REVOCATION)) learn(record)
  const unsubscribe = records.on(REVOCATION, learn)
  return {
    revoke(peer) {
      records.put(REVOCATION, peer, encode({ at: wallClock() }), { ttl: TTL })
    },
    removed: removed.promise,
    stop() {
      unsubscribe()
      for (const cancel of cancels) cancel()
    }
  }
}

function timeOf(payload: Uint8Array): number | undefined {
  try {
    const { at } = decode(payload) as { at: unknown }
    return typeof at === 'number' ? at : undefined
  } catch {
    return undefined
  }
}

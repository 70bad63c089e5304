import type { Clock, Logger } from '../../common/index.ts'
import type { Records } from '../records/index.ts'
import { decodeCapabilities, encodeCapabilities } from './codec.ts'
import type { Capabilities } from './types.ts'

/** Kind of the records that hold capabilities; the key is the node's peer id. */
export const CAPABILITIES = 'capabilities'

/** Life of a record, ms: what a node said is forgotten so long after it stopped saying it. */
const TTL = 120_000
const REFRESH = 40_000

/** The capabilities of all members, our own among them. */
export interface CapabilityBoard {
  get(peer: string): Capabilities | undefined
  all(): Capabilities[]
  /** Changes what this node says of itself. */
  publish(update: Partial<Omit<Capabilities, 'peer'>>): void
  /** @returns unsubscribes */
  on(callback: (capabilities: Capabilities) => void): () => void
  stop(): void
}

/** Publishes `own` and keeps it published; reads what the others publish. */
export function createCapabilityBoard(init: { records: Records; own: Capabilities; clock: Clock; logger: Logger }): CapabilityBoard {
  const { records, clock, logger } = init
  const decoded = new Map<string, { sequence: number; value: Capabilities }>()
  let own = init.own
  let cancel = () => {}
  records.define(CAPABILITIES, { owner: 'self' })

  const publish = () => {
    cancel()
    records.put(CAPABILITIES, own.peer, encodeCapabilities(own), { ttl: TTL })
    cancel = clock.setTimer(REFRESH, publish)
  }

  const read = (record: { key: string; sequence: number; payload: Uint8Array }): Capabilities | undefined => {
    const known = decoded.get(record.key)
    if (known?.sequence === record.sequence) return known.value
    try {
      const value = decodeCapabilities(record.key, record.payload)
      if (decoded.size >= 10_000) decoded.clear()
      decoded.set(record.key, { sequence: record.sequence, value })
      return value
    } catch (error) {
      logger.warn((error as Error).message)
      return undefined
    }
  }

  publish()
  return {
    get(peer) {
      if (peer === own.peer) return own
      const record = records.get(CAPABILITIES, peer)
      return record === undefined ? undefined : read(record)
    },
    all: () => records.list(CAPABILITIES).flatMap(record => read(record) ?? []),
    publish(update) {
      own = { ...own, ...update, peer: own.peer }
      publish()
    },
    on: callback =>
      records.on(CAPABILITIES, record => {
        const value = read(record)
        if (value !== undefined) callback(value)
      }),
    stop: () => cancel()
  }
}

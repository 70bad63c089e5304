import { decode, encode } from '@ipld/dag-cbor'
import { AbortedError, AdmissionError, type Clock, type Logger, type Rng } from '../common/index.ts'
import type { Host } from './host.ts'
import type { KeyValue } from './state/index.ts'

/** Up to this many members everybody keeps a connection to everybody; in a larger mesh they are made when something is to be said. */
export const FULL_MESH = 32
const CHECK_INTERVAL = 500
/** Waits between dials of one peer, ms: doubled from the first to the last. */
const FIRST_BACKOFF = 250
const LAST_BACKOFF = 4000
/** Refused once, a peer is not asked again for so long, ms. */
const REFUSED_BACKOFF = 60_000
/** Of two that miss each other the one with the greater id waits so long, so that they do not both dial, ms. */
const YIELD = 750
/** Messages that wait for a connection, for each peer. */
const MAX_WAITING = 16
const MAX_TARGETS = 10_000

/** Settings of {@link Connections}. */
export interface ConnectionsInit {
  host: Host
  clock: Clock
  random: Rng
  logger: Logger
  /** Addresses of members, kept over restarts. */
  remembered: KeyValue
  /** Multiaddrs that the user gave. */
  peers: string[]
  /** Members that should be connected, with their addresses; without ourselves. */
  wanted(): { peer: string; addresses: string[] }[]
}

interface Attempt {
  failures: number
  next: number
  dialing: boolean
}

/** Keeps a mesh connected: to every member in a small one, to those that the user named, and after a restart to whom it remembers. */
export class Connections {
  readonly #init: ConnectionsInit
  readonly #attempts = new Map<string, Attempt>()
  readonly #waiting = new Map<string, (() => void)[]>()
  readonly #aborting = new AbortController()
  #cancelTimer = () => {}

  constructor(init: ConnectionsInit) {
    this.#init = init
  }

  start(): void {
    this.#check()
  }

  stop(): void {
    this.#aborting.abort()
    this.#cancelTimer()
    this.#waiting.clear()
  }

  /** Runs `send` when there is a connection to `peer`: at once, or after dialing it. Drops it when that fails. @returns false when it is dropped at once */
  whenConnected(peer: string, addresses: string[], send: () => void): boolean {
    const { host } = this.#init
    if (host.connection(peer) !== undefined) {
      send()
      return true
    }
    const waiting = this.#waiting.get(peer)
    if (waiting !== undefined) {
      // The newest is worth the most to all who speak here.
      if (waiting.push(send) > MAX_WAITING) waiting.shift()
      return true
    }
    if (addresses.length === 0 || this.#aborting.signal.aborted || this.#backingOff(peer)) return false
    this.#waiting.set(peer, [send])
    void this.#dial(peer, addresses).then(connected => {
      const sends = this.#waiting.get(peer) ?? []
      this.#waiting.delete(peer)
      if (connected) for (const run of sends) run()
    })
    return true
  }

  /** Dials a peer unless that failed a moment ago. */
  offer(peer: string, addresses: string[]): void {
    if (addresses.length > 0 && this.#init.host.connection(peer) === undefined && !this.#backingOff(peer)) void this.#dial(peer, addresses)
  }

  /** Dials once. @returns whether there is a connection now */
  async #dial(peer: string | undefined, addresses: string[]): Promise<boolean> {
    const { host, clock, random, logger } = this.#init
    const key = peer ?? addresses.join()
    const attempt = this.#attempts.get(key) ?? { failures: 0, next: 0, dialing: false }
    if (attempt.dialing) return false
    if (!this.#attempts.has(key) && this.#attempts.size >= MAX_TARGETS) this.#attempts.clear()
    this.#attempts.set(key, attempt)
    attempt.dialing = true
    try {
      await host.connect(peer, addresses, { signal: this.#aborting.signal })
      attempt.failures = 0
      attempt.next = 0
      return true
    } catch (error) {
      attempt.failures++
      const backoff =
        error instanceof AdmissionError ? REFUSED_BACKOFF : Math.min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** (attempt.failures - 1))
      attempt.next = clock.now() + backoff * (0.75 + 0.5 * random.float())
      if (!(error instanceof AbortedError)) logger.debug(`dial failed: ${(error as Error).message}`)
      return false
    } finally {
      attempt.dialing = false
    }
  }

  /** Something changed: look at once instead of at the next check. */
  check(): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#init.clock.setTimer(0, () => this.#check())
  }

  remember(peer: string, addresses: string[]): void {
    const { remembered } = this.#init
    const bytes = encode(addresses)
    const known = remembered.get(peer)
    if (addresses.length > 0 && (known === undefined || Buffer.compare(known, bytes) !== 0)) remembered.put(peer, bytes)
  }

  forget(peer: string): void {
    if (this.#init.remembered.get(peer) !== undefined) this.#init.remembered.delete(peer)
  }

  /** Members of earlier runs. */
  remembered(): { peer: string; addresses: string[] }[] {
    return this.#init.remembered.entries().map(([peer, bytes]) => ({ peer, addresses: decode(bytes) as string[] }))
  }

  #backingOff(key: string): boolean {
    const attempt = this.#attempts.get(key)
    return attempt !== undefined && (attempt.dialing || attempt.next > this.#init.clock.now())
  }

  #check(): void {
    if (this.#aborting.signal.aborted) return
    const { host, clock, peers } = this.#init
    for (const address of peers) {
      const named = peerOf(address)
      if (named === host.peer || (named !== undefined && host.connection(named) !== undefined)) continue
      // Without an id in it an address cannot be told from those that are connected: it is dialed until it was once.
      if (named === undefined && this.#attempts.get(address)?.failures === 0) continue
      if (!this.#backingOff(named ?? address)) void this.#dial(named, [address])
    }
    const wanted = this.#init.wanted()
    if (wanted.length < FULL_MESH) for (const { peer, addresses } of wanted) this.#keep(peer, addresses)
    // Alone: a survivor of the last time may be anywhere among those we knew.
    if (host.peers().length === 0) {
      for (const { peer, addresses } of this.remembered().slice(0, 64))
        if (peer !== host.peer && !this.#backingOff(peer)) void this.#dial(peer, addresses)
    }
    this.#cancelTimer = clock.setTimer(CHECK_INTERVAL, () => this.#check())
  }

  #keep(peer: string, addresses: string[]): void {
    const { host, clock } = this.#init
    if (addresses.length === 0 || host.connection(peer) !== undefined || this.#backingOff(peer)) return
    if (host.peer > peer && !this.#attempts.has(peer)) {
      this.#attempts.set(peer, { failures: 0, next: clock.now() + YIELD, dialing: false })
      return
    }
    void this.#dial(peer, addresses)
  }
}

/** The peer id at the end of a multiaddr. */
export function peerOf(address: string): string | undefined {
  return /\/p2p\/(\w+)$/.exec(address)?.[1]
}

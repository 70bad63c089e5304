/** What a link tells of its other side. */
export interface RingEvents {
  /** The other side published, or consumed while this one starves. May be called for nothing. */
  moved(): void
  /** Nothing comes or goes any more. Called once. */
  failed(error: Error): void
}

/**
 * Two rings of bytes between two processes, one for each direction: what this side writes to `out` and publishes appears at the same
 * offset of the other's `in`. Positions count bytes modulo 2³². How the bytes get there is the link's affair: the same memory mapped
 * twice (`shm`), or one-sided writes over a fabric (`rdma`).
 */
export interface RingLink {
  /** A power of two bytes long, as `in`. */
  readonly out: Uint8Array
  /** Only ever read; the other side may change it at any time, so that nothing in it is looked at twice. */
  readonly in: Uint8Array
  start(events: RingEvents): void
  /** Everything before `head` is written. */
  publish(head: number): void
  /** Everything before `position` of `in` was taken. */
  consume(position: number): void
  /** How far the other side published, as it says. */
  peerHead(): number
  /** How much of `out` the other side took, as it says. */
  peerConsumed(): number
  /** Whether `moved` shall tell of what the other side consumes. */
  starve(yes: boolean): void
  /** Let go of everything; no event follows. */
  close(): void
}

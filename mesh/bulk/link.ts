import { AbortedError, AdmissionError, FencedError, type GradmeshError, OverloadedError, UnreachableError } from '../../common/index.ts'
import type { BulkChannel } from './channel.ts'
import { encodeFrame, FrameType, RefuseReason } from './frames.ts'
import type { Wire } from './wire.ts'
import { WireChannel } from './wire-channel.ts'

/** What a link needs of its endpoint. */
export interface LinkContext {
  /** This trainer's peer id. */
  readonly self: string
  /** Time a dial may take until the peer has accepted, ms. */
  readonly connectTimeout: number
  /** Whether `peer` may have a channel now. */
  allowed(peer: string): boolean
  /** A number above all that this endpoint gave before. */
  nextAttempt(): number
  /** Open a stream of its own to `peer` and greet; the events come through `dialer`. */
  dial(peer: string, candidates: string[], attempt: number, signal: AbortSignal, dialer: Dialer): Promise<void>
  opened(channel: BulkChannel): void
  /** `wire` became the channel to `peer`. */
  decided(peer: string, wire: Wire): void
  /** The link holds nothing any more. */
  empty(link: Link): void
}

/** Told how a dial went. */
export interface Dialer {
  accepted(wire: Wire, voids: number): void
  refused(reason: number): void
}

interface Dial {
  readonly attempt: number
  readonly controller: AbortController
  readonly waiters: Set<{ resolve(channel: BulkChannel): void; reject(error: Error): void }>
  /** The peer said that its own dial is the one; we wait for it. */
  yielded: boolean
}

interface Parked {
  readonly wire: Wire
  readonly attempt: number
}

/**
 * The one channel to one peer.
 *
 * Both sides may dial at once. The dial of the side with the lower peer id wins: that side leaves the other's stream undecided while
 * its own dial runs and takes it only if that fails; the other side takes the first stream that comes and gives its own dial up.
 * An acceptance carries the acceptor's latest attempt, which voids its earlier ones: a stream from before, met later, is told from
 * one that the peer opened because it lost the channel. The latter replaces the channel.
 */
export class Link {
  readonly peer: string
  readonly #context: LinkContext
  #channel: WireChannel | undefined
  /** Attempts of the peer up to this one are void while the channel lives. */
  #voids = 0
  #latestAttempt = 0
  #dial: Dial | undefined
  #parked: Parked | undefined

  constructor(peer: string, context: LinkContext) {
    this.peer = peer
    this.#context = context
  }

  get channel(): WireChannel | undefined {
    return this.#channel && !this.#channel.ended ? this.#channel : undefined
  }

  connect(candidates: string[], signal?: AbortSignal): Promise<BulkChannel> {
    if (this.channel) return Promise.resolve(this.channel)
    const dial = this.#dial ?? this.#startDial(candidates)
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        dial.waiters.delete(waiter)
        reject(new AbortedError(`bulk: connecting to ${this.peer} was aborted by the caller`, { cause: signal?.reason }))
        if (dial.waiters.size === 0) this.#dialFailed(dial, new AbortedError(`bulk: nobody waits for ${this.peer} any more`))
      }
      const waiter = {
        resolve: (channel: BulkChannel) => {
          signal?.removeEventListener('abort', onAbort)
          resolve(channel)
        },
        reject: (error: Error) => {
          signal?.removeEventListener('abort', onAbort)
          reject(error)
        }
      }
      dial.waiters.add(waiter)
      if (signal?.aborted) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** A stream of the peer said hello. */
  hello(wire: Wire, attempt: number): void {
    const stale = this.channel !== undefined && attempt <= this.#voids
    if (stale || (this.#parked && this.#parked.attempt >= attempt)) {
      refuse(wire, RefuseReason.duplicate)
      return
    }
    if (this.#parked) refuse(this.#parked.wire, RefuseReason.duplicate)
    this.#parked = { wire, attempt }
    this.decide()
  }

  /** Whether `wire` greeted and is undecided. */
  holds(wire: Wire): boolean {
    return this.#parked?.wire === wire
  }

  /** An undecided stream of the peer has waited long enough. */
  expire(wire: Wire): void {
    if (this.#parked?.wire !== wire) return
    this.#parked = undefined
    refuse(wire, this.#context.allowed(this.peer) ? RefuseReason.duplicate : RefuseReason.notAllowed)
    this.#tidy()
  }

  /** An undecided stream of the peer ended. */
  gone(wire: Wire): void {
    if (this.#parked?.wire === wire) this.#parked = undefined
    this.#tidy()
  }

  /** Look again at what is undecided: something it depends on has changed. */
  decide(): void {
    const allowed = this.#context.allowed(this.peer)
    if (!allowed) {
      this.#channel?.abort(new FencedError(`bulk: ${this.peer} is no longer allowed a channel here`))
      if (this.#dial) this.#dialFailed(this.#dial, new FencedError(`bulk: ${this.peer} is no longer allowed a channel here`))
      return
    }
    const parked = this.#parked
    if (!parked) return
    if (this.#dial && !this.#dial.yielded && this.#context.self < this.peer) return
    this.#parked = undefined
    const { wire } = parked
    wire.control(encodeFrame(FrameType.accept, 0, this.#latestAttempt))
    this.#adopt(wire, parked.attempt)
  }

  async close(): Promise<void> {
    if (this.#parked) refuse(this.#parked.wire, RefuseReason.closed)
    this.#parked = undefined
    if (this.#dial) this.#dialFailed(this.#dial, new UnreachableError('bulk: this endpoint was closed', { retryable: false }))
    await this.#channel?.close()
  }

  #startDial(candidates: string[]): Dial {
    const attempt = this.#context.nextAttempt()
    this.#latestAttempt = attempt
    const dial: Dial = { attempt, controller: new AbortController(), waiters: new Set(), yielded: false }
    this.#dial = dial
    const limit = this.#context.connectTimeout
    const timer = setTimeout(() => {
      this.#dialFailed(dial, new UnreachableError(`bulk: ${this.peer} did not accept a channel within ${limit / 1000} s`))
    }, limit)
    const { signal } = dial.controller
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    this.#context
      .dial(this.peer, candidates, attempt, signal, {
        accepted: (wire, voids) => {
          if (this.#dial !== dial) wire.fail(new AbortedError(`bulk: the dial to ${this.peer} was given up`))
          else this.#adopt(wire, voids)
        },
        refused: reason => this.#onRefused(dial, reason)
      })
      .catch(error => this.#dialFailed(dial, error))
    return dial
  }

  #onRefused(dial: Dial, reason: number): void {
    if (this.#dial !== dial) return
    if (reason === RefuseReason.duplicate) {
      dial.yielded = true
      this.decide()
      return
    }
    this.#dialFailed(dial, refusal(this.peer, reason))
  }

  #dialFailed(dial: Dial, error: Error): void {
    if (this.#dial !== dial) return
    const aborted = error instanceof AbortedError || error instanceof FencedError
    // an undecided stream of the peer serves those who wait as well as our own would have
    if (this.#parked && !aborted && this.#context.allowed(this.peer)) {
      dial.yielded = true
      this.decide()
      return
    }
    this.#dial = undefined
    dial.controller.abort(error)
    for (const waiter of dial.waiters) waiter.reject(error)
    if (this.#parked) this.decide()
    this.#tidy()
  }

  /** `wire` is the channel now. */
  #adopt(wire: Wire, voids: number): void {
    const dial = this.#dial
    const old = this.#channel
    this.#dial = undefined
    const channel = new WireChannel(this.peer, wire)
    this.#channel = channel
    this.#voids = voids
    this.#context.decided(this.peer, wire)
    channel.onClose(() => {
      if (this.#channel === channel) this.#channel = undefined
      this.#tidy()
    })
    old?.abort(new UnreachableError(`bulk: ${this.peer} opened a new channel in place of this one`))
    if (this.#parked) {
      const parked = this.#parked
      this.#parked = undefined
      refuse(parked.wire, RefuseReason.duplicate)
    }
    this.#context.opened(channel)
    dial?.controller.abort(new AbortedError('bulk: the dial is over'))
    for (const waiter of dial?.waiters ?? []) waiter.resolve(channel)
  }

  #tidy(): void {
    if (!this.#channel && !this.#dial && !this.#parked) this.#context.empty(this)
  }
}

const deaf = { frame() {}, chunkStart() {}, chunkBytes() {}, chunkEnd() {}, end() {} }

/** Tell the dialer why its stream is not taken, hear nothing more from it, and close it. */
export function refuse(wire: Wire, reason: number): void {
  wire.sink = deaf
  wire.control(encodeFrame(FrameType.refuse, reason))
  void wire.close()
}

function refusal(peer: string, reason: number): GradmeshError {
  if (reason === RefuseReason.notAllowed) {
    return new AdmissionError(`bulk: ${peer} does not allow this trainer a channel; it may not have heard of this generation`)
  }
  if (reason === RefuseReason.overloaded) return new OverloadedError(`bulk: ${peer} holds too many undecided streams; try again`)
  return new UnreachableError(`bulk: ${peer} refused a channel (reason ${reason}); its endpoint is closing`)
}

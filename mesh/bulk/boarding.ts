import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { GradmeshError, MalformedError, UnreachableError } from '../../common/index.ts'
import { Carrier } from './carrier.ts'
import { encodeFrame, FrameType } from './frames.ts'
import { FIT_TIMEOUT, MAX_FIT_BYTES } from './limits.ts'
import type { RingLink } from './ring-link.ts'
import type { Wire } from './wire.ts'

/** One try to make a link to one peer. */
export interface LinkAttempt {
  /** What the other side must know to make its end; at most 4 KiB. */
  readonly details: Uint8Array
  /**
   * Make this end, from the other's details, and see that it works in both directions. Whatever it throws ends the attempt.
   *
   * @param signal - aborted when the attempt is over
   */
  complete(theirs: Uint8Array, signal: AbortSignal): Promise<RingLink>
  /** Nothing came of it. Not called for a completed one. */
  abandon(): void
}

/** A faster way than a stream, as far as this machine has it. */
export interface FastWay {
  readonly kind: 'rdma' | 'shm'
  /** Time in which a link must stand, ms. @default FIT_TIMEOUT */
  readonly limit?: number
  /** What this side says of it, at most 256 characters. */
  readonly proposal: string
  /** Whether a peer that proposes `theirs` can be reached by it. */
  suits(theirs: string): boolean
  /** @param first - true on one of the two sides */
  begin(peer: string, first: boolean): Promise<LinkAttempt>
}

/** Told how a channel's bytes travel from now on. @param reason - why not by a faster way that was tried */
export type Travels = (kind: 'rdma' | 'shm' | 'stream', reason?: Error) => void

const proposals = z.record(z.string().max(16), z.string().max(256))

interface Attempt {
  readonly number: number
  readonly way: FastWay
  readonly details: PromiseWithResolvers<Uint8Array>
  readonly over: AbortController
  carrier: Carrier | undefined
  readySent: boolean
  peerReady: boolean
  boarded: boolean
  left: boolean
  timer: NodeJS.Timeout
}

/**
 * Finds the fastest way between two trainers and has the wire use it. Each side proposes once what it has; both then try the ways that
 * they share in the same order, one at a time, and leave one that fails for the next, the stream being last. Everything said here goes
 * over the stream, encrypted; so do tokens, by which the other side is known when it comes by the faster way.
 */
export class Boarding {
  readonly #wire: Wire
  readonly #peer: string
  readonly #first: boolean
  readonly #ways: readonly FastWay[]
  readonly #travels: Travels
  #shared: FastWay[] | undefined
  #attempt: Attempt | undefined
  #ended = false

  /** @param ways - what this side has, the fastest first; the order must be the same on every machine */
  constructor(init: { wire: Wire; peer: string; first: boolean; ways: readonly FastWay[]; travels: Travels }) {
    this.#wire = init.wire
    this.#peer = init.peer
    this.#first = init.first
    this.#ways = init.ways
    this.#travels = init.travels
    this.#wire.onFit = (type, handle, value, body) => this.#frame(type, handle, value, body)
    // behind what waits already: the acceptance itself may
    this.#wire.control(encodeFrame(FrameType.proposal, 0, 0, encode(Object.fromEntries(this.#ways.map(w => [w.kind, w.proposal])))))
  }

  /** The wire ended. */
  end(): void {
    this.#ended = true
    const attempt = this.#attempt
    this.#attempt = undefined
    if (!attempt) return
    clearTimeout(attempt.timer)
    attempt.over.abort()
    attempt.carrier?.close()
  }

  #frame(type: number, handle: number, value: number, body: Uint8Array): void {
    if (type === FrameType.proposal) {
      if (this.#shared) throw new MalformedError(`bulk: ${this.#peer} proposed twice`)
      const theirs = parse(this.#peer, body)
      this.#shared = this.#ways.filter(way => theirs[way.kind] !== undefined && way.suits(theirs[way.kind]))
      this.#next(1)
      return
    }
    const attempt = this.#attempt
    if (attempt?.number !== handle) throw new MalformedError(`bulk: ${this.#peer} spoke of attempt ${handle}, which is not made`)
    switch (type) {
      case FrameType.fit:
        attempt.details.resolve(body)
        break
      case FrameType.ready:
        attempt.peerReady = true
        this.#board(attempt)
        break
      case FrameType.boarded:
        // what this side has given up is not read any more; the peer will hear of it
        if (attempt.left) break
        if (!attempt.readySent) throw new MalformedError(`bulk: ${this.#peer} sends by a way that this side did not call ready`)
        attempt.carrier!.read()
        break
      default:
        this.#onLeft(attempt, value)
    }
  }

  #next(number: number): void {
    const way = this.#shared?.[number - 1]
    if (!way || this.#ended) return
    const limit = way.limit ?? FIT_TIMEOUT
    const attempt: Attempt = {
      number,
      way,
      details: Promise.withResolvers(),
      over: new AbortController(),
      carrier: undefined,
      readySent: false,
      peerReady: false,
      boarded: false,
      left: false,
      timer: setTimeout(() => this.#leave(attempt, new UnreachableError(`bulk: no answer by ${way.kind} within ${limit / 1000} s`)), limit)
    }
    attempt.timer.unref()
    this.#attempt = attempt
    this.#make(attempt).catch(error => this.#leave(attempt, error))
  }

  async #make(attempt: Attempt): Promise<void> {
    const { way, number } = attempt
    const { signal } = attempt.over
    const made = await way.begin(this.#peer, this.#first)
    let link: RingLink | undefined
    try {
      signal.throwIfAborted()
      if (made.details.length > MAX_FIT_BYTES) throw new MalformedError(`bulk: the details of ${way.kind} are too long`)
      this.#wire.aside(encodeFrame(FrameType.fit, number, 0, made.details))
      const theirs = await Promise.race([attempt.details.promise, aborted(signal)])
      link = await made.complete(theirs, signal)
      signal.throwIfAborted()
    } catch (error) {
      if (link) link.close()
      else made.abandon()
      throw error
    }
    const carrier = new Carrier(way.kind, this.#peer, link, {
      frame: frame => this.#wire.carried(frame),
      writable: () => this.#wire.wake(),
      failed: error => this.#leave(attempt, error),
      hostile: error => this.#wire.fail(error)
    })
    attempt.carrier = carrier
    attempt.readySent = true
    this.#wire.carry(carrier)
    this.#wire.aside(encodeFrame(FrameType.ready, number))
    this.#board(attempt)
  }

  #board(attempt: Attempt): void {
    if (attempt.boarded || attempt.left || !attempt.readySent || !attempt.peerReady) return
    attempt.boarded = true
    clearTimeout(attempt.timer)
    this.#wire.aside(encodeFrame(FrameType.boarded, attempt.number))
    this.#wire.board()
    this.#travels(attempt.way.kind)
  }

  /** Give an attempt up, whatever came of it; the peer is told, and how many frames were taken. */
  #leave(attempt: Attempt, reason: Error): void {
    if (attempt.left || this.#ended || this.#attempt !== attempt) return
    attempt.left = true
    clearTimeout(attempt.timer)
    attempt.over.abort(reason)
    attempt.carrier?.stop()
    if (attempt.boarded) this.#wire.hold()
    this.#wire.aside(encodeFrame(FrameType.left, attempt.number, attempt.carrier?.received ?? 0))
    this.#travels('stream', reason)
  }

  #onLeft(attempt: Attempt, received: number): void {
    this.#leave(attempt, new UnreachableError(`bulk: ${this.#peer} gave ${attempt.way.kind} up`))
    const { carrier } = attempt
    if (attempt.boarded) this.#wire.unboard(carrier!.lost(received))
    this.#wire.carry(undefined)
    carrier?.close()
    this.#attempt = undefined
    this.#next(attempt.number + 1)
  }
}

function parse(peer: string, body: Uint8Array): Record<string, string> {
  try {
    return proposals.parse(decode(body))
  } catch (error) {
    throw error instanceof GradmeshError ? error : new MalformedError(`bulk: ${peer} proposed something unreadable`, { cause: error })
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

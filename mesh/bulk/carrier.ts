import { MalformedError } from '../../common/index.ts'
import type { Chunk } from './departures.ts'
import { HEADER_BYTES, MAX_CHUNK_BYTES, TURN_BYTES } from './limits.ts'
import type { RingLink } from './ring-link.ts'

/** Says that what follows is at the start of the ring. */
const WRAP = 0xffffffff
/** Before each frame, its length. */
const PREFIX = 4
const LARGEST = HEADER_BYTES + MAX_CHUNK_BYTES

export interface CarrierEvents {
  /** A whole frame; only valid during the call. */
  frame(bytes: Uint8Array): void
  /** There may be room again. */
  writable(): void
  /** The carrier is of no use any more, for a reason that is nobody's bad will. Called once. */
  failed(error: Error): void
  /** The other side broke the rules. */
  hostile(error: Error): void
}

/** A frame that the other side may not have taken: its bytes, or of a chunk only what it was. */
export interface Sent {
  frame?: Uint8Array
  handle: number
  offset: number
}

/** Writes one chunk's frame to memory that `place` gives. @returns what it wrote; undefined when there was nothing, or no room */
export type WriteChunk = (place: (bytes: number) => Uint8Array | undefined) => Chunk | undefined

/**
 * Frames over a {@link RingLink}: whole, in order, each once, or not at all. What was sent stays known until the other side has taken
 * it, so that all that was lost can be sent another way when the link fails: frames by their bytes, chunks by where they came from.
 */
export class Carrier {
  readonly kind: 'rdma' | 'shm'
  /** Frames taken in so far. */
  received = 0
  bytesSent = 0
  bytesReceived = 0
  readonly #peer: string
  readonly #link: RingLink
  readonly #events: CarrierEvents
  readonly #view: DataView
  readonly #outView: DataView
  readonly #log: (Sent & { end: number })[] = []
  /** Frames that left the log: the other side has them. */
  #taken = 0
  #head = 0
  #published = 0
  #tail = 0
  #position = 0
  #consumed = 0
  #starving = false
  #reading = false
  #paused = false
  #stopped = false
  #turnPending = false

  constructor(kind: 'rdma' | 'shm', peer: string, link: RingLink, events: CarrierEvents) {
    this.kind = kind
    this.#peer = peer
    this.#link = link
    this.#events = events
    this.#view = new DataView(link.in.buffer, link.in.byteOffset, link.in.byteLength)
    this.#outView = new DataView(link.out.buffer, link.out.byteOffset, link.out.byteLength)
    link.start({ moved: () => this.#moved(), failed: error => this.#fail(error) })
  }

  /** Frames sent that the other side has not taken yet, as it says. */
  get underway(): number {
    return this.#log.length
  }

  /** Begin to take frames. */
  read(): void {
    this.#reading = true
    this.#moved()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    if (this.#reading) this.#soon()
  }

  /** Write a frame. @returns false when there is no room; `writable` is called when there is */
  write(frame: Uint8Array): boolean {
    const place = this.#reserve(frame.length)
    if (!place) return false
    place.set(frame)
    this.#commit(frame.length, { frame, handle: 0, offset: 0 })
    return true
  }

  /** Have one chunk written. @returns false when there was none or no room */
  writeChunk(write: WriteChunk): boolean {
    const chunk = write(this.#place)
    if (!chunk) return false
    this.#commit(chunk.frame.length, { handle: chunk.handle, offset: chunk.offset })
    return true
  }

  /** Let the other side see what was written. */
  flush(): void {
    if (this.#published === this.#head || this.#stopped) return
    this.#published = this.#head
    this.#guard(() => this.#link.publish(this.#head))
  }

  /** Hear of it when the other side has taken what was sent. */
  watch(): void {
    if (!this.#starving) this.#guard(() => this.#link.starve(true))
    this.#starving = true
    this.#trim()
  }

  /** No event follows and nothing is taken any more. */
  stop(): void {
    this.#stopped = true
    this.#reading = false
  }

  /** Let go of the link. */
  close(): void {
    this.stop()
    this.#link.close()
    this.#log.length = 0
  }

  /**
   * What the other side did not take, in the order in which it was sent.
   *
   * @param received - how many frames it says it took
   */
  lost(received: number): Sent[] {
    if (received < this.#taken || received > this.#taken + this.#log.length) {
      const sent = this.#taken + this.#log.length
      throw new MalformedError(`bulk: ${this.#peer} says that it took ${received} frames, of ${sent} sent and ${this.#taken} taken`)
    }
    return this.#log.slice(received - this.#taken)
  }

  readonly #place = (bytes: number) => this.#reserve(bytes)

  /** Memory for a frame in the ring itself. */
  #reserve(bytes: number): Uint8Array | undefined {
    if (this.#stopped) return undefined
    const { out } = this.#link
    const need = sizeOf(bytes)
    const at = this.#head & (out.length - 1)
    const toEnd = out.length - at
    const total = need <= toEnd ? need : toEnd + need
    if (distance(this.#tail, this.#head) + total > out.length) {
      this.#trim()
      if (distance(this.#tail, this.#head) + total > out.length) {
        // looked at once more after saying so: it may have been consumed meanwhile
        this.watch()
        if (distance(this.#tail, this.#head) + total > out.length) return undefined
      }
    }
    let start = at
    if (need > toEnd) {
      this.#outView.setUint32(at, WRAP, true)
      this.#head = (this.#head + toEnd) >>> 0
      start = 0
    }
    this.#outView.setUint32(start, bytes, true)
    return out.subarray(start + PREFIX, start + PREFIX + bytes)
  }

  #commit(bytes: number, sent: Sent): void {
    this.#head = (this.#head + sizeOf(bytes)) >>> 0
    this.bytesSent += bytes
    this.#log.push({ ...sent, end: this.#head })
  }

  /** Forget what the other side has taken. */
  #trim(): void {
    if (this.#stopped) return
    this.#guard(() => {
      const consumed = this.#link.peerConsumed()
      if (distance(this.#tail, consumed) > distance(this.#tail, this.#published)) {
        throw new MalformedError(`bulk: ${this.#peer} says that it took more than was sent`)
      }
      let count = 0
      while (count < this.#log.length && distance(this.#tail, this.#log[count].end) <= distance(this.#tail, consumed)) count++
      this.#log.splice(0, count)
      this.#taken += count
      this.#tail = consumed
    })
  }

  #moved(): void {
    if (this.#stopped) return
    if (this.#starving) {
      this.#starving = false
      this.#guard(() => this.#link.starve(false))
      this.#trim()
      this.#events.writable()
    }
    this.#take()
  }

  /** Take frames, for one turn of the event loop. */
  #take(): void {
    if (!this.#reading || this.#paused || this.#turnPending) return
    this.#guard(() => {
      const ring = this.#link.in
      const head = this.#link.peerHead()
      if (distance(this.#position, head) > ring.length) throw this.#lie()
      let budget = TURN_BYTES
      while (this.#position !== head && this.#reading && !this.#paused && budget > 0) {
        const at = this.#position & (ring.length - 1)
        const left = distance(this.#position, head)
        const length = left < 8 || (at & 7) !== 0 ? LARGEST + 1 : this.#view.getUint32(at, true)
        const need = length === WRAP ? ring.length - at : sizeOf(length)
        if (need > left || need > ring.length - at) throw this.#lie()
        if (length !== WRAP) {
          if (length < HEADER_BYTES || length > LARGEST) throw this.#lie()
          if (!this.#pass(ring.subarray(at + PREFIX, at + PREFIX + length))) return
          this.received++
          this.bytesReceived += length
          budget -= length
        }
        this.#position = (this.#position + need) >>> 0
        if (distance(this.#consumed, this.#position) >= ring.length / 4) this.#consume()
      }
      this.#consume()
      // a head that moved meanwhile is told of by an event of its own
      if (this.#position !== head) this.#soon()
    })
  }

  /** @returns whether the frame was taken */
  #pass(frame: Uint8Array): boolean {
    try {
      this.#events.frame(frame)
      return true
    } catch (error) {
      this.stop()
      this.#events.hostile(error as Error)
      return false
    }
  }

  #consume(): void {
    if (this.#stopped || this.#consumed === this.#position) return
    this.#consumed = this.#position
    this.#link.consume(this.#position)
  }

  #soon(): void {
    if (this.#turnPending) return
    this.#turnPending = true
    setImmediate(() => {
      this.#turnPending = false
      this.#take()
    })
  }

  #lie(): MalformedError {
    return new MalformedError(`bulk: ${this.#peer} published something that is no frame`)
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      if (error instanceof MalformedError) {
        this.stop()
        this.#events.hostile(error)
      } else this.#fail(error as Error)
    }
  }

  #fail(error: Error): void {
    if (this.#stopped) return
    this.stop()
    this.#events.failed(error)
  }
}

/** Bytes in the ring of a frame of `bytes`, its prefix included. */
function sizeOf(bytes: number): number {
  return (bytes + PREFIX + 7) & ~7
}

/** Bytes from `from` to `to`, positions modulo 2³². */
function distance(from: number, to: number): number {
  return (to - from) >>> 0
}

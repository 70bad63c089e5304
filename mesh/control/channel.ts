import type { Stream } from '@libp2p/interface'
import { encodeFrame, FrameReader } from './frames.ts'

/** A larger piece would hold up the other streams of its connection. */
const SLICE = 64 * 1024

/** Settings of a {@link Channel}. */
export interface ChannelInit {
  /** Largest frame accepted, bytes. */
  maxFrame: number
  /** Bytes that may wait to be written. */
  maxQueue: number
  onFrame: (frame: Uint8Array) => void
  /** Called once, with the reason unless both ends closed in good order. */
  onClose: (error?: Error) => void
}

/** Tells what became of a frame: `handed` turns true once its first byte has left the queue. */
export interface Ticket {
  handed: boolean
}

interface Queued {
  slices: Uint8Array[]
  ticket: Ticket
}

/**
 * A libp2p stream cut into frames, with a bounded queue in front of it. Frames go out in order, in slices between which other
 * streams of the connection have their turn. A frame that breaks the rules ends the stream.
 */
export class Channel {
  readonly stream: Stream
  readonly #reader: FrameReader
  readonly #init: ChannelInit
  readonly #queue: Queued[] = []
  readonly #waiters = new Set<() => void>()
  #queued = 0
  #closed = false
  #closing = false
  #full = false

  constructor(stream: Stream, init: ChannelInit) {
    this.stream = stream
    this.#init = init
    this.#reader = new FrameReader(init.maxFrame)
    stream.addEventListener('close', event => this.#ended(event.error))
    stream.addEventListener('remoteCloseWrite', () => this.#remoteClosed())
    stream.addEventListener('drain', () => {
      this.#full = false
      this.#pump()
    })
    stream.addEventListener('message', event => this.#receive(event.data))
    if (stream.status !== 'open') queueMicrotask(() => this.#ended())
  }

  get open(): boolean {
    return !this.#closed && !this.#closing && this.stream.writeStatus === 'writable'
  }

  /** Bytes that wait to be written. */
  get queued(): number {
    return this.#queued
  }

  /** Queues a message. @returns undefined when the queue is full or the stream is gone */
  send(message: Uint8Array): Ticket | undefined {
    if (!this.open || (this.#queued > 0 && this.#queued + message.byteLength > this.#init.maxQueue)) return undefined
    const frame = encodeFrame(message)
    const ticket = { handed: false }
    const slices: Uint8Array[] = []
    for (let at = 0; at < frame.byteLength; at += SLICE) slices.push(frame.subarray(at, at + SLICE))
    this.#queue.push({ slices, ticket })
    this.#queued += frame.byteLength
    this.#pump()
    return ticket
  }

  /** Resolves when at most `bytes` wait, when the stream is gone, or when `signal` is aborted. */
  async drained(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.#queued > bytes && !this.#closed && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const wake = () => resolve()
      this.#waiters.add(wake)
      signal.addEventListener('abort', wake, { once: true })
      await promise
      this.#waiters.delete(wake)
      signal.removeEventListener('abort', wake)
    }
  }

  /** Stops reading until {@link resume}: the other side is held up once its window is used. */
  pause(): void {
    if (this.stream.readStatus === 'readable') this.stream.pause()
  }

  resume(): void {
    if (this.stream.readStatus === 'paused') this.stream.resume()
  }

  /** Writes what is queued, then ends our half. */
  close(): void {
    if (this.#closing || this.#closed) return
    this.#closing = true
    if (this.#queue.length === 0) this.#finish()
  }

  abort(error: Error): void {
    this.stream.abort(error)
    this.#ended(error)
  }

  #receive(data: Parameters<FrameReader['push']>[0]): void {
    if (this.#closed) return
    try {
      for (const frame of this.#reader.push(data)) this.#init.onFrame(frame)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  #pump(): void {
    try {
      while (this.#queue.length > 0 && !this.#full && !this.#closed) {
        const head = this.#queue[0]!
        const slice = head.slices.shift()!
        head.ticket.handed = true
        this.#queued -= slice.byteLength
        if (head.slices.length === 0) this.#queue.shift()
        this.#full = !this.stream.send(slice)
        if (head.slices.length > 0 && !this.#full) {
          // Between slices of a large frame the other streams have their turn.
          this.#full = true
          setImmediate(() => {
            this.#full = this.stream.writableNeedsDrain
            this.#pump()
          })
        }
      }
    } catch (error) {
      this.abort(error as Error)
      return
    }
    for (const wake of this.#waiters) wake()
    if (this.#closing && this.#queue.length === 0) this.#finish()
  }

  #remoteClosed(): void {
    // A protocol here ends by its own frames; a half-closed stream has nothing left to say.
    if (this.#reader.buffered > 0) this.abort(new Error('the stream ended within a frame'))
    else this.close()
  }

  #finish(): void {
    this.stream.close().catch(error => this.abort(error as Error))
  }

  #ended(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue.length = 0
    this.#queued = 0
    for (const wake of this.#waiters) wake()
    this.#init.onClose(error)
  }
}

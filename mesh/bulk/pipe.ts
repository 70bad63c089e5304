import type { Connection, Stream } from '@libp2p/interface'
import { CHUNK_BYTES, CLOSE_TIMEOUT } from './limits.ts'

/** What a pipe tells its owner. */
export interface PipeEvents {
  /** A piece of what came, in order; only valid during the call. */
  data(piece: Uint8Array): void
  /** `writable` may have become true. */
  writable(): void
  /** Nothing comes or goes any more. Without an error, the other side closed in order. Called once. */
  end(error?: Error): void
}

/** An encrypted, ordered connection of bytes with backpressure: what the frames of a stream channel move over. */
export interface Pipe {
  /** The transport can take another write; when it is false, `writable()` is called later. */
  readonly writable: boolean
  /** Bytes written but not yet taken by the transport. */
  readonly buffered: number
  start(events: PipeEvents): void
  /** Hand over `bytes`, which now belong to the pipe; it gives them back through `released` if it learns that they have left. */
  write(bytes: Uint8Array, released?: (bytes: Uint8Array) => void): void
  /** Stop and go on reading. */
  pause(): void
  resume(): void
  /** Close in order, what was written first. */
  close(options?: { signal?: AbortSignal }): Promise<void>
  /** Drop everything at once. */
  abort(error: Error): void
}

/** The connection below libp2p's, which the interface hides and whose queue must be looked at for backpressure to reach the sender. */
interface WithTransport {
  maConn?: { writeBufferLength?: number }
}

/**
 * A libp2p stream as a pipe.
 *
 * libp2p signals `drain` on every layer for every write that the socket took, also while more waits further down; so a write is
 * allowed only when both the stream and the socket's queue are below one chunk, and is looked at again after the layers had their
 * turn (`setImmediate`).
 */
export class StreamPipe implements Pipe {
  readonly #stream: Stream
  readonly #transport: { writeBufferLength?: number } | undefined
  #events: PipeEvents | undefined
  #checkPending = false
  #ended = false

  constructor(stream: Stream, connection: Connection) {
    this.#stream = stream
    this.#transport = (connection as WithTransport).maConn
    // a paused reader may still be sent a whole yamux window, 16 MiB at most
    stream.maxReadBufferLength = Math.max(stream.maxReadBufferLength, 17 * 1024 * 1024)
  }

  get writable(): boolean {
    return !this.#ended && !this.#stream.writableNeedsDrain && this.buffered < CHUNK_BYTES
  }

  get buffered(): number {
    return this.#stream.writeBufferLength + (this.#transport?.writeBufferLength ?? 0)
  }

  start(events: PipeEvents): void {
    this.#events = events
    const stream = this.#stream
    stream.addEventListener('drain', () => this.#check())
    stream.addEventListener('close', event => this.#end(event.error))
    stream.addEventListener('remoteCloseWrite', () => {
      stream.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT) }).catch(error => stream.abort(error))
      this.#end()
    })
    stream.addEventListener('message', event => {
      const { data } = event
      if (data instanceof Uint8Array) {
        events.data(data)
        return
      }
      for (const piece of data) events.data(piece)
    })
    if (stream.status !== 'open') queueMicrotask(() => this.#end(new Error(`the stream is ${stream.status}`)))
  }

  write(bytes: Uint8Array): void {
    if (!this.#ended) this.#stream.send(bytes)
  }

  pause(): void {
    if (!this.#ended) this.#stream.pause()
  }

  resume(): void {
    if (!this.#ended) this.#stream.resume()
  }

  async close(options?: { signal?: AbortSignal }): Promise<void> {
    await this.#stream.close(options)
    this.#ended = true
  }

  abort(error: Error): void {
    this.#ended = true
    this.#stream.abort(error)
  }

  #check(): void {
    if (this.#checkPending) return
    this.#checkPending = true
    setImmediate(() => {
      this.#checkPending = false
      if (this.writable) this.#events?.writable()
    })
  }

  #end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#events?.end(error)
  }
}

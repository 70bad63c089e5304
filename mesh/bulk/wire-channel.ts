import { AbortedError, GradmeshError, MalformedError, TooLargeError, UnreachableError } from '../../common/index.ts'
import type { BulkChannel, BulkStatistics } from './channel.ts'
import { Departures } from './departures.ts'
import { decodeId, encodeFrame, FrameType } from './frames.ts'
import { Landing } from './landing.ts'
import { MAX_MESSAGE_BYTES, MAX_QUEUED_MESSAGE_BYTES, MAX_QUEUED_MESSAGES } from './limits.ts'
import { shield } from './shield.ts'
import type { Wire, WireSink } from './wire.ts'

/** The implementation of BulkChannel: frames over a wire, by whichever way it sends them. Takes over an accepted wire. */
export class WireChannel implements BulkChannel, WireSink {
  readonly peer: string
  readonly #wire: Wire
  readonly #landing: Landing
  readonly #departures: Departures
  readonly #messageCallbacks = new Set<(body: Uint8Array) => void>()
  readonly #closeCallbacks = new Set<(error?: Error) => void>()
  /** Messages that came before anyone listened. */
  #early: Uint8Array[] = []
  #earlyBytes = 0
  #paused = false
  #messagesSent = 0
  #messagesReceived = 0
  #ended: GradmeshError | undefined

  constructor(peer: string, wire: Wire) {
    this.peer = peer
    this.#wire = wire
    const write = (frame: Uint8Array) => wire.control(frame)
    this.#landing = new Landing(peer, write)
    this.#departures = new Departures(peer, write, () => wire.wake())
    wire.sink = this
    wire.source = this.#departures
  }

  get statistics(): BulkStatistics {
    return {
      bytesSent: this.#wire.bytesSent,
      bytesReceived: this.#wire.bytesReceived,
      transfersSent: this.#departures.transfersSent,
      transfersReceived: this.#landing.transfersReceived,
      messagesSent: this.#messagesSent,
      messagesReceived: this.#messagesReceived,
      bytesDropped: this.#landing.bytesDropped
    }
  }

  get kind(): 'rdma' | 'shm' | 'stream' {
    return this.#wire.carrier ?? 'stream'
  }

  get encryption(): 'noise' | 'tls' | 'none' {
    if (this.#wire.carrier) return 'none'
    return this.#wire.moved ? 'tls' : 'noise'
  }

  /** Whether the channel has ended. */
  get ended(): boolean {
    return this.#ended !== undefined
  }

  receive(id: string, into: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#begin(id, 'receiving', options.signal, (resolve, reject) => this.#landing.name(id, into, resolve, reject))
  }

  send(id: string, from: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#begin(id, 'sending', options.signal, (resolve, reject) => this.#departures.offer(id, from, resolve, reject))
  }

  message(body: Uint8Array): void {
    if (this.#ended) throw this.#ended
    if (body.length > MAX_MESSAGE_BYTES) {
      throw new TooLargeError(`bulk: a message has at most ${MAX_MESSAGE_BYTES} bytes, not ${body.length}; send it as a transfer`)
    }
    this.#wire.message(encodeFrame(FrameType.message, 0, 0, body))
    this.#messagesSent++
  }

  onMessage(callback: (body: Uint8Array) => void): () => void {
    this.#messageCallbacks.add(callback)
    const early = this.#early
    this.#early = []
    this.#earlyBytes = 0
    for (const body of early) this.#deliver(body)
    if (this.#paused) {
      this.#paused = false
      this.#wire.resume()
    }
    return () => this.#messageCallbacks.delete(callback)
  }

  cancel(match: (id: string) => boolean): void {
    this.#landing.cancel(match)
    this.#departures.cancel(match)
  }

  async close(): Promise<void> {
    if (this.#ended) return
    this.#settle(new UnreachableError(`bulk: the channel to ${this.peer} was closed by this side`, { retryable: false }))
    await this.#wire.close()
  }

  /** End at once, for a reason that every transfer is told. */
  abort(error: GradmeshError): void {
    this.#wire.fail(error)
  }

  onClose(callback: (error?: Error) => void): () => void {
    this.#closeCallbacks.add(callback)
    return () => this.#closeCallbacks.delete(callback)
  }

  frame(type: number, handle: number, value: number, body: Uint8Array): void {
    if (this.#ended) return
    switch (type) {
      case FrameType.grant:
        this.#departures.onGrant(handle, value, decodeId(body))
        break
      case FrameType.ack:
        this.#departures.onAck(handle)
        break
      case FrameType.revoke:
        this.#departures.onRevoke(handle)
        break
      case FrameType.done:
        this.#landing.onDone(handle)
        break
      case FrameType.withdraw:
        this.#landing.onWithdraw(handle)
        break
      case FrameType.mismatch:
        this.#landing.onMismatch(handle, value)
        break
      case FrameType.message:
        this.#onMessage(body)
        break
      default:
        throw new MalformedError(`bulk: ${this.peer} sent a frame of type ${type} on an open channel`)
    }
  }

  chunkStart(handle: number, offset: number, length: number): void {
    if (!this.#ended) this.#landing.chunkStart(handle, offset, length)
  }

  chunkBytes(piece: Uint8Array): void {
    this.#landing.chunkBytes(piece)
  }

  chunkEnd(): void {
    this.#landing.chunkEnd()
  }

  end(error?: Error): void {
    const closed = new UnreachableError(`bulk: ${this.peer} closed the channel; connect again or leave the peer out`)
    this.#settle(error instanceof GradmeshError ? error : closed)
    const callbacks = [...this.#closeCallbacks]
    this.#closeCallbacks.clear()
    this.#messageCallbacks.clear()
    this.#early = []
    for (const callback of callbacks) shield(() => callback(error))
  }

  /** From here on nothing lands, leaves or is accepted. */
  #settle(error: GradmeshError): void {
    if (this.#ended) return
    this.#ended = error
    this.#landing.end(error)
    this.#departures.end(error)
  }

  #begin(
    id: string,
    doing: string,
    signal: AbortSignal | undefined,
    start: (resolve: () => void, reject: (error: Error) => void) => (error: Error) => void
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw this.#ended
      const aborted = () => new AbortedError(`bulk: ${doing} transfer ${id} was aborted by the caller`, { cause: signal?.reason })
      if (signal?.aborted) throw aborted()
      if (!signal) {
        start(resolve, reject)
        return
      }
      let settled = false
      const settle = (action: () => void) => {
        settled = true
        signal.removeEventListener('abort', onAbort)
        action()
      }
      const onAbort = () => abandon(aborted())
      const abandon = start(
        () => settle(resolve),
        error => settle(() => reject(error))
      )
      if (!settled) signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #onMessage(body: Uint8Array): void {
    this.#messagesReceived++
    if (this.#messageCallbacks.size > 0) {
      this.#deliver(body)
      return
    }
    this.#early.push(body)
    this.#earlyBytes += body.length
    if (!this.#paused && (this.#early.length >= MAX_QUEUED_MESSAGES || this.#earlyBytes >= MAX_QUEUED_MESSAGE_BYTES)) {
      this.#paused = true
      this.#wire.pause()
    }
  }

  #deliver(body: Uint8Array): void {
    for (const callback of [...this.#messageCallbacks]) shield(() => callback(body))
  }
}

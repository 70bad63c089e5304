import { GradmeshError, MalformedError, UnreachableError } from '../../common/index.ts'
import type { Carrier, Sent } from './carrier.ts'
import type { Chunk } from './departures.ts'
import { FrameQueue } from './frame-queue.ts'
import { encodeFrame, FrameParser, type FrameSink, FrameType } from './frames.ts'
import { CLOSE_TIMEOUT, TURN_BYTES } from './limits.ts'
import type { Pipe } from './pipe.ts'
import { Pulse, type PulseOptions } from './pulse.ts'

/** Where chunks come from: asked for one whenever the transport can take it. */
export interface ChunkSource {
  readonly ready: boolean
  nextChunk(place?: (bytes: number) => Uint8Array | undefined): Chunk | undefined
  /** A chunk that had left got lost on its way. */
  rewind(handle: number, offset: number): void
  /** A chunk's memory is free again. Not called for every one. */
  released(frame: Uint8Array): void
}

export interface WireSink extends FrameSink {
  /** The wire ended. Called once. */
  end(error?: Error): void
}

export type WireOptions = PulseOptions

/**
 * Frames over a pipe. Control frames and messages go before chunks; a turn of the event loop sends one batch of the former and one
 * chunk, so that neither starves the other and nothing else in the process waits longer than a chunk takes to encrypt.
 */
export class Wire {
  /** Who takes the frames; may be replaced between two frames. */
  sink: WireSink
  /** Who has chunks to send. */
  source: ChunkSource | undefined
  /** Whom to tell of the offer of a lane, once; an offer without it is hostile. */
  onOffer: ((offer: Uint8Array) => void) | undefined
  /** Who takes the frames by which both sides agree on a faster way; without, they are hostile. */
  onFit: ((type: number, handle: number, value: number, body: Uint8Array) => void) | undefined

  readonly #peer: string
  readonly #pulse: Pulse
  readonly #parser: FrameParser
  #bytesSent = 0
  #bytesReceived = 0
  readonly #first: Pipe
  /** The pipes that replaced the first one, one for each direction. */
  #outLane: Pipe | undefined
  #inLane: Pipe | undefined
  /** Where frames go, unless a carrier takes them. */
  #output: Pipe
  /** Where frames come from, and what a carrier does not carry. */
  #input: Pipe
  /** A faster way beside the stream. */
  #carrier: Carrier | undefined
  readonly #carried: FrameParser
  /** Frames leave by the stream, by the carrier, or wait until it is known what got lost. */
  #leaving: 'stream' | 'carrier' | 'held' = 'stream'
  /** The peer has said that what follows comes over the lane. */
  #inputMoved = false
  readonly #queue: FrameQueue
  #microtaskPending = false
  #immediatePending = false
  #paused = false
  #ended = false
  #closing = false
  #onIdle: (() => void) | undefined
  readonly #onEnded: ((error?: Error) => void)[] = []

  constructor(peer: string, pipe: Pipe, sink: WireSink, options: WireOptions = {}) {
    this.#peer = peer
    this.#first = this.#output = this.#input = pipe
    this.sink = sink
    this.#pulse = new Pulse(options, {
      standing: () => this.#paused,
      beat: () => this.aside(encodeFrame(FrameType.heartbeat)),
      silent: silence => this.fail(new UnreachableError(lost(peer, `nothing came for ${Math.round(silence / 1000)} s`)))
    })
    this.#queue = new FrameQueue(peer)
    const chunks = {
      chunkStart: (handle: number, offset: number, length: number) => this.sink.chunkStart(handle, offset, length),
      chunkBytes: (piece: Uint8Array) => this.sink.chunkBytes(piece),
      chunkEnd: () => this.sink.chunkEnd()
    }
    this.#parser = new FrameParser({ ...chunks, frame: (type, handle, value, body) => this.#onFrame(type, handle, value, body) })
    this.#carried = new FrameParser({ ...chunks, frame: (type, handle, value, body) => this.sink.frame(type, handle, value, body) })
    this.#start(pipe)
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Whether frames go and come over lanes. */
  get moved(): boolean {
    return this.#output !== this.#first && this.#input !== this.#first
  }

  /** Bytes handed to the stream or a carrier. */
  get bytesSent(): number {
    return this.#bytesSent + (this.#carrier?.bytesSent ?? 0)
  }

  get bytesReceived(): number {
    return this.#bytesReceived + (this.#carrier?.bytesReceived ?? 0)
  }

  /** By which faster way frames leave. */
  get carrier(): 'rdma' | 'shm' | undefined {
    return this.#leaving === 'carrier' ? this.#carrier?.kind : undefined
  }

  /** Call `callback` when the wire has ended, after its sink was told. */
  onEnd(callback: (error?: Error) => void): void {
    this.#onEnded.push(callback)
  }

  /**
   * Send over `lane` from the next frame on: `moved` is the last one on the first pipe, which stays open, and idle in this direction.
   */
  sendOver(lane: Pipe): void {
    if (this.#ended || this.#closing || this.#outLane) {
      lane.abort(new Error('not wanted any more'))
      return
    }
    this.aside(encodeFrame(FrameType.moved))
    this.#outLane = this.#output = lane
    this.#start(lane)
    // nothing comes, but the end is seen only by who reads
    lane.resume()
    this.wake()
  }

  /** Read from `lane` what follows the peer's `moved`, be that here already or still to come. */
  receiveOver(lane: Pipe): void {
    if (this.#ended || this.#closing || this.#inLane) {
      lane.abort(new Error('not wanted any more'))
      return
    }
    this.#inLane = lane
    lane.pause()
    this.#start(lane)
    if (this.#inputMoved) this.#readLane()
  }

  /** Queue a control frame. */
  control(frame: Uint8Array): void {
    if (this.#ended || this.#closing) return
    try {
      this.#queue.control(frame)
    } catch (error) {
      this.fail(error as Error)
      return
    }
    this.wake()
  }

  /** @throws OverloadedError when the queue is full */
  message(frame: Uint8Array): void {
    this.#queue.message(frame)
    this.wake()
  }

  /** Send a frame over the stream at once, whatever waits. */
  aside(frame: Uint8Array): void {
    if (!this.#ended) this.#write(frame)
  }

  /** Have a carrier beside the stream, or none any more. */
  carry(carrier: Carrier | undefined): void {
    this.#bytesSent += this.#carrier?.bytesSent ?? 0
    this.#bytesReceived += this.#carrier?.bytesReceived ?? 0
    this.#carrier = carrier
    if (this.#paused) carrier?.pause()
  }

  /** A frame came by the carrier. */
  carried(frame: Uint8Array): void {
    if (this.#ended) return
    this.#pulse.heard()
    this.#carried.push(frame)
    if (!this.#carried.idle && !this.#ended) throw new MalformedError(`bulk: ${this.#peer} sent part of a frame, or more than one, as one`)
  }

  /** Send by the carrier from the next frame on. */
  board(): void {
    this.#leaving = 'carrier'
    this.wake()
  }

  /** Send nothing until `unboard`. */
  hold(): void {
    this.#leaving = 'held'
  }

  /** Send over the stream again, and first of all what the carrier lost. */
  unboard(lost: Sent[]): void {
    this.#leaving = 'stream'
    this.#queue.first(lost.flatMap(({ frame }) => frame ?? []))
    // the first chunk lost of a transfer comes last, and is where it goes on
    for (const { frame, handle, offset } of lost.toReversed()) if (!frame) this.source?.rewind(handle, offset)
    this.wake()
  }

  /** There is something to send. */
  wake(): void {
    if (this.#microtaskPending || this.#ended) return
    this.#microtaskPending = true
    queueMicrotask(() => {
      this.#microtaskPending = false
      this.#pump()
    })
  }

  pause(): void {
    this.#paused = true
    this.#input.pause()
    this.#carrier?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#pulse.heard()
    this.#input.resume()
    this.#carrier?.resume()
  }

  /** Send what is queued, chunks excepted, then close. Waits a bounded time. */
  async close(): Promise<void> {
    if (this.#ended || this.#closing) return
    this.#closing = true
    this.source = undefined
    const signal = AbortSignal.timeout(CLOSE_TIMEOUT)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onIdle = resolve
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        this.wake()
      })
      // the lane first: the peer must have read what came over it before it sees the others end
      await this.#outLane?.close({ signal })
      await this.#inLane?.close({ signal })
      await this.#first.close({ signal })
    } catch (error) {
      this.#abortPipes(error as Error)
    }
    this.#finish(undefined)
  }

  /** End at once with `error`. */
  fail(error: Error): void {
    if (this.#ended) return
    this.#abortPipes(error)
    this.#finish(error)
  }

  #start(pipe: Pipe): void {
    pipe.start({
      data: piece => this.#onData(piece, pipe),
      writable: () => this.#pump(),
      end: error => this.#onPipeEnd(error, pipe)
    })
  }

  #onData(piece: Uint8Array, from: Pipe): void {
    if (this.#ended) return
    this.#bytesReceived += piece.length
    this.#pulse.heard()
    try {
      if (from !== this.#input || (from === this.#first && this.#inputMoved)) {
        throw new MalformedError(`bulk: ${this.#peer} sent more over a connection that it had left`)
      }
      this.#parser.push(piece)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  #onFrame(type: number, handle: number, value: number, body: Uint8Array): void {
    if (type === FrameType.heartbeat) return
    if (type === FrameType.moved) {
      if (this.#inputMoved) throw new MalformedError(`bulk: ${this.#peer} moved to another lane twice`)
      this.#inputMoved = true
      if (this.#inLane) this.#readLane()
    } else if (type === FrameType.offer) {
      const { onOffer } = this
      this.onOffer = undefined
      if (!onOffer) throw new MalformedError(`bulk: ${this.#peer} offered a lane that it was not asked for`)
      onOffer(body)
    } else if (type >= FrameType.proposal) {
      if (!this.onFit) throw new MalformedError(`bulk: ${this.#peer} proposed a faster way before the channel was accepted`)
      this.onFit(type, handle, value, body)
    } else {
      this.sink.frame(type, handle, value, body)
    }
  }

  #readLane(): void {
    this.#input = this.#inLane!
    if (!this.#paused) this.#input.resume()
  }

  #pipes(): Pipe[] {
    return [this.#first, this.#outLane, this.#inLane].filter(pipe => pipe !== undefined)
  }

  #abortPipes(error: Error): void {
    for (const pipe of this.#pipes()) pipe.abort(error)
  }

  #onPipeEnd(error: Error | undefined, ended: Pipe): void {
    const foreign = error && !(error instanceof GradmeshError)
    const reason = foreign ? new UnreachableError(lost(this.#peer, error.message), { cause: error }) : error
    for (const pipe of this.#pipes()) {
      if (pipe === ended) continue
      if (reason) pipe.abort(reason)
      else pipe.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT) }).catch(late => pipe.abort(late))
    }
    this.#finish(reason)
  }

  #finish(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#parser.stop()
    this.#carried.stop()
    this.#pulse.stop()
    this.#queue.clear()
    this.#onIdle?.()
    this.sink.end(error)
    for (const callback of this.#onEnded) callback(error)
  }

  #pump(): void {
    if (this.#ended || this.#leaving === 'held') return
    if (this.#leaving === 'carrier') {
      this.#pumpCarrier(this.#carrier!)
      return
    }
    if (!this.#output.writable) return
    const batch = this.#queue.batch()
    if (batch) this.#write(batch)
    if (!this.#immediatePending && this.source?.ready && this.#output.writable) {
      const chunk = this.source.nextChunk()
      if (chunk) this.#write(chunk.frame, this.#released)
    }
    if (!this.#queue.empty || this.source?.ready) this.#pumpSoon()
    else this.#onIdle?.()
  }

  /** A carrier takes more in a turn than a stream: nothing is encrypted. */
  #pumpCarrier(carrier: Carrier): void {
    const start = carrier.bytesSent
    let room = true
    this.#queue.drain(frame => {
      room = carrier.write(frame)
      return room
    })
    const { source } = this
    const write = (place: (bytes: number) => Uint8Array | undefined) => source?.nextChunk(place)
    while (room && source?.ready && carrier.bytesSent - start < TURN_BYTES) {
      room = carrier.writeChunk(write)
      // the other side copies this one while the next is written
      carrier.flush()
    }
    carrier.flush()
    if (this.#ended || this.#leaving !== 'carrier') return
    if (room && source?.ready) this.#pumpSoon()
    else if (this.#closing) {
      carrier.watch()
      if (carrier.underway === 0 && this.#queue.empty) this.#onIdle?.()
    }
  }

  #pumpSoon(): void {
    if (this.#immediatePending) return
    this.#immediatePending = true
    setImmediate(() => {
      this.#immediatePending = false
      this.#pump()
    })
  }

  readonly #released = (chunk: Uint8Array) => this.source?.released(chunk)

  #write(bytes: Uint8Array, released?: (bytes: Uint8Array) => void): void {
    this.#bytesSent += bytes.length
    this.#pulse.spoke()
    try {
      this.#output.write(bytes, released)
    } catch (error) {
      this.#output.abort(error as Error)
      this.#onPipeEnd(error as Error, this.#output)
    }
  }
}

function lost(peer: string, why: string): string {
  return `bulk: the channel to ${peer} broke: ${why}; connect again or leave the peer out`
}

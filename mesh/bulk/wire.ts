import { type Clock, GradmeshError, MalformedError, OverloadedError, systemClock, UnreachableError } from '../../common/index.ts'
import { encodeFrame, FrameParser, type FrameSink, FrameType } from './frames.ts'
import {
  CLOSE_TIMEOUT,
  HEARTBEAT_INTERVAL,
  MAX_QUEUED_CONTROL_BYTES,
  MAX_QUEUED_MESSAGE_BYTES,
  MAX_QUEUED_MESSAGES,
  SILENCE_TIMEOUT
} from './limits.ts'
import type { Pipe } from './pipe.ts'

/** Where chunks come from: asked for one whenever the transport can take it. */
export interface ChunkSource {
  readonly ready: boolean
  nextChunk(): Uint8Array | undefined
  /** A chunk's memory is free again. Not called for every one. */
  released(frame: Uint8Array): void
}

export interface WireSink extends FrameSink {
  /** The wire ended. Called once. */
  end(error?: Error): void
}

export interface WireOptions {
  clock?: Clock
  /** An idle wire sends a heartbeat this often, ms. @default 3000 */
  heartbeatInterval?: number
  /** A peer from which nothing came for so long is taken for gone, ms. @default 20000 */
  silenceTimeout?: number
}

/** Small frames are joined to one write of about this size. */
const BATCH_BYTES = 64 * 1024

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
  bytesSent = 0
  bytesReceived = 0

  readonly #peer: string
  readonly #clock: Clock
  readonly #heartbeatInterval: number
  readonly #silenceTimeout: number
  readonly #parser: FrameParser
  readonly #first: Pipe
  /** The pipes that replaced the first one, one for each direction. */
  #outLane: Pipe | undefined
  #inLane: Pipe | undefined
  /** Where frames go. */
  #output: Pipe
  /** Where frames come from. */
  #input: Pipe
  /** The peer has said that what follows comes over the lane. */
  #inputMoved = false
  #control: Uint8Array[] = []
  #controlBytes = 0
  #messages: Uint8Array[] = []
  #messageBytes = 0
  #microtaskPending = false
  #immediatePending = false
  #heard: number
  #spoke: number
  #cancelTimer: () => void = () => {}
  #paused = false
  #ended = false
  #closing = false
  #onIdle: (() => void) | undefined
  #onEnded: ((error?: Error) => void) | undefined

  constructor(peer: string, pipe: Pipe, sink: WireSink, options: WireOptions = {}) {
    this.#peer = peer
    this.#first = this.#output = this.#input = pipe
    this.sink = sink
    this.#clock = options.clock ?? systemClock
    this.#heartbeatInterval = options.heartbeatInterval ?? HEARTBEAT_INTERVAL
    this.#silenceTimeout = options.silenceTimeout ?? SILENCE_TIMEOUT
    this.#heard = this.#spoke = this.#clock.now()
    this.#parser = new FrameParser({
      frame: (type, handle, value, body) => this.#onFrame(type, handle, value, body),
      chunkStart: (handle, offset, length) => this.sink.chunkStart(handle, offset, length),
      chunkBytes: piece => this.sink.chunkBytes(piece),
      chunkEnd: () => this.sink.chunkEnd()
    })
    this.#start(pipe)
    this.#armTimer()
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Whether frames go and come over lanes. */
  get moved(): boolean {
    return this.#output !== this.#first && this.#input !== this.#first
  }

  /** Call `callback` once when the wire has ended, after its sink was told. */
  onEnd(callback: (error?: Error) => void): void {
    this.#onEnded = callback
  }

  /**
   * Send over `lane` from the next frame on: `moved` is the last one on the first pipe, which stays open, and idle in this direction.
   */
  sendOver(lane: Pipe): void {
    if (this.#ended || this.#closing || this.#outLane) {
      lane.abort(new Error('not wanted any more'))
      return
    }
    this.#write(encodeFrame(FrameType.moved))
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
    this.#control.push(frame)
    this.#controlBytes += frame.length
    if (this.#controlBytes > MAX_QUEUED_CONTROL_BYTES) {
      this.fail(new OverloadedError(`bulk: ${this.#peer} does not read; ${this.#controlBytes} bytes of answers to it wait`))
      return
    }
    this.wake()
  }

  /** @throws OverloadedError when the queue is full */
  message(frame: Uint8Array): void {
    const bytes = this.#messageBytes + frame.length
    if (this.#messages.length >= MAX_QUEUED_MESSAGES || bytes > MAX_QUEUED_MESSAGE_BYTES) {
      throw new OverloadedError(`bulk: ${this.#messages.length} messages (${this.#messageBytes} bytes) to ${this.#peer} wait; slow down`)
    }
    this.#messages.push(frame)
    this.#messageBytes = bytes
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
  }

  resume(): void {
    this.#paused = false
    this.#heard = this.#clock.now()
    this.#input.resume()
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
    this.bytesReceived += piece.length
    this.#heard = this.#clock.now()
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
    this.#cancelTimer()
    this.#control = []
    this.#messages = []
    this.#onIdle?.()
    this.sink.end(error)
    this.#onEnded?.(error)
  }

  #pump(): void {
    if (this.#ended || !this.#output.writable) return
    const batch = this.#takeBatch()
    if (batch) this.#write(batch)
    if (!this.#immediatePending && this.source?.ready && this.#output.writable) {
      const chunk = this.source.nextChunk()
      if (chunk) this.#write(chunk, this.#released)
    }
    const more = this.#control.length > 0 || this.#messages.length > 0 || this.source?.ready
    if (more && !this.#immediatePending) {
      this.#immediatePending = true
      setImmediate(() => {
        this.#immediatePending = false
        this.#pump()
      })
    }
    if (!more) this.#onIdle?.()
  }

  readonly #released = (chunk: Uint8Array) => this.source?.released(chunk)

  #write(bytes: Uint8Array, released?: (bytes: Uint8Array) => void): void {
    this.bytesSent += bytes.length
    this.#spoke = this.#clock.now()
    try {
      this.#output.write(bytes, released)
    } catch (error) {
      this.#output.abort(error as Error)
      this.#onPipeEnd(error as Error, this.#output)
    }
  }

  /** Control frames, then messages, joined. */
  #takeBatch(): Uint8Array | undefined {
    if (this.#control.length === 0 && this.#messages.length === 0) return undefined
    const taken: Uint8Array[] = []
    let bytes = takeUpTo(this.#control, taken, 0)
    this.#controlBytes -= bytes
    if (this.#control.length === 0) {
      const before = bytes
      bytes = takeUpTo(this.#messages, taken, bytes)
      this.#messageBytes -= bytes - before
    }
    return taken.length === 1 ? taken[0] : Buffer.concat(taken, bytes)
  }

  #armTimer(): void {
    const armed = this.#clock.now()
    this.#cancelTimer = this.#clock.setTimer(this.#heartbeatInterval, () => {
      if (this.#ended) return
      const now = this.#clock.now()
      // a late timer says that this process stood still, not that the peer was silent
      if (this.#paused || now - armed > 2 * this.#heartbeatInterval) this.#heard = now
      if (now - this.#heard > this.#silenceTimeout) {
        this.fail(new UnreachableError(lost(this.#peer, `nothing came for ${Math.round((now - this.#heard) / 1000)} s`)))
        return
      }
      if (now - this.#spoke >= this.#heartbeatInterval) this.control(encodeFrame(FrameType.heartbeat))
      this.#armTimer()
    })
  }
}

function lost(peer: string, why: string): string {
  return `bulk: the channel to ${peer} broke: ${why}; connect again or leave the peer out`
}

/** Move frames from `queue` to `taken` until a batch is full. @returns the bytes of the batch */
function takeUpTo(queue: Uint8Array[], taken: Uint8Array[], bytes: number): number {
  let count = 0
  let sum = bytes
  while (count < queue.length && (sum === 0 || sum + queue[count].length <= BATCH_BYTES + 1024)) {
    sum += queue[count].length
    taken.push(queue[count])
    count++
  }
  queue.splice(0, count)
  return sum
}

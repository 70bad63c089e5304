import type { Rng } from '../../../common/index.ts'
import { encodeFrame, FrameParser, type FrameSink, FrameType, writeHeader } from '../../../mesh/bulk/frames.ts'
import { HEADER_BYTES } from '../../../mesh/bulk/limits.ts'
import type { Pipe, PipeEvents } from '../../../mesh/bulk/pipe.ts'
import { Wire, type WireOptions } from '../../../mesh/bulk/wire.ts'
import { WireChannel } from '../../../mesh/bulk/wire-channel.ts'

/** Bytes under way in one direction. */
const CAPACITY = 1_000_000

/** One end of a connection within this process. What is written arrives at the other end in turns of the event loop. */
export class MemoryPipe implements Pipe {
  /** The other end. */
  other!: MemoryPipe
  /** The transport takes no writes while this is set; unset it with `drain`. */
  full = false
  paused = false
  ended: Error | true | undefined
  /** Everything written here, as frames. */
  written: { type: number; bytes: number }[] = []
  readonly #rng: Rng | undefined
  readonly #inbox: Uint8Array[] = []
  #events: PipeEvents | undefined
  #inboxBytes = 0
  #scheduled = false
  readonly #watch = new FrameParser({
    frame: (type, _handle, _value, body) => this.written.push({ type, bytes: body.length }),
    chunkStart: (_handle, _offset, length) => this.written.push({ type: FrameType.chunk, bytes: length }),
    chunkBytes() {},
    chunkEnd() {}
  })

  /** @param rng - cuts what arrives into random pieces */
  constructor(rng?: Rng) {
    this.#rng = rng
  }

  get writable(): boolean {
    return !this.full && !this.ended && this.buffered < CAPACITY
  }

  get buffered(): number {
    return this.other.#inboxBytes
  }

  start(events: PipeEvents): void {
    this.#events = events
    this.#schedule()
  }

  write(bytes: Uint8Array): void {
    this.#watch.push(bytes)
    this.deliver(bytes)
  }

  /** Bytes that need not be frames. */
  deliver(bytes: Uint8Array): void {
    if (this.ended) return
    this.other.#inbox.push(bytes)
    this.other.#inboxBytes += bytes.length
    this.other.#schedule()
  }

  drain(): void {
    this.full = false
    this.#events?.writable()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#schedule()
  }

  async close(): Promise<void> {
    this.ended ??= true
    setImmediate(() => this.other.end())
  }

  abort(error: Error): void {
    this.ended ??= error
    setImmediate(() => this.other.end(new Error('reset')))
  }

  end(error?: Error): void {
    if (this.ended) return
    this.ended = error ?? true
    this.#events?.end(error)
  }

  #schedule(): void {
    if (this.#scheduled || !this.#events) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      for (let budget = 8; budget > 0 && this.#inbox.length > 0 && !this.paused && !this.ended; budget--) {
        let piece = this.#inbox.shift()!
        if (this.#rng) {
          const cut = 1 + this.#rng.int(piece.length)
          if (cut < piece.length) this.#inbox.unshift(piece.subarray(cut))
          piece = piece.subarray(0, cut)
        }
        this.#inboxBytes -= piece.length
        this.#events?.data(piece)
      }
      if (this.other.writable) this.other.#events?.writable()
      if (this.#inbox.length > 0 && !this.paused && !this.ended) this.#schedule()
    })
  }
}

export function pipePair(rng?: Rng): [MemoryPipe, MemoryPipe] {
  const a = new MemoryPipe(rng)
  const b = new MemoryPipe(rng)
  a.other = b
  b.other = a
  return [a, b]
}

/** One step of going over to lanes; `wait` is a turn of the event loop. */
export type Step = 'left sends' | 'right receives' | 'right sends' | 'left receives' | 'wait'
export const allSteps: Step[] = ['left sends', 'right receives', 'right sends', 'left receives']

const nobody = { frame() {}, chunkStart() {}, chunkBytes() {}, chunkEnd() {}, end() {} }

/** Two channels over a connection within this process. */
export function channelPair(rng?: Rng, options?: WireOptions) {
  const [leftPipe, rightPipe] = pipePair(rng)
  const leftWire = new Wire('right', leftPipe, nobody, options)
  const rightWire = new Wire('left', rightPipe, nobody, options)
  const left = new WireChannel('right', leftWire)
  const right = new WireChannel('left', rightWire)
  /** Give both ends a lane for each direction, in the order of `steps`. */
  const move = async (steps: Step[]) => {
    const [leftOut, rightIn] = pipePair(rng)
    const [rightOut, leftIn] = pipePair(rng)
    for (const step of steps) {
      if (step === 'left sends') leftWire.sendOver(leftOut)
      else if (step === 'right receives') rightWire.receiveOver(rightIn)
      else if (step === 'right sends') rightWire.sendOver(rightOut)
      else if (step === 'left receives') leftWire.receiveOver(leftIn)
      else await new Promise(resolve => setImmediate(resolve))
    }
    return { leftOut, rightIn, rightOut, leftIn }
  }
  return { left, right, leftPipe, rightPipe, move }
}

/** A channel whose peer is the test itself, which may send anything. */
export function hostilePair(options?: WireOptions) {
  const [pipe, hostile] = pipePair()
  const wire = new Wire('mallory', pipe, nobody, options)
  const channel = new WireChannel('mallory', wire)
  const seen: { type: number; handle: number; value: number; body: string }[] = []
  const sink: FrameSink = {
    frame: (type, handle, value, body) => seen.push({ type, handle, value, body: Buffer.from(body).toString() }),
    chunkStart: (handle, value, length) => seen.push({ type: FrameType.chunk, handle, value, body: `${length} bytes` }),
    chunkBytes() {},
    chunkEnd() {}
  }
  const parser = new FrameParser(sink)
  hostile.start({ data: piece => parser.push(piece), writable() {}, end() {} })
  return {
    channel,
    pipe,
    wire,
    /** Frames that the channel sent. */
    seen,
    say: (type: number, handle = 0, value = 0, body?: Uint8Array) => hostile.deliver(encodeFrame(type, handle, value, body)),
    /** A header whose length field is not that of what follows. */
    sayHeader(type: number, handle: number, value: number, length: number) {
      const header = new Uint8Array(HEADER_BYTES)
      writeHeader(header, type, handle, value, length)
      hostile.deliver(header)
    },
    raw: (bytes: Uint8Array) => hostile.deliver(bytes),
    vanish: () => pipe.end(new Error('connection reset'))
  }
}

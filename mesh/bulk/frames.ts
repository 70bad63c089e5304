import { MalformedError } from '../../common/index.ts'
import { HEADER_BYTES, MAX_CHUNK_BYTES, MAX_FIT_BYTES, MAX_ID_BYTES, MAX_MESSAGE_BYTES } from './limits.ts'

/**
 * A frame is a header of 20 bytes, little endian, and a body:
 *
 * | offset | bytes | field |
 * | --- | --- | --- |
 * | 0 | 4 | length of the body |
 * | 4 | 1 | type |
 * | 5 | 3 | zero |
 * | 8 | 4 | handle: the receiver's number for a region |
 * | 12 | 8 | value: an offset, a length or a count, at most 2⁵³ − 1 |
 */
export const FrameType = {
  /** First frame of the dialer. value: number of its dial attempt. */
  hello: 1,
  /** Answer of the acceptor: this stream is the channel. value: its own latest attempt; all up to that are void. */
  accept: 2,
  /** Answer of the acceptor: this stream is not the channel. handle: a {@link RefuseReason}. */
  refuse: 3,
  /** Nothing; shows that the sender lives. */
  heartbeat: 4,
  /** Receiver: `handle` is a region of `value` bytes for the transfer whose id is the body. */
  grant: 5,
  /** Sender: bytes for `handle` from `value` on. */
  chunk: 6,
  /** Receiver: `handle` is whole. */
  ack: 7,
  /** Receiver: `handle` is abandoned; answered by `done` unless a `withdraw` crosses it. */
  revoke: 8,
  /** Sender: nothing follows for revoked `handle`. */
  done: 9,
  /** Sender: the transfer into `handle` is abandoned. */
  withdraw: 10,
  /** Sender: the transfer granted as `handle` has `value` bytes, not the granted number. */
  mismatch: 11,
  /** A message: the body. */
  message: 12,
  /** Sender: a faster connection may be made, on which frames from here then come; the body says how. */
  offer: 13,
  /** Last frame on this connection: what follows comes over the offered one. */
  moved: 14,
  /** Once a side: which faster ways it has; the body says so. */
  proposal: 15,
  /** Attempt `handle` at such a way: what the other side must know to make it; the body. */
  fit: 16,
  /** This side can read what comes by the way of attempt `handle`. */
  ready: 17,
  /** What follows comes by the way of attempt `handle`. */
  boarded: 18,
  /** Attempt `handle` is over; `value` frames were taken from it, what the sender sent after those it sends again over the stream. */
  left: 19
} as const

export const RefuseReason = {
  /** Another stream between the two is the channel. */
  duplicate: 1,
  /** The acceptor does not allow this peer. */
  notAllowed: 2,
  /** The acceptor holds too many undecided streams. */
  overloaded: 3,
  /** The acceptor is closing. */
  closed: 4
} as const

const TWO_32 = 4_294_967_296
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** UTF-8 of a transfer id. @returns undefined when it is empty or too long */
export function encodeId(id: string): Uint8Array | undefined {
  if (id.length === 0 || id.length > MAX_ID_BYTES) return undefined
  const bytes = encoder.encode(id)
  return bytes.length > MAX_ID_BYTES ? undefined : bytes
}

/** @throws MalformedError when the bytes are not UTF-8 */
export function decodeId(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new MalformedError('bulk: a transfer id is not UTF-8')
  }
}

/** Write a header at the start of `into`. */
export function writeHeader(into: Uint8Array, type: number, handle: number, value: number, bodyBytes: number): void {
  writeUint32(into, 0, bodyBytes)
  into[4] = type
  into[5] = 0
  into[6] = 0
  into[7] = 0
  writeUint32(into, 8, handle)
  writeUint32(into, 12, value >>> 0)
  writeUint32(into, 16, Math.floor(value / TWO_32))
}

/** A whole frame; `body` is copied. */
export function encodeFrame(type: number, handle = 0, value = 0, body?: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + (body?.length ?? 0))
  writeHeader(frame, type, handle, value, body?.length ?? 0)
  if (body) frame.set(body, HEADER_BYTES)
  return frame
}

/** What a parser tells. A chunk's bytes are passed on as they come, so that nobody has to hold a whole one. */
export interface FrameSink {
  /** Any frame but a chunk. `body` belongs to the callee. */
  frame(type: number, handle: number, value: number, body: Uint8Array): void
  /** A chunk begins; its `length` bytes follow through `chunkBytes`, then `chunkEnd`. */
  chunkStart(handle: number, offset: number, length: number): void
  /** `piece` is only valid during the call. */
  chunkBytes(piece: Uint8Array): void
  chunkEnd(): void
}

const EMPTY = new Uint8Array(0)

/** Cuts a byte stream into frames, whatever the pieces it comes in. After an error, or `stop()`, it takes nothing any more. */
export class FrameParser {
  readonly #sink: FrameSink
  readonly #header = new Uint8Array(HEADER_BYTES)
  #headerBytes = 0
  /** Bytes of the current body that are still to come; only meaningful when the header is whole. */
  #remaining = 0
  #isChunk = false
  #body: Uint8Array = EMPTY
  #stopped = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Between two frames. */
  get idle(): boolean {
    return this.#headerBytes === 0
  }

  /** Take no more bytes. May be called from within the sink. */
  stop(): void {
    this.#stopped = true
    this.#body = EMPTY
  }

  /** @throws MalformedError when the bytes are not frames; whatever the sink throws */
  push(piece: Uint8Array): void {
    let at = 0
    while (at < piece.length && !this.#stopped) {
      if (this.#headerBytes < HEADER_BYTES) {
        const taken = Math.min(HEADER_BYTES - this.#headerBytes, piece.length - at)
        this.#header.set(piece.subarray(at, at + taken), this.#headerBytes)
        this.#headerBytes += taken
        at += taken
        if (this.#headerBytes === HEADER_BYTES) this.#guard(() => this.#begin())
      } else {
        const taken = Math.min(this.#remaining, piece.length - at)
        const part = piece.subarray(at, at + taken)
        at += taken
        if (this.#isChunk) this.#guard(() => this.#sink.chunkBytes(part))
        else this.#body.set(part, this.#body.length - this.#remaining)
        this.#remaining -= taken
        if (this.#remaining === 0 && !this.#stopped) this.#guard(() => this.#end())
      }
    }
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.stop()
      throw error
    }
  }

  #begin(): void {
    const header = this.#header
    const length = readUint32(header, 0)
    const type = header[4]
    if ((header[5] | header[6] | header[7]) !== 0) throw new MalformedError('bulk: reserved bytes of a frame header are not zero')
    const value = readUint32(header, 12) + readUint32(header, 16) * TWO_32
    if (value > Number.MAX_SAFE_INTEGER) throw new MalformedError('bulk: the value of a frame header is above 2^53 - 1')
    const largest = largestBody(type)
    if (largest === undefined) throw new MalformedError(`bulk: there is no frame type ${type}`)
    if (length > largest) throw new MalformedError(`bulk: a frame of type ${type} has ${length} bytes, at most ${largest} are allowed`)
    this.#remaining = length
    this.#isChunk = type === FrameType.chunk
    if (this.#isChunk) this.#sink.chunkStart(readUint32(header, 8), value, length)
    else this.#body = length === 0 ? EMPTY : new Uint8Array(length)
    if (length === 0 && !this.#stopped) this.#end()
  }

  #end(): void {
    this.#headerBytes = 0
    if (this.#isChunk) {
      this.#sink.chunkEnd()
      return
    }
    const body = this.#body
    const header = this.#header
    this.#body = EMPTY
    this.#sink.frame(header[4], readUint32(header, 8), readUint32(header, 12) + readUint32(header, 16) * TWO_32, body)
  }
}

function largestBody(type: number): number | undefined {
  if (type === FrameType.chunk) return MAX_CHUNK_BYTES
  if (type === FrameType.message) return MAX_MESSAGE_BYTES
  if (type === FrameType.grant || type === FrameType.offer) return MAX_ID_BYTES
  if (type === FrameType.proposal || type === FrameType.fit) return MAX_FIT_BYTES
  return type >= FrameType.hello && type <= FrameType.left ? 0 : undefined
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

import { Uint8ArrayList } from 'uint8arraylist'
import { MalformedError, TooLargeError } from '../../common/index.ts'

/** Bytes of the longest length prefix that is accepted: 2²⁸ − 1, beyond every limit in use. */
const MAX_PREFIX = 4

/** `message` with its length in front, as an unsigned varint. */
export function encodeFrame(message: Uint8Array): Uint8Array {
  const n = message.byteLength
  const prefix = n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : 4
  const frame = new Uint8Array(prefix + n)
  let rest = n
  for (let i = 0; i < prefix - 1; i++) {
    frame[i] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  frame[prefix - 1] = rest
  frame.set(message, prefix)
  return frame
}

/**
 * Cuts a byte stream into frames. The length is checked before anything is kept for it, so that a hostile prefix costs nothing; what
 * waits here is less than one frame plus one chunk.
 */
export class FrameReader {
  readonly #max: number
  readonly #waiting = new Uint8ArrayList()

  /** @param max - largest frame, bytes, its prefix excluded; under 2²⁸ */
  constructor(max: number) {
    this.#max = max
  }

  /** Bytes kept until their frame is whole. */
  get buffered(): number {
    return this.#waiting.byteLength
  }

  /**
   * Takes a chunk. @returns the frames that it completes
   *
   * @throws TooLargeError when a frame announces more than `max` bytes
   * @throws MalformedError when a length prefix is none
   */
  push(chunk: Uint8Array | Uint8ArrayList): Uint8Array[] {
    const frames: Uint8Array[] = []
    this.#waiting.append(chunk)
    for (;;) {
      const header = this.#length()
      if (header === undefined || this.#waiting.byteLength < header.prefix + header.length) return frames
      const end = header.prefix + header.length
      frames.push(this.#waiting.subarray(header.prefix, end))
      this.#waiting.consume(end)
    }
  }

  #length(): { prefix: number; length: number } | undefined {
    let length = 0
    for (let i = 0; i < Math.min(MAX_PREFIX, this.#waiting.byteLength); i++) {
      const byte = this.#waiting.get(i)
      length += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) {
        if (length > this.#max) throw new TooLargeError(`a frame of ${length} bytes was announced; the most is ${this.#max}`)
        return { prefix: i + 1, length }
      }
    }
    if (this.#waiting.byteLength >= MAX_PREFIX) throw new MalformedError(`a frame's length prefix is longer than ${MAX_PREFIX} bytes`)
    return undefined
  }
}

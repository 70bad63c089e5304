import { MalformedError } from '../../../common/index.ts'

/** Appends little-endian base-128 integers, bytes and strings. */
export class Writer {
  #bytes = new Uint8Array(256)
  #length = 0

  /** An integer in [0, 2⁵³). */
  uint(value: number): this {
    while (value >= 128) {
      this.byte((value % 128) | 128)
      value = Math.floor(value / 128)
    }
    return this.byte(value)
  }

  byte(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
    return this
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  /** UTF-8, its length first. */
  text(value: string): this {
    const bytes = new TextEncoder().encode(value)
    return this.uint(bytes.length).bytes(bytes)
  }

  get length(): number {
    return this.#length
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

/** Reads what {@link Writer} wrote. Input is hostile: nothing is allocated before its size is known to be there. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #at = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
  }

  /** An integer in [0, max]. */
  uint(max: number): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.byte()
      value += (byte & 127) * scale
      if (byte < 128) {
        if (value > max) throw this.malformed(`${value} where at most ${max} may stand`)
        return value
      }
      scale *= 128
    }
    throw this.malformed('an endless integer')
  }

  byte(): number {
    if (this.#at >= this.#bytes.length) throw this.malformed('an early end')
    return this.#bytes[this.#at++]
  }

  bytes(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw this.malformed('an early end')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#at)
  }

  text(maxBytes: number): string {
    return new TextDecoder().decode(this.bytes(this.uint(maxBytes)))
  }

  malformed(found: string): MalformedError {
    return new MalformedError(`${this.#what} is malformed: ${found} at byte ${this.#at}`)
  }
}

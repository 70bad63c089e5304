import type { Hash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { AbortedError, GradmeshError, MalformedError, TooLargeError } from '../common/index.ts'
import type { SourceFile } from './files.ts'

/** Bytes of one array that are read into memory at most. */
export const MAX_ARRAY_BYTES = 2 ** 32
/** Bytes of one sample at most. */
export const MAX_SAMPLE_BYTES = 2 ** 24
/** No deflate stream expands more than this (zlib's own figure is 1032), so a header can be refused before anything is allocated. */
const MAX_DEFLATE_RATIO = 1032
const CHUNK = 128 * 1024

/** An array of unsigned bytes as the IDX format stores it. */
export interface IdxArray {
  /** Samples first. */
  dims: number[]
  data: Uint8Array
}

/** Reads the header of an IDX file. @returns its dimensions, or undefined while `bytes` is still too short */
export function parseIdxHeader(bytes: Uint8Array, rank: number, name: string): number[] | undefined {
  if (bytes.length >= 2 && (bytes[0] !== 0 || bytes[1] !== 0)) throw notIdx(name, bytes)
  if (bytes.length < 4) return undefined
  if (bytes[2] !== 8) {
    throw new MalformedError(
      `${name}: holds values of IDX type 0x${bytes[2]!.toString(16).padStart(2, '0')}; only 0x08, unsigned bytes, is read`
    )
  }
  if (bytes[3] !== rank)
    throw new MalformedError(`${name}: has ${bytes[3]} dimensions where ${rank} are expected${swapped(bytes[3]!, rank)}`)
  if (bytes.length < headerBytes(rank)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  if (dims.includes(0)) throw new MalformedError(`${name}: is empty, its header says ${dims.join(' × ')}`)
  const sample = dims.slice(1).reduce((a, b) => a * b, 1)
  if (sample > MAX_SAMPLE_BYTES) throw new TooLargeError(`${name}: a sample of ${sample} bytes is over the limit of ${MAX_SAMPLE_BYTES}`)
  return dims
}

/**
 * Reads an IDX array of unsigned bytes, plain or gzip (told apart by their first bytes). Nothing is allocated before the header's claim was
 * compared with what the file can hold, and nothing is decompressed beyond that claim.
 *
 * @param rank - dimensions it must have
 * @param hash - fed with the array's dimensions and bytes
 * @throws MalformedError that names the file and what is wrong with it
 */
export async function readIdx(file: SourceFile, rank: number, hash: Hash, signal?: AbortSignal): Promise<IdxArray> {
  const start = new Uint8Array(2)
  await file.handle.read(start, 0, 2, 0)
  const zipped = start[0] === 0x1f && start[1] === 0x8b
  const source = file.handle.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK })
  const reader = new IdxReader(file, rank, zipped, hash)
  const consume = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) reader.take(chunk)
  }
  try {
    if (zipped) await pipeline(source, createGunzip({ chunkSize: CHUNK }), consume, { signal })
    else await pipeline(source, consume, { signal })
  } catch (error) {
    if (signal?.aborted) throw new AbortedError(`reading ${file.shown} was aborted`, { cause: error })
    throw error instanceof GradmeshError ? error : reader.explain(error)
  }
  return reader.finish()
}

class IdxReader {
  readonly #file: SourceFile
  readonly #rank: number
  readonly #zipped: boolean
  readonly #hash: Hash
  #header = new Uint8Array(0)
  #array: IdxArray | undefined
  /** Bytes after the header. */
  #filled = 0

  constructor(file: SourceFile, rank: number, zipped: boolean, hash: Hash) {
    this.#file = file
    this.#rank = rank
    this.#zipped = zipped
    this.#hash = hash
  }

  take(chunk: Uint8Array): void {
    if (this.#array === undefined) {
      const missing = headerBytes(this.#rank) - this.#header.length
      this.#header = Buffer.concat([this.#header, chunk.subarray(0, missing)])
      const dims = parseIdxHeader(this.#header, this.#rank, this.#file.shown)
      if (dims === undefined) return
      this.#array = { dims, data: this.#allocate(dims) }
      this.#hash.update(`${dims.join('x')};`)
      chunk = chunk.subarray(missing)
    }
    const { data } = this.#array
    if (this.#filled + chunk.length > data.length) {
      throw new MalformedError(
        `${this.#file.shown}: holds more than the ${this.#expected()} bytes its header claims; it is damaged or no IDX file`
      )
    }
    data.set(chunk, this.#filled)
    this.#filled += chunk.length
    this.#hash.update(chunk)
  }

  finish(): IdxArray {
    const { shown } = this.#file
    if (this.#array === undefined) {
      if (this.#header.length < 2) throw new MalformedError(`${shown}: is no IDX file, it has ${this.#header.length} bytes`)
      throw new MalformedError(`${shown}: is truncated: expected ${headerBytes(this.#rank)} bytes of header, found ${this.#header.length}`)
    }
    if (this.#filled < this.#array.data.length) throw this.#truncated(headerBytes(this.#rank) + this.#filled)
    return this.#array
  }

  /** What an error of zlib or of the disk means. */
  explain(error: unknown): Error {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    if (code === 'Z_BUF_ERROR') {
      const inside = this.#array !== undefined && this.#filled < this.#array.data.length
      if (inside) return this.#truncated(headerBytes(this.#rank) + this.#filled, error)
      return new MalformedError(`${this.#file.shown}: is truncated: its gzip data lacks its end; copy it again`, { cause: error })
    }
    const what = code.startsWith('Z_') ? `its gzip data is damaged (${code})` : `reading failed (${code})`
    return new MalformedError(`${this.#file.shown}: ${what} after ${this.#filled} bytes; copy it again`, { cause: error })
  }

  #allocate(dims: number[]): Uint8Array {
    const claim = dims.reduce((a, b) => a * b, 1)
    const header = headerBytes(this.#rank)
    const { size, shown } = this.#file
    if (!this.#zipped && header + claim > size) throw this.#truncated(size, undefined, header + claim)
    if (this.#zipped && header + claim > size * MAX_DEFLATE_RATIO) {
      throw new MalformedError(
        `${shown}: is truncated or damaged: expected ${header + claim} bytes, which ${size} compressed bytes cannot hold`
      )
    }
    if (claim > MAX_ARRAY_BYTES) throw new TooLargeError(`${shown}: ${claim} bytes are over the limit of ${MAX_ARRAY_BYTES}`)
    return new Uint8Array(claim)
  }

  #expected(): number {
    return headerBytes(this.#rank) + (this.#array?.data.length ?? 0)
  }

  #truncated(found: number, cause?: unknown, expected = this.#expected()): Error {
    return new MalformedError(`${this.#file.shown}: is truncated: expected ${expected} bytes, found ${found}; copy it again`, { cause })
  }
}

function headerBytes(rank: number): number {
  return 4 + 4 * rank
}

function notIdx(name: string, bytes: Uint8Array): Error {
  const start = Buffer.from(bytes.subarray(0, 4)).toString('hex')
  return new MalformedError(`${name}: is no IDX file: it starts with 0x${start} and not with 0x0000`)
}

function swapped(found: number, expected: number): string {
  if (found === 1 && expected === 3) return '; it looks like a file of labels in the place of images'
  if (found === 3 && expected === 1) return '; it looks like a file of images in the place of labels'
  return ''
}

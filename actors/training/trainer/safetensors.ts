import { open, rename } from 'node:fs/promises'
import { MalformedError } from '../../../common/index.ts'

/** A named float32 tensor of a safetensors file. */
export interface NamedTensor {
  name: string
  shape: number[]
  data: Float32Array
}

/** Largest header accepted, bytes: the format's own limit. */
const MAX_HEADER = 100_000_000

/**
 * Writes a safetensors file: 8 bytes little-endian header length, a JSON header, the tensors in order. It appears under `path` only
 * once it is whole and on disk.
 */
export async function writeSafetensors(path: string, tensors: Iterable<NamedTensor>, metadata: Record<string, string> = {}): Promise<void> {
  const list = [...tensors]
  const header: Record<string, unknown> = { __metadata__: metadata }
  let offset = 0
  for (const { name, shape, data } of list) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  let json = JSON.stringify(header)
  // The data begins at a multiple of 8.
  json = json.padEnd(Math.ceil(Buffer.byteLength(json) / 8) * 8 - Buffer.byteLength(json) + json.length, ' ')
  const head = Buffer.from(json)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  const temporary = `${path}.${process.pid}.part`
  const file = await open(temporary, 'w')
  try {
    await file.write(length)
    await file.write(head)
    for (const { data } of list) await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, bytes: Uint8Array): Promise<void> {
  // Piecewise, so that a large tensor leaves the thread pool to others now and then.
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(bytes.length - at, 8 * 1024 * 1024))
    at += bytesWritten
  }
}

/**
 * Reads the float32 tensors of a safetensors file.
 *
 * @throws MalformedError naming the file and what is wrong with it, before anything of the claimed size is allocated
 */
export async function readSafetensors(path: string): Promise<{ tensors: Map<string, NamedTensor>; metadata: Record<string, string> }> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const length = Buffer.alloc(8)
    if ((await file.read(length, 0, 8, 0)).bytesRead < 8) throw new MalformedError(`${path}: shorter than a safetensors header`)
    const headerBytes = Number(length.readBigUInt64LE())
    if (headerBytes > MAX_HEADER || headerBytes + 8 > size) {
      throw new MalformedError(`${path}: claims a header of ${headerBytes} bytes, the file has ${size}`)
    }
    const head = Buffer.alloc(headerBytes)
    await file.read(head, 0, headerBytes, 8)
    const header = parseHeader(path, head.toString())
    const tensors = new Map<string, NamedTensor>()
    for (const [name, entry] of Object.entries(header)) {
      if (name === '__metadata__') continue
      const { shape, start, end } = checkEntry(path, name, entry, size - 8 - headerBytes)
      const bytes = new Uint8Array(end - start)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 8 + headerBytes + start)
      if (bytesRead < bytes.length) throw new MalformedError(`${path}: ends inside tensor ${name}`)
      tensors.set(name, { name, shape, data: new Float32Array(bytes.buffer) })
    }
    const metadata = header['__metadata__']
    return { tensors, metadata: typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, string>) : {} }
  } finally {
    await file.close()
  }
}

function parseHeader(path: string, text: string): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(text)
    if (typeof header === 'object' && header !== null && !Array.isArray(header)) return header as Record<string, unknown>
  } catch {}
  throw new MalformedError(`${path}: its header is not a JSON object`)
}

function checkEntry(path: string, name: string, entry: unknown, available: number): { shape: number[]; start: number; end: number } {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown }
  const wrong = (what: string) => new MalformedError(`${path}: tensor ${JSON.stringify(name.slice(0, 80))} ${what}`)
  if (dtype !== 'F32') throw wrong(`has type ${JSON.stringify(dtype)}; only F32 is read`)
  const natural = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0
  if (!Array.isArray(shape) || shape.length > 16 || !shape.every(natural)) throw wrong('has no valid shape')
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(natural)) throw wrong('has no valid offsets')
  const [start, end] = offsets as [number, number]
  const bytes = shape.reduce((a, b) => a * b, 4)
  if (end < start || end > available) throw wrong(`lies at ${start} to ${end}, beyond the file's ${available} bytes of data`)
  if (end - start !== bytes) throw wrong(`has ${end - start} bytes for shape [${shape}], which needs ${bytes}`)
  return { shape, start, end }
}

import { open, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, sep } from 'node:path'
import { toBinary } from '@bufbuild/protobuf'
import { AbortedError, InvalidParametersError, MalformedError, TooLargeError } from '../../common/index.ts'
import type { Graph } from '../graph/types.ts'
import { EXTERNAL } from './constants.ts'
import { type LoadOptions, loadOnnx, parse } from './load.ts'
import { type ModelProto, ModelProtoSchema, type TensorProto } from './pb/onnx_pb.ts'

/** Largest model file, bytes: what the format itself can hold. Weights beyond that lie in files of their own. */
const MAX_FILE = 2 ** 31 - 1
/** Largest external data of one model, bytes. */
const MAX_EXTERNAL = 2 ** 33

export interface OpenOptions extends Omit<LoadOptions, 'external' | 'name'> {
  signal?: AbortSignal
}

/**
 * A forward model from an ONNX file, with the data files that it names. Those must lie in the model's folder or below it.
 *
 * @throws InvalidParametersError when the file cannot be read
 * @throws MalformedError naming the file and what is wrong in it
 */
export async function openOnnx(path: string, options: OpenOptions = {}): Promise<Graph> {
  const { signal, ...rest } = options
  return await reading(path, signal, async () => {
    const { bytes, pieces } = await readModel(path, signal)
    return loadOnnx(bytes, { ...rest, name: path, external: (...wanted) => pieceOf(pieces, ...wanted) })
  })
}

/**
 * An ONNX file with the data files that it names taken into it, so that it can go elsewhere by itself. One that names none stays as it is.
 *
 * @throws TooLargeError when the whole is more than one file can hold, and as {@link openOnnx} does
 */
export async function packOnnx(path: string, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
  const { signal } = options
  return await reading(path, signal, async () => {
    const { bytes, pieces } = await readModel(path, signal)
    if (pieces.size === 0) return bytes
    const model = parse(bytes)
    let total = bytes.byteLength
    for (const tensor of externalTensors(model)) {
      const entry = (key: string) => tensor.externalData.find(e => e.key === key)?.value
      const length = entry('length')
      const piece = pieces.get(keyOf(entry('location') ?? '', Number(entry('offset') ?? 0), length))!
      total += piece.byteLength
      if (total > MAX_FILE) throw new TooLargeError(`${path} and its data files have over ${MAX_FILE} bytes; more cannot travel with a job`)
      tensor.rawData = piece
      tensor.dataLocation = 0
      tensor.externalData = []
    }
    return toBinary(ModelProtoSchema, model)
  })
}

/** Turns what the file system refuses into an error that names the file. */
async function reading<T>(path: string, signal: AbortSignal | undefined, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (signal?.aborted) throw new AbortedError(`opening ${path} was aborted`, { cause: error })
    const code = (error as NodeJS.ErrnoException).code
    if (typeof code === 'string') throw new InvalidParametersError(`${path} cannot be read (${code})`, { cause: error })
    throw error
  }
}

async function readModel(path: string, signal?: AbortSignal): Promise<{ bytes: Uint8Array; pieces: Map<string, Uint8Array> }> {
  const info = await stat(path)
  if (!info.isFile()) throw new InvalidParametersError(`${path} is no file`)
  if (info.size > MAX_FILE) throw new TooLargeError(`${path} has ${info.size} bytes; an ONNX file has at most ${MAX_FILE}`)
  const bytes = await readFile(path, { signal })
  return { bytes, pieces: await readExternal(path, bytes, signal) }
}

/** A tensor that names no length has the rest of its file. */
function keyOf(location: string, offset: number, length: string | undefined): string {
  return `${location}@${offset}+${length ?? ''}`
}

function pieceOf(pieces: ReadonlyMap<string, Uint8Array>, tensor: string, location: string, offset: number, length: number): Uint8Array {
  const piece = pieces.get(keyOf(location, offset, String(length))) ?? pieces.get(keyOf(location, offset, undefined))?.subarray(0, length)
  if (piece?.byteLength === length) return piece
  throw new MalformedError(`${tensor}: its data file '${location}' holds too little`)
}

function* externalTensors(model: ModelProto): Generator<TensorProto> {
  for (const t of model.graph?.initializer ?? []) if (t.dataLocation === EXTERNAL) yield t
  for (const n of model.graph?.node ?? []) {
    for (const a of n.attribute) if (a.t?.dataLocation === EXTERNAL) yield a.t
  }
}

/** Reads every range that a tensor of the model names, after checking that it lies inside the model's folder and inside its file. */
async function readExternal(path: string, bytes: Uint8Array, signal?: AbortSignal): Promise<Map<string, Uint8Array>> {
  const pieces = new Map<string, Uint8Array>()
  let model: ModelProto
  try {
    model = parse(bytes)
  } catch {
    // The loader says what is wrong.
    return pieces
  }
  let total = 0
  for (const tensor of externalTensors(model)) {
    signal?.throwIfAborted()
    const entry = (key: string) => tensor.externalData.find(e => e.key === key)?.value
    const location = entry('location') ?? ''
    const offset = Number(entry('offset') ?? 0)
    const file = await inside(path, tensor.name, location)
    const { size } = await stat(file)
    const length = Number(entry('length') ?? size - offset)
    if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0 && offset + length <= size)) {
      throw new MalformedError(
        `${path}: tensor '${tensor.name}' needs bytes ${offset} to ${offset + length} of '${location}', which has ${size}`
      )
    }
    total += length
    if (total > MAX_EXTERNAL) throw new TooLargeError(`${path}: its data files hold more than ${MAX_EXTERNAL} bytes`)
    const key = keyOf(location, offset, entry('length'))
    if (!pieces.has(key)) pieces.set(key, await range(file, offset, length))
  }
  return pieces
}

async function range(file: string, offset: number, length: number): Promise<Uint8Array> {
  const handle = await open(file, 'r')
  try {
    const buffer = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await handle.read(buffer, done, Math.min(length - done, 2 ** 30), offset + done)
      if (bytesRead === 0) throw new MalformedError(`${file} ended while it was read`)
      done += bytesRead
    }
    return buffer
  } finally {
    await handle.close()
  }
}

async function inside(path: string, tensor: string, location: string): Promise<string> {
  const folder = await realpath(dirname(path))
  const refuse = (why: string): never => {
    throw new MalformedError(`${path}: data file '${location}' of tensor '${tensor}' ${why}`)
  }
  if (location === '' || isAbsolute(location) || location.includes('\0')) return refuse('must be a path inside the model’s folder')
  let file: string
  try {
    file = await realpath(join(folder, location))
  } catch {
    return refuse('is not there')
  }
  if (!file.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return refuse('lies outside the model’s folder')
  return file
}

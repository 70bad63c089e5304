import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { AbortedError, InvalidParametersError, NotFoundError, TooLargeError } from '../../../common/index.ts'
import { type CaffeNet, type CaffeSolver, isSolver, type NetReference, parseNet, parseSolver } from '../../../models/index.ts'
import { modelFileName } from './file-name.ts'

/** Largest net or solver, bytes. */
const MAX_FILE = 16 * 1024 * 1024
/** Largest file of weights or of a solver's state, bytes: protobuf's own limit. */
export const MAX_WEIGHTS = 2 ** 31 - 1
/** Folders above a solver that its net is looked for in. */
const MAX_ABOVE = 6

/** A net or solver of Caffe's, with the nets that it names. */
export interface CaffeFiles {
  text: string
  solver?: CaffeSolver
  net: CaffeNet
  /** The net that is tested, where it is another. */
  testNet?: CaffeNet
  /** Texts of the nets that the solver names, by the names that they have in a job. */
  nets: Map<string, string>
}

export interface ReadOptions {
  /** The files lie in a job: side by side, known to their user by their names. */
  carried?: boolean
  signal?: AbortSignal
}

/**
 * Reads a net, or a solver and its nets. A solver names them from where Caffe was started; they are looked for from here, from the folders
 * above the solver, and beside it.
 *
 * @throws InvalidParametersError, NotFoundError, MalformedError, TooLargeError naming the file
 */
export async function readCaffe(path: string, { carried = false, signal }: ReadOptions = {}): Promise<CaffeFiles> {
  const shown = (path: string) => (carried ? basename(path) : path)
  const text = await readText(path, signal)
  const nets = new Map<string, string>()
  if (!isSolver(text)) return { text, net: parseNet(text, shown(path)), nets }
  const solver = parseSolver(text, shown(path))
  const read = async (reference: NetReference): Promise<CaffeNet> => {
    if ('net' in reference) return reference.net
    const name = netName(reference.file, path)
    const file = carried ? join(dirname(path), name) : await find(reference.file, path)
    if (file === undefined) {
      throw new NotFoundError(`${reference.at}: the net '${reference.file}' is not there; put it beside ${basename(path)} or give its path`)
    }
    const text = await readText(file, signal)
    nets.set(name, text)
    return parseNet(text, shown(file))
  }
  const net = await read(solver.train)
  return { text, solver, net, ...(solver.test === undefined ? {} : { testNet: await read(solver.test) }), nets }
}

/** What a net is called in a job beside its solver. */
function netName(file: string, solver: string): string {
  const name = modelFileName(file)
  return name === modelFileName(solver) ? `net-${name}` : name
}

/** Where a file lies that a solver names. */
export async function find(file: string, solver: string): Promise<string | undefined> {
  const candidates = [resolve(file)]
  for (let at = dirname(resolve(solver)), up = 0; !isAbsolute(file) && up < MAX_ABOVE; at = dirname(at), up++)
    candidates.push(join(at, file))
  candidates.push(join(dirname(solver), basename(file)))
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => undefined)
    if (found?.isFile() === true) return candidate
  }
  return undefined
}

async function readText(path: string, signal?: AbortSignal): Promise<string> {
  const bytes = await readBytes(path, MAX_FILE, signal)
  return new TextDecoder().decode(bytes)
}

/** @throws InvalidParametersError, TooLargeError naming the file */
export async function readBytes(path: string, most: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const info = await stat(path)
    if (!info.isFile()) throw new InvalidParametersError(`${path} is no file`)
    if (info.size > most) throw new TooLargeError(`${path} has ${info.size} bytes; at most ${most} are read`)
    return await readFile(path, signal === undefined ? {} : { signal })
  } catch (error) {
    if (signal?.aborted) throw new AbortedError(`reading ${path} was aborted`, { cause: error })
    const code = (error as NodeJS.ErrnoException).code
    if (typeof code === 'string') throw new InvalidParametersError(`${path} cannot be read (${code})`, { cause: error })
    throw error
  }
}

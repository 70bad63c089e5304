import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { CallOptions, JobEvent, JobFile, JobSpec, NodeService } from '../actors/training/service-types.ts'
import { InvalidParametersError, MalformedError } from '../common/index.ts'
import { makeFolder } from '../mesh/state/index.ts'

const CONFIG = 'config.json'
const METRICS = 'metrics.jsonl'
const CHECKPOINTS = 'checkpoints'
const MANIFEST = 'manifest.json'

/** What `config.json` holds. */
export interface RunConfig {
  job: string
  spec: JobSpec
  [more: string]: unknown
}

/**
 * A run's folder: `config.json`, `metrics.jsonl`, `checkpoints/`, `model.onnx`. Everything but the metrics, which grow line by
 * line, appears whole or not at all; a checkpoint is there when its manifest is.
 */
export class RunFolder {
  /** Absolute. */
  readonly path: string
  readonly #metrics: number
  /** Content of the files that have been fetched. */
  readonly #fetched = new Map<string, string>()

  /** The topmost folder that was made for this one. */
  readonly #made: string | undefined

  private constructor(path: string, made?: string) {
    this.path = path
    this.#made = made
    this.#metrics = wrap(path, () => openSync(join(path, METRICS), 'a', 0o644))
  }

  /**
   * A folder for a new run, made where it is absent.
   *
   * @param of.job - a job whose folder it may be already
   * @throws InvalidParametersError when it cannot be written, or holds another run
   */
  static create(path: string, of: { job?: string } = {}): RunFolder {
    const made = wrap(path, () => makeFolder(path))
    if (existsSync(join(path, CONFIG)) && (of.job === undefined || readConfig(path).job !== of.job)) {
      throw new InvalidParametersError(`${path} holds another run; give an empty --out, or continue that run with --resume ${path}`)
    }
    // Fetching a job again tells its metrics from the beginning.
    if (of.job !== undefined) wrap(path, () => rmSync(join(path, METRICS), { force: true }))
    return new RunFolder(path, made)
  }

  /** The folder of an earlier run, to go on in. @throws InvalidParametersError when it cannot be written */
  static resume(path: string): RunFolder {
    return new RunFolder(path)
  }

  writeConfig(config: RunConfig): void {
    writeAtomically(join(this.path, CONFIG), `${JSON.stringify(config, null, 2)}\n`)
  }

  /** Adds an event to the metrics; what nodes log for people is no metric. */
  append(event: JobEvent): void {
    if (event.type === 'log') return
    wrap(this.path, () => writeSync(this.#metrics, `${JSON.stringify(event)}\n`))
  }

  /** Brings the job's files that are not here yet. @returns all of them */
  async sync(service: NodeService, job: string, options: CallOptions = {}): Promise<JobFile[]> {
    const files = await service.files(job, options)
    const last = (file: JobFile) => Number(file.name.endsWith(`/${MANIFEST}`))
    for (const file of files.toSorted((a, b) => last(a) - last(b) || a.name.localeCompare(b.name))) {
      if (this.#fetched.get(file.name) === file.cid) continue
      await this.#fetch(service, job, file, options)
      this.#fetched.set(file.name, file.cid)
    }
    return files
  }

  /** Whether `--resume` would find a checkpoint here. */
  get resumable(): boolean {
    return newestCheckpoint(this.path) !== undefined
  }

  close(): void {
    closeSync(this.#metrics)
  }

  /** Closes it and leaves nothing behind of a run that never began. */
  abandon(): void {
    this.close()
    const metrics = join(this.path, METRICS)
    if (existsSync(join(this.path, CONFIG)) || statSync(metrics).size > 0) return
    rmSync(metrics)
    if (this.#made === undefined) return
    for (let at = this.path; readdirSync(at).length === 0; at = dirname(at)) {
      rmdirSync(at)
      if (at === this.#made) return
    }
  }

  async #fetch(service: NodeService, job: string, file: JobFile, options: CallOptions): Promise<void> {
    const path = join(this.path, ...safeParts(file.name))
    wrap(this.path, () => makeFolder(dirname(path)))
    const temporary = `${path}.${process.pid}.tmp`
    const handle = await open(temporary, 'w', 0o644)
    try {
      let size = 0
      for await (const chunk of service.file(job, file.name, options)) {
        size += chunk.byteLength
        if (size > file.bytes) break
        await handle.write(chunk)
      }
      if (size !== file.bytes) throw new MalformedError(`${file.name} of job ${job} has ${file.bytes} bytes, but ${size} or more came`)
      await handle.sync()
      await handle.close()
      renameSync(temporary, path)
      syncFolder(dirname(path))
    } catch (error) {
      await handle.close().catch(() => {})
      rmSync(temporary, { force: true })
      throw error
    }
  }
}

/** @throws InvalidParametersError when the folder holds no run */
function readConfig(path: string): RunConfig {
  let config: unknown
  try {
    config = JSON.parse(readFileSync(join(path, CONFIG), 'utf8'))
  } catch (error) {
    throw new InvalidParametersError(`${path} is no run's folder: ${join(path, CONFIG)} cannot be read (${(error as Error).message})`)
  }
  const { job, spec } = (config ?? {}) as Partial<RunConfig>
  if (typeof job !== 'string' || typeof spec !== 'object' || spec === null) {
    throw new InvalidParametersError(`${join(path, CONFIG)} is not the configuration of a run`)
  }
  return config as RunConfig
}

/** What a run can go on from. @throws InvalidParametersError when `path` is no run's folder or holds no complete checkpoint */
export function earlierRun(path: string): { config: RunConfig; checkpoint: string } {
  const config = readConfig(path)
  const checkpoint = newestCheckpoint(path)
  if (checkpoint !== undefined) return { config, checkpoint }
  throw new InvalidParametersError(`${path} holds no complete checkpoint to resume from; train anew with another --out`)
}

/** The complete checkpoint with the highest name; names begin with the step, padded to one width. */
function newestCheckpoint(path: string): string | undefined {
  const folder = join(path, CHECKPOINTS)
  if (!existsSync(folder)) return undefined
  return readdirSync(folder)
    .filter(name => existsSync(join(folder, name, MANIFEST)))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map(name => join(folder, name))
    .at(-1)
}

/** Writes a file that is there whole or not at all, also after a power failure. */
function writeAtomically(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.tmp`
  wrap(dirname(path), () => {
    const file = openSync(temporary, 'w', 0o644)
    try {
      writeSync(file, content)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    syncFolder(dirname(path))
  })
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** The parts of a file's name, which another node chose: nothing of it may leave the folder or replace what this side writes. */
function safeParts(name: string): string[] {
  const parts = name.split('/')
  const safe = parts.length <= 8 && name.length <= 512 && parts.every(part => /^\w[\w.-]*$/.test(part))
  if (!safe || name === CONFIG || name === METRICS) throw new MalformedError(`a job's file may not be called '${name.slice(0, 200)}'`)
  return parts
}

function wrap<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined) throw error
    const why = existsSync(path) && !statSync(path).isDirectory() ? 'it is not a folder' : (error as Error).message
    throw new InvalidParametersError(`the folder ${path} cannot be written: ${why}`, { cause: error })
  }
}

import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encode } from 'cborg'
import { z } from 'zod'
import { type Logger, MalformedError, NotFoundError, rendezvousOrder } from '../../../common/index.ts'
import type { Mesh } from '../../../mesh/index.ts'
import { type Block, type Progress, parseProgress } from '../job/records.ts'
import { chunks, describe, pathOf, store } from './files.ts'
import { decodeOrUndefined, type LocalJob } from './local-job.ts'

/** Folder of a job's folder that holds the files of its model. */
const MODEL = 'model'

export const FILE_PROTOCOL = '/gradmesh/file/1.0.0'
const RECORD_TTL = 14 * 86_400_000
/** Nodes that keep a copy of each checkpoint and model. */
const COPIES = 3
/** Checkpoints offered of one job; the older ones stay in their folder but are not announced. */
const OFFERED_CHECKPOINTS = 4

/** What a job leaves behind and nodes keep for one another; nothing else in a job's folder is a peer's to name. */
const offered = /^(model\.onnx|model\/\w[\w.-]{0,99}|(checkpoints\/\d{1,16}|resume)\/(state\.safetensors|manifest\.json))$/
/** Largest file taken from a peer: parameters and optimizer state of the largest model. */
const MAX_FILE = 64 * 2 ** 30
const offerSchema = z
  .array(z.object({ name: z.string().regex(offered), cid: z.string().max(128), bytes: z.number().int().nonnegative().max(MAX_FILE) }))
  .max(256)
const requestSchema = z.object({ job: z.string().max(256), cid: z.string().max(128) })

export interface FilesInit {
  mesh: Mesh
  logger: Logger
  /** Where the jobs' folders lie. */
  folder: string
  job(id: string): LocalJob | undefined
}

/** The files that jobs leave behind: announced by their content, fetched from whoever holds them, copied to a few nodes. */
export class Files {
  readonly #init: FilesInit
  readonly #offs: (() => void)[] = []
  readonly #fetching = new Map<string, Promise<string>>()

  constructor(init: FilesInit) {
    this.#init = init
  }

  start(): void {
    const { mesh } = this.#init
    this.#offs.push(
      mesh.handleStream(FILE_PROTOCOL, request => this.#serve(request)),
      mesh.records.on('job-files', record => {
        this.#copy(record.key, record.payload, record.author).catch(error => this.#init.logger.warn(`no copy kept: ${error.message}`))
      })
    )
  }

  close(): void {
    for (const off of this.#offs) off()
  }

  /** Announces files below the job's folder. */
  async offer(job: LocalJob, names: string[]): Promise<void> {
    for (const name of names) job.files.set(name, await describe(job.folder, name))
    await this.#announce(job)
  }

  /** Takes note of files that an earlier life of this node left. */
  async discover(job: LocalJob): Promise<void> {
    const names = await readdir(job.folder, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of names) {
      const name = join(entry.parentPath, entry.name).slice(job.folder.length + 1)
      if (!entry.isFile() || !offered.test(name)) continue
      try {
        job.files.set(name, await describe(job.folder, name))
      } catch {}
    }
    if (job.files.size > 0) await this.#announce(job)
  }

  /** Takes a checkpoint's folder as the beginning of a job that is about to be submitted. */
  async adopt(job: string, checkpoint: string): Promise<Block[]> {
    const folder = join(this.#init.folder, job)
    await mkdir(join(folder, 'resume'), { recursive: true })
    return await Promise.all(
      ['state.safetensors', 'manifest.json'].map(async name => {
        await copyFile(join(checkpoint, name), join(folder, 'resume', name))
        return await describe(folder, `resume/${name}`)
      })
    )
  }

  /** Where the model's files of a job lie on this node. */
  modelFolder(job: string): string {
    return join(this.#init.folder, job, MODEL)
  }

  /** Takes files that lie in {@link Files.modelFolder} as the model of a job that is about to be submitted. */
  async adoptModel(job: string, names: string[]): Promise<Block[]> {
    return await Promise.all(names.map(name => describe(join(this.#init.folder, job), `${MODEL}/${name}`)))
  }

  /** Brings the model's files of a job to this node, where it carries any. */
  async fetchModel(job: LocalJob): Promise<void> {
    for (const block of job.record.model ?? []) {
      if (!block.name.startsWith(`${MODEL}/`) || !offered.test(block.name))
        throw new MalformedError(`the job names ${block.name} as its model`)
      await this.#fetch(job, block)
    }
  }

  /** Every file of a job that some node holds: the newest announcement of each name. */
  list(job: LocalJob): Block[] {
    const files = new Map<string, Block>()
    for (const { blocks } of this.#offers(job.record.job)) for (const block of blocks) files.set(block.name, block)
    for (const block of job.files.values()) files.set(block.name, block)
    return [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** The content of a file, from this node or any that holds it. @throws NotFoundError */
  async *read(job: LocalJob, name: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    if (job.files.has(name)) {
      yield* chunks(pathOf(job.folder, name))
      return
    }
    const block = this.list(job).find(f => f.name === name)
    if (block === undefined) throw new NotFoundError(`job ${job.record.job} has no file ${name}`)
    const path = await this.#fetch(job, block, signal)
    yield* chunks(path)
  }

  /** Where the job's first checkpoint lies on this node, fetched if need be; undefined when the job begins from its seed. */
  async resumePaths(job: LocalJob): Promise<{ state: string; manifest: string } | undefined> {
    const blocks = job.record.resume
    if (blocks === undefined) return undefined
    const path = async (suffix: string) => {
      const block = blocks.find(b => b.name.endsWith(suffix))
      if (block === undefined) throw new MalformedError(`the job's checkpoint has no ${suffix}`)
      return await this.#fetch(job, block)
    }
    return { state: await path('.safetensors'), manifest: await path('manifest.json') }
  }

  /** Where a checkpoint that this job wrote lies on this node, fetched if need be. */
  async checkpointPaths(job: LocalJob, checkpoint: string): Promise<{ state: string; manifest: string }> {
    const path = async (part: string) => {
      const name = `checkpoints/${checkpoint}/${part}`
      const block = this.list(job).find(f => f.name === name)
      if (block === undefined) throw new NotFoundError(`no live node holds ${name} of job ${job.record.job}`)
      return await this.#fetch(job, block)
    }
    return { state: await path('state.safetensors'), manifest: await path('manifest.json') }
  }

  /** Where the job goes on when no trainer holds a state of it: its newest checkpoint, else where it began. */
  async startProgress(job: LocalJob): Promise<Progress & { checkpoint?: string }> {
    const names = new Set(this.list(job).map(f => f.name))
    const checkpoints = [...names].filter(n => n.startsWith('checkpoints/') && n.endsWith('/manifest.json')).map(n => n.split('/')[1]!)
    for (const checkpoint of checkpoints.sort().reverse()) {
      if (!names.has(`checkpoints/${checkpoint}/state.safetensors`)) continue
      try {
        const { manifest } = await this.checkpointPaths(job, checkpoint)
        const progress = parseProgress(JSON.parse(await readFile(manifest, 'utf8')))
        if (progress !== undefined) return { ...progress, checkpoint }
      } catch (error) {
        this.#init.logger.warn(`checkpoint ${checkpoint} of job ${job.record.job} cannot be used: ${(error as Error).message}`)
      }
    }
    const paths = await this.resumePaths(job)
    if (paths === undefined) return { step: 0, epoch: 0, position: 0 }
    const progress = parseProgress(JSON.parse(await readFile(paths.manifest, 'utf8')))
    if (progress === undefined) throw new MalformedError(`${paths.manifest}: no step, epoch and position`)
    return progress
  }

  async #announce(job: LocalJob): Promise<void> {
    const checkpoints = [...new Set([...job.files.keys()].filter(n => n.startsWith('checkpoints/')).map(n => n.split('/')[1]!))].sort()
    const old = new Set(checkpoints.slice(0, -OFFERED_CHECKPOINTS))
    const blocks = [...job.files.values()].filter(b => !old.has(b.name.split('/')[1] ?? ''))
    const { mesh } = this.#init
    await mesh.records.put('job-files', `${job.record.job}/${mesh.peer}`, encode(blocks), { ttl: RECORD_TTL, durable: true })
  }

  #offers(job: string): { holder: string; blocks: Block[] }[] {
    return this.#init.mesh.records
      .list('job-files')
      .filter(r => r.key.startsWith(`${job}/`))
      .flatMap(r => {
        const parsed = offerSchema.safeParse(decodeOrUndefined(r.payload))
        return parsed.success ? [{ holder: r.author, blocks: parsed.data }] : []
      })
  }

  /** Fetches a file from whoever alive announces its content. @returns its path on this node */
  #fetch(job: LocalJob, block: Block, signal?: AbortSignal): Promise<string> {
    const path = pathOf(job.folder, block.name)
    if (job.files.get(block.name)?.cid === block.cid) return Promise.resolve(path)
    // Two that want the same file wait for one transfer.
    const running = this.#fetching.get(path) ?? this.#transfer(job, block, path, signal).finally(() => this.#fetching.delete(path))
    this.#fetching.set(path, running)
    return running
  }

  async #transfer(job: LocalJob, block: Block, path: string, signal?: AbortSignal): Promise<string> {
    const { mesh } = this.#init
    const alive = mesh.alive()
    const holders = this.#offers(job.record.job)
      .filter(o => o.holder !== mesh.peer && alive.includes(o.holder) && o.blocks.some(b => b.cid === block.cid))
      .map(o => o.holder)
    let last: unknown = new NotFoundError(`no live node holds ${block.name} of job ${job.record.job}; try again when its holder is back`)
    for (const holder of holders) {
      try {
        const request = encode({ job: job.record.job, cid: block.cid })
        await store(job.folder, block, mesh.stream(holder, FILE_PROTOCOL, request, signal === undefined ? {} : { signal }))
        job.files.set(block.name, block)
        return path
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  /** Keeps a copy of what another node announced, when this node is among those that should. */
  async #copy(key: string, payload: Uint8Array, author: string): Promise<void> {
    const { mesh, logger } = this.#init
    const job = this.#init.job(key.slice(0, key.indexOf('/')))
    const parsed = offerSchema.safeParse(decodeOrUndefined(payload))
    if (job === undefined || author === mesh.peer || !parsed.success) return
    const keepers = rendezvousOrder(
      `${job.record.job}/files`,
      mesh.alive().filter(p => p !== author)
    ).slice(0, COPIES - 1)
    if (!keepers.includes(mesh.peer)) return
    let copied = false
    for (const block of parsed.data) {
      // What this node holds under a name is never replaced by a peer's word.
      if (job.files.has(block.name)) continue
      try {
        await this.#fetch(job, block)
        copied = true
      } catch (error) {
        logger.debug(`no copy of ${block.name}: ${(error as Error).message}`)
      }
    }
    if (copied) await this.#announce(job)
  }

  async *#serve(request: Uint8Array): AsyncGenerator<Uint8Array> {
    const parsed = requestSchema.safeParse(decodeOrUndefined(request))
    if (!parsed.success) throw new MalformedError('a file request needs job and cid')
    const job = this.#init.job(parsed.data.job)
    const block = [...(job?.files.values() ?? [])].find(b => b.cid === parsed.data.cid)
    if (job === undefined || block === undefined) throw new NotFoundError(`no file ${parsed.data.cid} of job ${parsed.data.job} here`)
    yield* chunks(pathOf(job.folder, block.name))
  }
}

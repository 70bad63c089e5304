import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { monitorEventLoopDelay } from 'node:perf_hooks'
import { InvalidParametersError, NotFoundError, rendezvousOrder } from '../../../common/index.ts'
import { type Dataset, openDataset } from '../../../datasets/index.ts'
import type { Mesh } from '../../../mesh/index.ts'
import type { Runtime } from '../../runtime/index.ts'
import { Job } from '../actors.ts'
import { strategyNamed } from '../exchange/index.ts'
import { oneLossPauses, votersOf } from '../job/group.ts'
import { type Block, checkSpec, type JobRecord, parseProgress, samplesAStep } from '../job/records.ts'
import { isSnapshot, modelFileName, prepareModel, type SnapshotRequest } from '../model/index.ts'
import {
  type CallOptions,
  type EventLoopDelay,
  isFinal,
  type JobEvent,
  type JobFile,
  type JobSpec,
  type JobStatus,
  type MemberStatus,
  type NodeService,
  type NodeStatus,
  type TrainerStatus
} from '../service-types.ts'
import type { TrainerState } from '../trainer/definition.ts'
import type { NodeAgent } from './agent.ts'
import { follow } from './follow.ts'
import type { LocalJob } from './local-job.ts'
import { version } from './version.ts'

type Histogram = ReturnType<typeof monitorEventLoopDelay>

/** Metrics older than this no longer count towards a job's speed, ms. */
const SPEED_WINDOW = 5000

export interface ServiceInit {
  mesh: Mesh
  runtime: Runtime
  agent: NodeAgent
  node: string
  dataRoots?: string[]
  delay: Histogram
  leave(): Promise<void>
  close(): Promise<void>
}

/** What a node offers to whoever stands on the same machine. */
export class Service implements NodeService {
  readonly #init: ServiceInit

  constructor(init: ServiceInit) {
    this.#init = init
  }

  async status(): Promise<NodeStatus> {
    const { mesh, delay, node } = this.#init
    const self = mesh.capabilities(mesh.peer)
    return {
      node,
      peer: mesh.peer,
      mesh: mesh.name,
      version,
      addresses: mesh.addresses(),
      members: this.#members(),
      devices: self?.devices ?? [],
      fabrics: self?.fabrics ?? [],
      trainers: await this.#trainers(),
      eventLoopDelay: percentiles(delay),
      jobs: await this.jobs()
    }
  }

  async submit(input: JobSpec, options: CallOptions = {}): Promise<{ job: string; warnings: string[] }> {
    const { mesh, agent } = this.#init
    let spec = checkSpec(input)
    const strategy = strategyNamed(spec.strategy)
    strategy.create(spec.strategyOptions ?? {})
    if (spec.resume !== undefined && !isSnapshot(spec.resume)) await latestCheckpoint(spec.resume)
    const dataset = await openDataset(spec.data, {
      ...(this.#init.dataRoots === undefined ? {} : { dataRoots: this.#init.dataRoots }),
      ...(options.signal === undefined ? {} : { signal: options.signal })
    })
    const slots = agent.slots()
    const free = slots.filter(s => s.free).length
    const asked = spec.trainers === 'all' ? 1 : spec.trainers
    if (asked > free && !spec.wait) {
      const nodes = mesh.alive().length
      throw new InvalidParametersError(
        `${asked} trainers need as many free devices: this mesh of ${nodes} node${nodes === 1 ? '' : 's'} has ${free} free of ${slots.length}; add nodes with mesh join, ask for fewer, or give --wait`
      )
    }
    const trainers = spec.trainers === 'all' ? Math.max(1, free) : spec.trainers
    const batch = spec.globalBatch ?? samplesAStep(spec)! * trainers
    if (batch > dataset.train.count) {
      throw new InvalidParametersError(
        `a batch of ${batch} over all trainers is larger than the ${dataset.train.count} samples of ${spec.data}`
      )
    }
    spec = withEpochs(spec, batch, dataset.train.count, strategy.synchronous)
    const job = randomBytes(5).toString('hex')
    const snapshot = this.#snapshot(spec, job, batch, dataset.train.count)
    const model = await this.#model(spec, dataset, job, { ...options, ...(snapshot === undefined ? {} : { snapshot }) })
    const local = await this.#resume(spec, job, snapshot)
    const hosts = this.#likelyHosts(job, trainers)
    const record: JobRecord = {
      job,
      // Elsewhere its file goes by the name that it has in the job.
      spec: model.length > 0 ? { ...spec, model: modelFileName(spec.model) } : spec,
      submitted: Date.now(),
      submitter: mesh.peer,
      voters: votersOf(
        job,
        hosts.map(node => ({ node })),
        mesh.alive()
      ),
      fingerprint: dataset.fingerprint,
      ...(local === undefined ? {} : { resume: local }),
      ...(model.length > 0 ? { model } : {})
    }
    await agent.submit(record)
    const warnings: string[] = []
    if (strategy.synchronous && spec.onSplit === 'wait' && record.voters.length > 1 && oneLossPauses(record.voters.length)) {
      warnings.push(
        `with ${record.voters.length} nodes, losing one pauses this job until it is back; a third node, or --on-split continue, avoids that`
      )
    }
    return { job, warnings }
  }

  async jobs(): Promise<JobStatus[]> {
    return await Promise.all(this.#init.agent.jobs.sort((a, b) => a.record.submitted - b.record.submitted).map(job => this.#status(job)))
  }

  async job(id: string): Promise<JobStatus> {
    return await this.#status(await this.#find(id))
  }

  async *follow(id: string, options: CallOptions & { from?: number; live?: boolean } = {}): AsyncIterable<JobEvent> {
    const job = await this.#find(id)
    let skip = options.from ?? 0
    let final = false
    for await (const event of follow(this.#init.mesh, job, options)) {
      if (event.type === 'state' && isFinal(event.state)) {
        final = true
        // Whoever hears that a job is over finds it over here too: the event may have come before the record.
        await settled(job, options.signal)
      }
      if (skip-- > 0) continue
      yield event
    }
    // The node that reported the end may have died since; its record has not.
    if (!final && job.result !== undefined) {
      const { state, message } = job.result
      yield { type: 'state', job: job.record.job, state, ...(message === '' ? {} : { message }) }
    }
  }

  async stop(id: string, options: CallOptions = {}): Promise<void> {
    const job = await this.#find(id)
    if (job.result !== undefined) return
    await this.#init.agent.stop(job.record.job)
    for await (const _ of this.follow(job.record.job, options)) if (job.result !== undefined) return
  }

  async files(id: string): Promise<JobFile[]> {
    return this.#init.agent.files.list(await this.#find(id))
  }

  async *file(id: string, name: string, options: CallOptions = {}): AsyncIterable<Uint8Array> {
    yield* this.#init.agent.files.read(await this.#find(id), name, options.signal)
  }

  async invite(options: CallOptions & { ttl: number }): Promise<string> {
    return this.#init.mesh.invite({ ttl: options.ttl })
  }

  leave(): Promise<void> {
    return this.#init.leave()
  }

  close(): Promise<void> {
    return this.#init.close()
  }

  /** A job that was just submitted elsewhere may be a moment away. */
  async #find(id: string): Promise<LocalJob> {
    for (let attempt = 0; ; attempt++) {
      try {
        return this.#init.agent.job(id)
      } catch (error) {
        if (!(error instanceof NotFoundError) || attempt >= 20) throw error
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
  }

  /** The nodes that will probably host the first trainers: they vote on the first generation. */
  #likelyHosts(job: string, trainers: number): string[] {
    const free = this.#init.agent.slots().filter(s => s.free)
    const names = rendezvousOrder(
      `${job}/slots`,
      free.map(s => `${s.node}/${s.device}`)
    ).slice(0, trainers)
    const hosts = [...new Set(names.map(n => n.slice(0, n.indexOf('/'))))]
    return hosts.length > 0 ? hosts : [this.#init.mesh.peer]
  }

  /** Checks the model against the data, and takes up the files that the job is to carry of it. */
  async #model(spec: JobSpec, data: Dataset, job: string, options: CallOptions & { snapshot?: SnapshotRequest }): Promise<Block[]> {
    const { files } = this.#init.agent
    const folder = files.modelFolder(job)
    try {
      const { fingerprint, scaling } = data
      const context = { spec, data: { ...fingerprint, ...(scaling === undefined ? {} : { scaling }) } }
      return await files.adoptModel(job, await prepareModel(context, folder, options))
    } catch (error) {
      await rm(dirname(folder), { recursive: true, force: true })
      throw error
    }
  }

  /** What a job goes on from where that is another program's snapshot, to be made a checkpoint. */
  #snapshot(spec: JobSpec, job: string, samples: number, count: number): SnapshotRequest | undefined {
    if (spec.resume === undefined || !isSnapshot(spec.resume)) return undefined
    const folder = join(dirname(this.#init.agent.files.modelFolder(job)), 'snapshot')
    return { path: spec.resume, folder, optimizer: spec.optimizer, seed: spec.seed, samples, count }
  }

  async #resume(spec: JobSpec, job: string, snapshot: SnapshotRequest | undefined) {
    if (spec.resume === undefined) return undefined
    const folder = snapshot?.folder ?? (await latestCheckpoint(spec.resume))
    const manifest: unknown = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
    if (parseProgress(manifest) === undefined) throw new InvalidParametersError(`${folder}/manifest.json is no checkpoint's manifest`)
    const blocks = await this.#init.agent.files.adopt(job, folder)
    if (snapshot !== undefined) await rm(folder, { recursive: true, force: true })
    return blocks
  }

  async #status(job: LocalJob): Promise<JobStatus> {
    const { record, result, latest } = job
    const status: JobStatus = {
      job: record.job,
      spec: record.spec,
      state: result?.state ?? (job.stopping ? 'stopping' : 'starting'),
      generation: job.group?.generation ?? 0,
      members: job.group?.members.map(m => ({ trainer: m.trainer, peer: m.node })) ?? [],
      step: result?.step ?? job.group?.resume.step ?? 0,
      epoch: job.group?.resume.epoch ?? 0,
      samples: result?.samples ?? latest.samples,
      epochSize: record.fingerprint.count,
      submitted: record.submitted
    }
    if (latest.loss !== undefined) status.loss = latest.loss
    if (latest.accuracy !== undefined) status.accuracy = latest.accuracy
    if (result !== undefined) {
      if (result.message !== '') status.message = result.message
      if (result.accuracy !== undefined) status.accuracy = result.accuracy
      status.finished = result.finished
      status.epoch = record.fingerprint.count > 0 ? Math.floor(result.samples / record.fingerprint.count) : 0
      return status
    }
    const now = Date.now()
    const speeds = [...latest.speed.values()].filter(s => now - s.time < SPEED_WINDOW)
    if (speeds.length > 0) status.samplesPerSecond = speeds.reduce((sum, s) => sum + s.rate, 0)
    try {
      const progress = await this.#init.runtime.at(Job, record.job).call('status', null, { deadline: 1500 })
      if (!job.stopping) status.state = progress.state
      if (progress.message !== '') status.message = progress.message
      status.generation = progress.generation
      status.members = progress.members
      status.step = progress.progress.step
      status.epoch = progress.progress.epoch
      status.samples = Math.max(status.samples, progress.progress.epoch * record.fingerprint.count + progress.progress.position)
    } catch {
      // The job's actor is on its way to another node: what this one knows has to do.
    }
    return status
  }

  #members(): MemberStatus[] {
    const { mesh } = this.#init
    return mesh.members().map(m => {
      const c = mesh.capabilities(m.peer)
      return {
        peer: m.peer,
        ...(c?.node === undefined ? {} : { node: c.node }),
        state: m.state,
        addresses: m.addresses,
        self: m.peer === mesh.peer,
        devices: c?.devices.map(d => ({ ...d, free: c.free.includes(d.id) })) ?? [],
        fabrics: c?.fabrics ?? [],
        labels: c?.labels ?? {}
      }
    })
  }

  async #trainers(): Promise<TrainerStatus[]> {
    const locals = this.#init.agent.jobs.flatMap(job => [...job.trainers.values()].map(t => ({ job: job.record.job, ...t })))
    return await Promise.all(
      locals.map(async ({ job, slot, host }) => {
        const status: TrainerStatus = { job, slot, pid: host.pid ?? 0, state: host.phase, step: 0 }
        if (!host.ready) return status
        try {
          const state = (await host.call('status', null, this.#init.mesh.peer, { deadline: 1000 })) as TrainerState
          return {
            ...status,
            state: state.phase,
            step: state.progress.step,
            channels: state.channels,
            eventLoopDelay: state.eventLoopDelay
          }
        } catch {
          return status
        }
      })
    )
  }
}

/** Waits for the record of a job's end, but not for ever. */
async function settled(job: LocalJob, signal?: AbortSignal): Promise<void> {
  for (let i = 0; i < 250 && job.result === undefined && signal?.aborted !== true; i++) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Percentiles of a nanosecond histogram, ms. */
export function percentiles(histogram: Histogram): EventLoopDelay {
  const ms = (ns: number) => Math.round(ns / 1e4) / 100
  return { p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), max: ms(histogram.max) }
}

/** The newest checkpoint below a run's folder, or the folder itself when it is one. */
async function latestCheckpoint(path: string): Promise<string> {
  const holds = async (folder: string) => (await stat(join(folder, 'manifest.json')).catch(() => undefined))?.isFile() === true
  if (await holds(path)) return path
  const folder = join(path, 'checkpoints')
  const names = (await readdir(folder).catch(() => [])).sort().reverse()
  for (const name of names) if (await holds(join(folder, name))) return join(folder, name)
  throw new InvalidParametersError(`${path}: no checkpoint to resume from; it holds neither manifest.json nor checkpoints/`)
}

/**
 * A job of so many steps, its epochs brought to as many as they take. An asynchronous job knows epochs only; the group of a synchronous
 * one may grow where it takes every trainer there is, or have had another size before it was resumed; then the steps alone end it.
 *
 * @param total - samples of a step of all trainers
 */
function withEpochs(spec: JobSpec, total: number, count: number, synchronous: boolean): JobSpec {
  const { steps, ...rest } = spec
  if (steps === undefined) return spec
  const epochs = Math.min(spec.epochs, Math.max(1, Math.ceil((steps * total) / count)))
  if (!synchronous) return { ...rest, epochs }
  return spec.trainers === 'all' || spec.resume !== undefined ? spec : { ...spec, epochs }
}

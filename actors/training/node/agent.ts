import { join } from 'node:path'
import { encode } from 'cborg'
import { createRng, type Logger, MalformedError, NotFoundError, systemClock } from '../../../common/index.ts'
import type { Mesh } from '../../../mesh/index.ts'
import type { ActorType, Runtime } from '../../runtime/index.ts'
import { Job, Node } from '../actors.ts'
import { strategyNamed } from '../exchange/index.ts'
import type { JobCalls } from '../job/definition.ts'
import { evaluatorOf } from '../job/group.ts'
import { JobActor } from '../job/job-actor.ts'
import type { Slot } from '../job/job-core.ts'
import { type GroupRecord, groupRecord, type JobRecord, jobRecord, parseGenerationKey, voterReport } from '../job/records.ts'
import type { FabricChoice } from '../service-types.ts'
import { Trainer, type TrainerNotice } from '../trainer/definition.ts'
import { jobActor, nodeActor } from './behaviours.ts'
import { Files } from './file-exchange.ts'
import { decodeOrUndefined, type JobResult, jobResultSchema, LocalJob } from './local-job.ts'
import { LocalTrainers } from './local-trainers.ts'

/** Between two looks at which jobs this node watches over, ms. */
const WATCH = 200
/** Days that a job and its result stay known. */
const RECORD_TTL = 14 * 86_400_000

export interface AgentInit {
  mesh: Mesh
  runtime: Runtime
  logger: Logger
  stateDir: string
  dataRoots?: string[]
  bulkPorts?: [number, number]
  fabrics?: FabricChoice[]
  bulkListen(): string[]
}

/** What one node does for training: runs trainers on its devices, votes for them, watches over the jobs whose actor it hosts. */
export class NodeAgent {
  readonly #init: AgentInit
  readonly #jobs = new Map<string, LocalJob>()
  readonly #trainers: LocalTrainers
  readonly #offs: (() => void)[] = []
  readonly #jobType: ActorType<JobCalls>
  readonly files: Files
  #closed = false
  #draining = false
  #cancelWatch: (() => void) | undefined

  constructor(init: AgentInit) {
    this.#init = init
    this.#jobType = jobActor(key => this.#makeActor(key))
    this.files = new Files({ mesh: init.mesh, logger: init.logger, folder: join(init.stateDir, 'jobs'), job: id => this.#jobs.get(id) })
    this.#trainers = new LocalTrainers({ ...init, files: this.files })
  }

  /** Registers the actors and begins to follow the jobs of the mesh. */
  start(): void {
    const { mesh, runtime } = this.#init
    runtime.register(this.#jobType)
    runtime.register(
      nodeActor({
        mesh,
        files: this.files,
        trainers: this.#trainers,
        job: id => this.job(id),
        owner: id => runtime.owner(Job.name, id),
        stopping: () => this.#closed || this.#draining,
        notice: (job, slot, notice) => this.#notice(job, slot, notice)
      })
    )
    runtime.register(Trainer)
    this.#offs.push(
      mesh.agreement.registerReporter('job/', key => this.#report(key)),
      mesh.agreement.onDecided((key, decision) => this.#decided(key, decision.value)),
      mesh.records.on('job', record => this.#learnJob(record.key, record.payload)),
      mesh.records.on('job-control', record => this.#learnControl(record.key, record.payload))
    )
    for (const record of mesh.records.list('job')) this.#learnJob(record.key, record.payload)
    for (const record of mesh.records.list('job-control')) this.#learnControl(record.key, record.payload)
    this.files.start()
    this.#watch()
  }

  /** Hands this node's trainers back before it goes: their jobs form generations without them. */
  async drain(): Promise<void> {
    this.#draining = true
    for (const job of this.#jobs.values()) {
      for (const local of [...job.trainers.values()]) {
        const { trainer } = local
        await this.#trainers.dismiss(job, local.slot)
        if (trainer !== undefined)
          await this.#init.runtime
            .at(Job, job.record.job)
            .call('gone', trainer)
            .catch(() => {})
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#trainers.close()
    this.#cancelWatch?.()
    for (const off of this.#offs) off()
    this.files.close()
    for (const job of this.#jobs.values()) job.actor?.end()
    await this.#init.runtime.close()
    for (const job of this.#jobs.values()) {
      await job.journal.flush()
      job.journal.close()
    }
  }

  get jobs(): LocalJob[] {
    return [...this.#jobs.values()]
  }

  /** @throws NotFoundError */
  job(id: string): LocalJob {
    const exact = this.#jobs.get(id)
    if (exact !== undefined) return exact
    const matches = [...this.#jobs.values()].filter(j => j.record.job.startsWith(id) || j.record.spec.name === id)
    if (matches.length === 1) return matches[0]!
    const known = [...this.#jobs.keys()]
    throw new NotFoundError(
      matches.length > 1
        ? `${matches.length} jobs begin with ${id}: give more of the name`
        : `no job is named ${id}${known.length > 0 ? `; known: ${known.slice(-10).join(', ')}` : '; mesh jobs lists those there are'}`
    )
  }

  /** Makes a job known to the mesh. */
  async submit(record: JobRecord): Promise<void> {
    await this.#init.mesh.records.put('job', record.job, jobRecord.encode(record), { ttl: RECORD_TTL, durable: true })
  }

  /** Asks everybody to bring a job to its end. */
  async stop(job: string): Promise<void> {
    await this.#control(`${job}/stop`, { at: Date.now() })
  }

  slots(): Slot[] {
    const { mesh } = this.#init
    return mesh.alive().flatMap(node => {
      const capabilities = mesh.capabilities(node)
      if (capabilities === undefined) return []
      const free = node === mesh.peer ? this.#trainers.freeDevices() : capabilities.free
      return capabilities.devices.map(d => ({ node, device: d.id, free: free.includes(d.id) }))
    })
  }

  #control(key: string, value: object): Promise<unknown> {
    return Promise.resolve(this.#init.mesh.records.put('job-control', key, encode(value), { ttl: RECORD_TTL, durable: true }))
  }

  #learnJob(key: string, payload: Uint8Array): void {
    if (this.#closed) return
    try {
      const record = jobRecord.decode(payload)
      if (this.#jobs.has(record.job)) return
      // The key is what the records' rule of ownership protects.
      if (record.job !== key) throw new MalformedError(`record ${key} names job ${record.job}`)
      const job = new LocalJob(record, join(this.#init.stateDir, 'jobs'))
      this.#jobs.set(record.job, job)
      this.files.discover(job).catch(error => this.#init.logger.error(`the folder of job ${record.job} cannot be used: ${error.message}`))
      for (const control of this.#init.mesh.records.list('job-control')) {
        if (control.key.startsWith(`${record.job}/`)) this.#learnControl(control.key, control.payload)
      }
    } catch (error) {
      this.#init.logger.warn(`a job record is ignored: ${(error as Error).message}`)
    }
  }

  #learnControl(key: string, payload: Uint8Array): void {
    const slash = key.lastIndexOf('/')
    const job = this.#jobs.get(key.slice(0, slash))
    if (job === undefined) return
    if (key.endsWith('/stop')) {
      job.stopping = true
      return
    }
    const parsed = jobResultSchema.safeParse(decodeOrUndefined(payload))
    if (!parsed.success || job.result !== undefined) return
    job.result = parsed.data
    this.#finish(job).catch(error => this.#init.logger.error(`the end of job ${job.record.job}: ${error.message}`))
  }

  /** A job is over: its trainers here stop and its journal ends. */
  async #finish(job: LocalJob): Promise<void> {
    const { agreement } = this.#init.mesh
    for (const key of agreement.keys()) if (parseGenerationKey(key)?.job === job.record.job) agreement.forget(key)
    job.actor?.end()
    job.actor = undefined
    await this.#init.runtime.deactivate(Job, job.record.job)
    await Promise.all([...job.trainers.keys()].map(slot => this.#trainers.dismiss(job, slot)))
    await job.journal.flush()
    job.journal.close()
  }

  /** Which jobs this node watches over follows from the view alone. */
  #watch(): void {
    const { mesh, runtime } = this.#init
    for (const job of this.#jobs.values()) {
      const mine = job.result === undefined && runtime.owner(Job.name, job.record.job) === mesh.peer
      if (mine) {
        runtime.activate(this.#jobType, job.record.job)
        if (job.stopping && !job.ending)
          this.#end(job).catch(error => this.#init.logger.error(`cannot stop job ${job.record.job}: ${error.message}`))
      } else if (job.actor !== undefined) {
        job.actor.end()
        job.actor = undefined
        void runtime.deactivate(Job, job.record.job)
      }
    }
    if (!this.#closed) this.#cancelWatch = systemClock.setTimer(WATCH, () => this.#watch())
  }

  /** Ends a job that was asked to stop: its evaluator writes a checkpoint. */
  async #end(job: LocalJob): Promise<void> {
    job.ending = true
    const trainers = job.actor?.trainers ?? []
    const evaluator = evaluatorOf(
      job.record.job,
      trainers.map(t => t.trainer)
    )
    const target = trainers.find(t => t.trainer === evaluator)
    let checkpoint: { name: string; step: number } | undefined
    let message = 'stopped'
    if (target !== undefined) {
      try {
        checkpoint = await this.#init.runtime
          .at(Node, target.node, { node: target.node })
          .call('checkpoint', { job: job.record.job, slot: target.slot }, { deadline: 30_000 })
      } catch (error) {
        message = `stopped without a checkpoint: ${(error as Error).message}`
      }
    }
    await this.#result(job, {
      state: 'stopped',
      message,
      step: checkpoint?.step ?? job.group?.resume.step ?? 0,
      samples: job.latest.samples,
      ...(checkpoint === undefined ? {} : { checkpoint: checkpoint.name }),
      finished: Date.now()
    })
  }

  async #result(job: LocalJob, found: JobResult): Promise<void> {
    if (job.result !== undefined) return
    // A run that diverged ends too: with no figures instead of none that can travel.
    const { accuracy, loss, ...rest } = { ...found, message: found.message.slice(0, 2000) }
    const result: JobResult = {
      ...rest,
      ...(Number.isFinite(accuracy) ? { accuracy } : {}),
      ...(Number.isFinite(loss) ? { loss } : {})
    }
    job.add({
      type: 'state',
      job: job.record.job,
      state: result.state,
      ...(result.message === '' ? {} : { message: result.message })
    })
    await job.journal.flush()
    await this.#control(`${job.record.job}/result`, result)
  }

  #makeActor(key: string): JobActor {
    const job = this.#jobs.get(key)
    if (job === undefined) throw new NotFoundError(`job ${key} is not known here yet`)
    if (job.result !== undefined) throw new NotFoundError(`job ${key} is over: ${job.result.state}`)
    const made = new JobActor(job.record, strategyNamed(job.record.spec.strategy).synchronous, this.#ports(job))
    job.actor = made
    return made
  }

  #ports(job: LocalJob): ConstructorParameters<typeof JobActor>[2] {
    const { mesh, runtime, logger } = this.#init
    const node = (peer: string) => runtime.at(Node, peer, { node: peer })
    const id = job.record.job
    return {
      clock: systemClock,
      random: createRng(`${mesh.peer}/${id}`),
      logger: logger.child(`job/${id}`),
      agreement: mesh.agreement,
      alive: () => mesh.alive(),
      left: () =>
        mesh
          .members()
          .filter(m => m.state === 'left')
          .map(m => m.peer),
      slots: () => this.slots(),
      group: () => job.group,
      start: ({ node: peer, slot, device }) => node(peer).call('start', { job: id, slot, device }, { deadline: 5000 }),
      dismiss: ({ node: peer, slot }) => node(peer).call('dismiss', { job: id, slot }),
      decided: group => this.#learnGroup(group),
      emit: event => job.add(event),
      fail: message => {
        this.#result(job, { state: 'failed', message, step: 0, samples: job.latest.samples, finished: Date.now() }).catch(error =>
          logger.error(`job ${id} failed and nobody could be told: ${error.message}`)
        )
      },
      start0: () => this.files.startProgress(job)
    }
  }

  async #notice(job: LocalJob, slot: string, notice: TrainerNotice): Promise<void> {
    switch (notice.type) {
      case 'events':
        for (const event of notice.events) job.add(event)
        break
      case 'files':
        await this.files.offer(job, notice.names)
        break
      case 'finished':
        await this.#result(job, {
          state: 'done',
          message: '',
          step: notice.step,
          samples: notice.samples,
          ...(notice.accuracy === undefined ? {} : { accuracy: notice.accuracy }),
          loss: notice.loss,
          finished: Date.now()
        })
        break
      case 'failed': {
        job.add({ type: 'log', level: 'error', message: notice.message, node: this.#init.mesh.peer })
        if (!notice.opening) {
          job.trainers.get(slot)?.host.crash()
          break
        }
        await this.#trainers.dismiss(job, slot)
        await this.#init.runtime.at(Job, job.record.job).call('unfit', { slot, reason: notice.message })
      }
    }
  }

  #decided(key: string, value: Uint8Array): void {
    if (parseGenerationKey(key) === undefined) return
    try {
      this.#learnGroup(groupRecord.decode(value))
    } catch (error) {
      this.#init.logger.warn(`a decided record is ignored: ${(error as Error).message}`)
    }
  }

  /** Remembers the latest group of a job and tells its members here. */
  #learnGroup(group: GroupRecord): void {
    const job = this.#jobs.get(group.job)
    if (job === undefined || group.generation <= (job.group?.generation ?? 0)) return
    job.group = group
    const bytes = groupRecord.encode(group)
    for (const member of group.members) {
      job
        .trainerNamed(member.trainer)
        ?.host.call('group', bytes, this.#init.mesh.peer)
        .catch(() => {})
    }
  }

  /** Before this node promises generation g, its trainers stand still in all earlier ones. */
  async #report(key: string): Promise<Uint8Array> {
    const parsed = parseGenerationKey(key)
    const job = parsed === undefined ? undefined : this.#jobs.get(parsed.job)
    return voterReport.encode(
      parsed === undefined || job === undefined ? { trainers: [] } : await this.#trainers.freeze(job, parsed.generation)
    )
  }
}

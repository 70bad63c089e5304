import { readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createRng, FencedError, GradmeshError, type Logger, MalformedError, pause, systemClock } from '../../../common/index.ts'
import { type BulkEndpoint, createBulkEndpoint, fastWays } from '../../../mesh/bulk/index.ts'
import { createHost, createIdentity, type Host, savedAuthority } from '../../../mesh/index.ts'
import { nativeReport } from '../../../native/index.ts'
import { type Handle, host, type ProcessContext } from '../../runtime/index.ts'
import { Job, Node } from '../actors.ts'
import { strategyNamed } from '../exchange/index.ts'
import type { EnrolReply, JobCalls } from '../job/definition.ts'
import { type GroupRecord, groupRecord, type JobRecord, jobRecord, MAX_ENDPOINTS, type Progress, parseProgress } from '../job/records.ts'
import type { NodeCalls } from '../node/definition.ts'
import { AsynchronousSession } from './asynchronous.ts'
import type { FrozenState, TrainerInit, TrainerNotice, TrainerState } from './definition.ts'
import { evaluatorOn } from './evaluator.ts'
import { Peers } from './peers.ts'
import { Reporter } from './reporter.ts'
import { TrainingRun } from './run.ts'
import type { SavedStrategy } from './saved-strategy.ts'
import { type SessionInit, SynchronousSession } from './synchronous.ts'

/** Between two signs of life to the job, ms. */
const ENROL_INTERVAL = 500
/** While the job has not begun, or a generation is awaited, trainers ask more often, ms. */
const IDLE_INTERVAL = 100

/** One trainer: holds a device, a training run, and its part in the group. */
export class Trainer {
  readonly #context: ProcessContext<TrainerInit>
  readonly #record: JobRecord
  readonly #logger: Logger
  readonly #host: Host
  readonly #endpoint: BulkEndpoint
  readonly #job: Handle<JobCalls>
  readonly #node: Handle<NodeCalls>
  readonly #closed = new AbortController()
  readonly #delay = monitorEventLoopDelay({ resolution: 1 })
  readonly #synchronous: boolean
  /** Replicas in the same state may differ in their optimizers. */
  readonly #rounds: boolean
  #run: TrainingRun | undefined
  #reporter: Reporter | undefined
  #peers: Peers | undefined
  #session: SynchronousSession | undefined
  #asynchronous: AsynchronousSession | undefined
  #group: { record: GroupRecord } | undefined
  /** Generations below this one are over for this trainer. */
  #fence = 0
  #phase = 'opening'
  /** The checkpoint this job goes on from. */
  #resume: { state: string; progress: Progress; ledger?: Uint8Array; strategy: SavedStrategy } | undefined

  private constructor(context: ProcessContext<TrainerInit>, record: JobRecord, logger: Logger, host: Host, endpoint: BulkEndpoint) {
    this.#context = context
    this.#record = record
    this.#logger = logger
    this.#host = host
    this.#endpoint = endpoint
    this.#job = context.at(Job, record.job)
    this.#node = context.at(Node, context.self, { node: context.self })
    const { synchronous, rounds } = strategyNamed(record.spec.strategy)
    this.#synchronous = synchronous
    this.#rounds = rounds ?? false
    this.#delay.enable()
  }

  /** Brings the trainer's endpoint up and lets the rest follow in the background. */
  static async open(context: ProcessContext<TrainerInit>): Promise<Trainer> {
    const record = jobRecord.decode(context.argument.job)
    const logger = processLogger()
    logger.debug(`kernels for ${nativeReport().level}`)
    const identity = createIdentity()
    const { mesh, certificate } = await context
      .at(Node, context.self, { node: context.self })
      .call('certify', { job: record.job, slot: context.argument.slot, peer: identity.peer })
    const host = await createHost({ authority: savedAuthority(identity, mesh, certificate), listen: context.argument.listen, logger })
    const trainer = new Trainer(
      context,
      record,
      logger,
      host,
      createBulkEndpoint(host.libp2p, {
        admitted: connection => host.admission(connection),
        ways: await fastWays(context.argument.fabrics, logger),
        onTravel: (peer, kind, reason) => {
          if (reason === undefined) logger.info(`exchanges with ${peer} by ${kind}`)
          else logger.warn(`no longer tries this way to ${peer}: ${reason.message}`)
        },
        ...(context.argument.bulkPorts === undefined ? {} : { ports: context.argument.bulkPorts })
      })
    )
    void trainer.#work().catch(error => trainer.#fail(error))
    return trainer
  }

  get #self(): string {
    return this.#host.peer
  }

  group(bytes: Uint8Array): void {
    const record = groupRecord.decode(bytes)
    if (record.generation <= (this.#group?.record.generation ?? 0) || record.generation < this.#fence) return
    this.#group = { record }
    this.#enter()
  }

  freeze(generation: number): FrozenState {
    if (generation > this.#fence) this.#fence = generation
    if (this.#session !== undefined && this.#session.group.generation < generation) {
      this.#session.end()
      this.#phase = 'frozen'
    }
    return {
      trainer: this.#self,
      generation: this.#group?.record.generation ?? 0,
      initialised: this.#run?.initialised ?? false,
      hash: this.#run?.initialised ? this.#run.hash(this.#rounds) : '',
      progress: this.#progress()
    }
  }

  async checkpoint(): Promise<{ name: string; step: number }> {
    if (this.#run?.initialised !== true) throw new GradmeshError('this trainer has no state to write yet')
    this.#fence = Number.MAX_SAFE_INTEGER
    this.#session?.end()
    this.#asynchronous?.end()
    this.#phase = 'stopped'
    return await this.#reporter!.checkpoint(
      this.#asynchronous?.checkpoint() ?? {
        generation: this.#group?.record.generation ?? 0,
        strategy: { name: this.#record.spec.strategy }
      }
    )
  }

  status(): TrainerState {
    const ms = (ns: number) => Math.round(ns / 1e4) / 100
    return {
      trainer: this.#self,
      phase: this.#phase,
      generation: this.#group?.record.generation ?? 0,
      progress: this.#progress(),
      channels: this.#peers?.ways() ?? {},
      eventLoopDelay: { p50: ms(this.#delay.percentile(50)), p99: ms(this.#delay.percentile(99)), max: ms(this.#delay.max) }
    }
  }

  #progress() {
    return this.#asynchronous?.progress() ?? this.#run?.progress ?? { step: 0, epoch: 0, position: 0 }
  }

  async #work(): Promise<void> {
    const { argument } = this.#context
    void this.#enrol()
    if (argument.resume !== undefined) this.#resume = await readManifest(argument.resume)
    const run = await TrainingRun.open({
      job: this.#record,
      provider: argument.provider,
      threads: 1,
      folder: argument.folder,
      ...(argument.dataRoots === undefined ? {} : { dataRoots: argument.dataRoots }),
      signal: this.#closed.signal
    })
    this.#reporter = new Reporter({
      run,
      evaluator: host(evaluatorOn(run), this.#record.job, this.#self, this.#logger),
      self: this.#self,
      logger: this.#logger,
      channels: () => this.#peers?.ways() ?? {},
      send: notice => this.#notice(notice),
      initial: checkpoint => this.#initial(run, checkpoint)
    })
    this.#peers = new Peers({
      endpoint: this.#endpoint,
      self: this.#self,
      logger: this.#logger,
      onMessage: (from, message) => {
        this.#session?.message(from, message)
        this.#asynchronous?.message(from, message)
      },
      onChange: (peer, connected) => {
        this.#asynchronous?.channelChanged(peer, connected)
        if (!connected) this.#session?.channelLost(peer)
      }
    })
    this.#run = run
    this.#phase = 'ready'
    this.#delay.reset()
    this.#enter()
  }

  /** Signs of life, and what the job answers to them. */
  async #enrol(): Promise<void> {
    const { signal } = this.#closed
    while (!signal.aborted) {
      try {
        const reply = await this.#job.call(
          'enrol',
          {
            member: {
              trainer: this.#self,
              node: this.#context.self,
              slot: this.#context.argument.slot,
              endpoints: this.#endpoint.endpoints().slice(0, MAX_ENDPOINTS)
            },
            generation: this.#synchronous ? (this.#group?.record.generation ?? 0) : this.#asynchronous?.holdsState === true ? 1 : 0,
            progress: this.#progress(),
            ready: this.#run !== undefined && this.#phase !== 'failed'
          },
          { signal, deadline: 2000 }
        )
        this.#follow(reply)
      } catch (error) {
        this.#logger.debug(`the job's actor did not answer: ${error instanceof Error ? error.message : error}`)
      }
      const waits = this.#phase === 'ready' || this.#phase === 'frozen' || this.#phase === 'opening'
      await pause(systemClock, waits ? IDLE_INTERVAL : ENROL_INTERVAL, signal).catch(() => {})
    }
  }

  #follow(reply: EnrolReply): void {
    if (reply.group !== undefined) this.group(reply.group)
    if (this.#synchronous || reply.founders === undefined || this.#run === undefined || this.#phase === 'stopped') return
    const session = this.#asynchronous
    // A newcomer whose donors all died before they gave it anything is made a founder: what it waited for never comes.
    const refounded = session !== undefined && !session.holdsState && !session.founder && reply.founders.includes(this.#self)
    if (session !== undefined && !refounded) session.peers(reply.peers ?? [])
    else if (this.#phase === 'ready' || refounded) {
      session?.end()
      this.#asynchronous = undefined
      this.#phase = 'training'
      void this.#beginAsynchronous(reply, reply.founders).catch(error => this.#fail(error))
    }
  }

  #sessionInit(): SessionInit {
    return {
      run: this.#run!,
      self: this.#self,
      peers: this.#peers!,
      reporter: this.#reporter!,
      clock: systemClock,
      random: createRng(`${this.#record.spec.seed}/${this.#self}`),
      logger: this.#logger,
      fault: (trainer, error) => this.#complain(trainer, error)
    }
  }

  async #beginAsynchronous(reply: EnrolReply, founders: string[]): Promise<void> {
    if (reply.checkpoint !== undefined) await this.#useCheckpoint(reply.checkpoint)
    const session = new AsynchronousSession(this.#sessionInit(), founders, this.#resume)
    this.#asynchronous = session
    session.peers(reply.peers ?? [])
    await session.begin()
  }

  /** Enters the latest generation, if this trainer is ready for it. */
  #enter(): void {
    const record = this.#group?.record
    if (this.#run === undefined || record === undefined || record.generation < this.#fence) return
    if (this.#session?.group.generation === record.generation) return
    this.#session?.end()
    this.#session = undefined
    if (!record.members.some(m => m.trainer === this.#self)) {
      this.#phase = 'ready'
      return
    }
    this.#phase = 'training'
    const session = new SynchronousSession(this.#sessionInit(), record)
    this.#session = session
    session.begin().catch(error => {
      if (this.#session === session && !session.over) this.#complain('', error as Error)
    })
  }

  #complain(trainer: string, error: Error): void {
    const generation = this.#group?.record.generation
    if (generation === undefined || error instanceof FencedError) return
    this.#logger.warn(`generation ${generation} cannot go on${trainer === '' ? '' : ` with ${trainer}`}: ${error.message}`)
    this.#job.call('complain', generation, { signal: this.#closed.signal }).catch(() => {})
  }

  /** Brings a run to where its job begins: the checkpoint it goes on from, or the seed. */
  async #initial(run: TrainingRun, checkpoint?: string): Promise<void> {
    if (checkpoint !== undefined) await this.#useCheckpoint(checkpoint)
    if (this.#resume === undefined) run.fromSeed()
    else await run.restore(this.#resume.state, this.#resume.progress, this.#resume.strategy.name === this.#record.spec.strategy)
  }

  async #useCheckpoint(checkpoint: string): Promise<void> {
    const paths = await this.#node.call('locate', { job: this.#record.job, checkpoint }, { deadline: 60_000, signal: this.#closed.signal })
    this.#resume = await readManifest(paths)
  }

  #notice(notice: TrainerNotice): Promise<unknown> {
    return this.#node.call('notice', { job: this.#record.job, slot: this.#context.argument.slot, trainer: this.#self, notice })
  }

  #fail(error: unknown): void {
    const opening = this.#run === undefined
    this.#phase = 'failed'
    this.#session?.end()
    const message = error instanceof Error ? error.message : String(error)
    this.#logger.error(message)
    // A node that cannot be told must not keep a trainer that does nothing.
    this.#notice({ type: 'failed', message, opening }).catch(() => process.exit(1))
  }
}

async function readManifest(paths: { state: string; manifest: string }) {
  const manifest: unknown = JSON.parse(await readFile(paths.manifest, 'utf8'))
  const progress = parseProgress(manifest)
  if (progress === undefined) throw new MalformedError(`${paths.manifest}: no step, epoch and position`)
  const { ledger, strategy } = manifest as { ledger?: unknown; strategy?: SavedStrategy }
  return {
    state: paths.state,
    progress,
    strategy: strategy ?? {},
    ...(typeof ledger === 'string' ? { ledger: Buffer.from(ledger, 'base64') } : {})
  }
}

/** Lines on standard error become the supervising node's log. */
function processLogger(): Logger {
  const write = (level: string, message: string) => process.stderr.write(`${level} ${message}\n`)
  const logger: Logger = {
    debug: m => process.env['GRADMESH_DEBUG'] !== undefined && write('debug', m),
    info: m => write('info', m),
    warn: m => write('warn', m),
    error: m => write('error', m),
    child: () => logger
  }
  return logger
}

import { AbortedError, type Clock, type Logger, type Rng } from '../../../common/index.ts'
import { stepSlice } from '../../../datasets/index.ts'
import { strategyNamed } from '../exchange/index.ts'
import { evaluatorOf } from '../job/group.ts'
import { type GroupRecord, type Progress, samplesAStep } from '../job/records.ts'
import { bytesOf, resizeArenas, TAIL } from './arenas.ts'
import type { Batch, Outcome } from './engine.ts'
import { ExchangeDriver, transferName } from './exchange-driver.ts'
import type { TrainerMessage } from './messages.ts'
import type { Peers } from './peers.ts'
import type { Reporter } from './reporter.ts'
import type { TrainingRun } from './run.ts'

/** What a session is made of. */
export interface SessionInit {
  run: TrainingRun
  /** This trainer's name. */
  self: string
  peers: Peers
  reporter: Reporter
  clock: Clock
  random: Rng
  logger: Logger
  /** A channel to this trainer broke in mid-generation. */
  fault(trainer: string, error: Error): void
}

/** What a strategy with rounds goes back to. */
interface Committed {
  progress: Progress
  parameters: Float32Array
  optimizer: Float32Array
  state: Float32Array
}

interface Slice {
  epoch: number
  start: number
  end: number
  total: number
}

/**
 * One generation of a synchronous job on one trainer: connects to the others, takes the state the generation begins with if this
 * trainer has another, and trains until the epochs are over or the generation ends.
 */
export class SynchronousSession {
  readonly group: GroupRecord
  readonly #init: SessionInit
  readonly #ended = new AbortController()
  readonly #driver: ExchangeDriver
  readonly #rank: number
  readonly #wanting = new Set<string>()
  readonly #given = new Set<string>()
  readonly #evaluates: boolean
  /** The slice whose gradients are being exchanged. */
  #slice: Slice | undefined
  #next: { slice: Slice; batch: Batch } | undefined
  #outcome: Outcome | undefined
  #computed = 0
  #serving = false
  readonly #rounds: boolean
  #committed: Committed | undefined
  /** Step of the last border that was dealt with. */
  #border: number | undefined

  constructor(init: SessionInit, group: GroupRecord) {
    this.#init = init
    this.group = group
    this.#rank = group.members.findIndex(m => m.trainer === init.self)
    this.#evaluates =
      evaluatorOf(
        group.job,
        group.members.map(m => m.trainer)
      ) === init.self
    const strategy = strategyNamed(group.algorithm)
    const { arenas, job } = init.run
    const state = strategy.create(job.spec.strategyOptions ?? {})
    this.#rounds = strategy.rounds ?? false
    resizeArenas(
      arenas,
      strategy.arenas(state, { size: arenas.parameters.length, tail: TAIL, optimizer: arenas.optimizer.length, members: group.members })
    )
    this.#driver = new ExchangeDriver(strategy, state, {
      clock: init.clock,
      random: init.random,
      logger: init.logger,
      arenas,
      channel: trainer => init.peers.channel(trainer),
      compute: () => void this.#compute().catch(error => this.#failed(error)),
      apply: (_, scale) => this.#apply(scale),
      commit: () => this.#commit(),
      message: (to, body) => init.peers.send(to, { type: 'strategy', generation: group.generation, body }),
      report: () => {},
      fault: (trainer, error) => init.fault(trainer, error)
    })
  }

  /** Whether the generation has ended here. */
  get over(): boolean {
    return this.#ended.signal.aborted
  }

  /** The channel to a member closed: nothing of this generation can go on over it. */
  channelLost(peer: string): void {
    if (this.over || !this.#serving || !this.group.members.some(m => m.trainer === peer)) return
    this.#init.fault(peer, new Error('the channel closed'))
  }

  /** Runs until the session's epochs are trained or it is ended. */
  async begin(): Promise<void> {
    const { run, peers, self } = this.#init
    const others = this.group.members.filter(m => m.trainer !== self)
    peers.allow(others.map(m => m.trainer))
    await peers.connect(others, this.#ended.signal)
    await this.#takeState()
    this.#ended.signal.throwIfAborted()
    const members = this.group.members.map(({ trainer, node }) => ({ trainer, node }))
    this.#serving = true
    // The last generation may have ended within the border of an epoch: its accounts, score and checkpoint are due again.
    const { epoch, position } = run.progress
    if (position === 0 && epoch > 0)
      this.#init.reporter.epochOver = { first: epoch - 1, epoch: epoch - 1, committed: run.dataset.train.count }
    if (this.#rounds) this.#commit()
    for (const trainer of this.#wanting) this.#giveState(trainer)
    this.#driver.start(
      {
        job: this.group.job,
        generation: this.group.generation,
        self,
        members,
        rank: this.#rank,
        size: run.arenas.parameters.length,
        tail: TAIL,
        optimizer: run.arenas.optimizer.length,
        statistics: run.training.state.total
      },
      run.progress.step
    )
  }

  /** Ends the generation here: when this returns nothing of it is applied any more. */
  end(): void {
    this.#driver.freeze()
    this.#ended.abort(new AbortedError(`generation ${this.group.generation} has ended`))
    this.#rollBack()
    for (const m of this.group.members)
      this.#init.peers.channel(m.trainer)?.cancel(id => id.startsWith(transferName(this.group.generation, '')))
  }

  /** The state as it now is is what all ranks have agreed on. */
  #commit(): void {
    const { run } = this.#init
    const { parameters, optimizer, state } = run.arenas
    this.#committed ??= {
      progress: run.progress,
      parameters: new Float32Array(parameters.length),
      optimizer: new Float32Array(optimizer.length),
      state: new Float32Array(state.length)
    }
    const committed = this.#committed
    committed.progress = { ...run.progress }
    for (const name of ['parameters', 'optimizer', 'state'] as const) committed[name].set(run.arenas[name])
  }

  /** Local steps since the last commit are nobody's: back to it. */
  #rollBack(): void {
    const { run, reporter } = this.#init
    const committed = this.#committed
    if (committed === undefined || committed.progress.step === run.progress.step) return
    this.#committed = undefined
    for (const name of ['parameters', 'optimizer', 'state'] as const) run.arenas[name].set(committed[name])
    run.progress = committed.progress
    reporter.epochOver = undefined
  }

  message(from: string, message: TrainerMessage): void {
    if (!this.group.members.some(m => m.trainer === from)) return
    if (message.type === 'strategy') this.#driver.event({ type: 'message', from, body: message.body })
    else if (message.type === 'state' && message.generation === this.group.generation) {
      if (this.#serving) this.#giveState(from)
      else this.#wanting.add(from)
    }
  }

  /** Brings this trainer to the state that the generation begins with. */
  async #takeState(): Promise<void> {
    const { run, peers, self, logger } = this.#init
    const { resume } = this.group
    const { step, epoch, position } = resume
    if (resume.from.length === 0) {
      // Nobody had a state: everybody begins from the checkpoint or the seed, which each of them has at hand.
      if (!run.initialised || run.progress.step !== step) await this.#init.reporter.initial(resume.checkpoint)
      this.#ended.signal.throwIfAborted()
      run.progress = { step, epoch, position }
      return
    }
    if (resume.from.includes(self)) return
    const donor = resume.from[this.#rank % resume.from.length]!
    logger.debug(`takes the state of step ${step} from ${donor}`)
    const channel = peers.channel(donor)
    if (channel === undefined) throw new AbortedError(`the channel to ${donor} is gone`)
    run.initialised = false
    const signal = this.#ended.signal
    const landing = this.#stateArenas().map(([name, arena]) =>
      channel.receive(transferName(this.group.generation, `state/${name}`), bytesOf(arena), { signal })
    )
    // Asked again until it lands: the donor may still be in the generation before, and then does not hear it.
    let cancel = () => {}
    const ask = () => {
      peers.send(donor, { type: 'state', generation: this.group.generation })
      cancel = this.#init.clock.setTimer(500, ask)
    }
    ask()
    try {
      await Promise.all(landing)
    } catch (error) {
      if (!signal.aborted) this.#init.fault(donor, error as Error)
      throw error
    } finally {
      cancel()
    }
    run.progress = { step, epoch, position }
    const hash = run.hash(this.#rounds)
    if (hash !== resume.hash) throw new Error(`the state taken from ${donor} has hash ${hash}, the group agreed on ${resume.hash}`)
    run.initialised = true
  }

  #giveState(to: string): void {
    if (this.#given.has(to)) return
    this.#given.add(to)
    const channel = this.#init.peers.channel(to)
    // Parameters stay as they are meanwhile: no step can be applied before the newcomer takes part.
    for (const [name, arena] of this.#stateArenas()) {
      channel
        ?.send(transferName(this.group.generation, `state/${name}`), bytesOf(arena), { signal: this.#ended.signal })
        .catch(error => this.#ended.signal.aborted || this.#init.fault(to, error))
    }
  }

  #stateArenas(): [string, Float32Array][] {
    const { parameters, optimizer, state } = this.#init.run.arenas
    const all: [string, Float32Array][] = [
      ['parameters', parameters],
      ['optimizer', optimizer],
      ['strategy', state]
    ]
    return all.filter(([, arena]) => arena.length > 0)
  }

  #sliceAt(epoch: number, position: number): Slice {
    const { spec } = this.#init.run.job
    const { start, end, total } = stepSlice({
      count: this.#init.run.dataset.train.count,
      position,
      world: this.group.members.length,
      rank: this.#rank,
      batch: samplesAStep(spec) ?? 1,
      ...(spec.globalBatch === undefined ? {} : { globalBatch: spec.globalBatch })
    })
    return { epoch, start, end, total }
  }

  async #compute(): Promise<void> {
    const { run } = this.#init
    const { epoch, position } = run.progress
    await this.#atBorders()
    if (this.#ended.signal.aborted) return
    if (run.finished) return
    const slice = this.#sliceAt(epoch, position)
    const ahead = this.#next
    this.#next = undefined
    const batch = ahead?.slice.epoch === epoch && ahead.slice.start === slice.start ? ahead.batch : run.read(epoch, slice.start, slice.end)
    this.#slice = slice
    const running = run.compute(batch)
    // The next batch is read while the engine works on this one.
    const count = run.dataset.train.count
    const following = position + slice.total
    if (following < count) {
      const next = this.#sliceAt(epoch, following)
      this.#next = { slice: next, batch: run.read(epoch, next.start, next.end) }
    }
    const outcome = await running
    if (this.#ended.signal.aborted) return
    this.#outcome = outcome
    this.#computed = this.#init.clock.now()
    this.#driver.event({
      type: 'gradients',
      generation: this.group.generation,
      step: run.progress.step + 1,
      samples: outcome.denominator,
      rate: run.rate() * this.#scale(),
      last: run.isLast(following >= count)
    })
  }

  #apply(scale: number): void {
    const { run, reporter, clock, peers } = this.#init
    const slice = this.#slice!
    run.apply(this.#scale() * scale)
    const position = run.progress.position + slice.total
    const over = position >= run.dataset.train.count
    run.progress = over ? { ...run.progress, epoch: slice.epoch + 1, position: 0 } : { ...run.progress, position }
    const { lossSum, denominator } = run.tail()
    reporter.applied({
      rank: this.#rank,
      epoch: slice.epoch,
      step: run.progress.step,
      samples: slice.epoch * run.dataset.train.count + position,
      loss: denominator > 0 ? lossSum / denominator : 0,
      trained: slice.end - slice.start,
      computeMs: this.#outcome?.computeMs ?? 0,
      exchangeMs: clock.now() - this.#computed,
      bytesSent: this.group.members.reduce((sum, m) => sum + (peers.channel(m.trainer)?.statistics.bytesSent ?? 0), 0)
    })
    if (over) reporter.epochOver = { first: reporter.epochOver?.first ?? slice.epoch, epoch: slice.epoch, committed: position }
  }

  /** What is due between two steps: the end of an epoch, a checkpoint, the end of the run. */
  async #atBorders(): Promise<void> {
    const { run, reporter } = this.#init
    const { spec } = run.job
    const { step } = run.progress
    // What the job is, at this step, is settled by the round's end.
    if (this.#rounds && step !== this.#committed?.progress.step) return
    const before = this.#border ?? step - 1
    this.#border = step
    const { finished } = run
    const over = reporter.epochOver
    reporter.epochOver = undefined
    const passed = (every: number) => Math.floor(step / every) > Math.floor(before / every)
    const due = spec.checkpointEvery === undefined ? over !== undefined : step > 0 && passed(spec.checkpointEvery)
    const scored =
      spec.evaluateEvery === undefined ? over !== undefined : (step > 0 || spec.evaluateFirst === true) && passed(spec.evaluateEvery)
    if (!this.#evaluates) return
    if (over !== undefined) for (let epoch = over.first; epoch <= over.epoch; epoch++) reporter.epoch(epoch, over.committed, 0)
    // A generation that begins at the very end has its evaluator score the model again: the last one may have died before it did.
    if (scored || finished) {
      const evaluation = await reporter.evaluate(run.arenas.parameters, this.#ended.signal)
      const { epoch, position } = run.progress
      reporter.evaluation(position === 0 && epoch > 0 ? epoch - 1 : epoch, step, evaluation)
      if (due || finished) await reporter.checkpoint({ generation: this.group.generation, strategy: { name: this.group.algorithm } })
      if (finished) await reporter.finish(run.arenas.parameters, evaluation)
    } else if (due) await reporter.checkpoint({ generation: this.group.generation, strategy: { name: this.group.algorithm } })
  }

  #scale(): number {
    return this.#init.run.job.spec.scaleLr ? this.group.members.length / this.group.founders : 1
  }

  #failed(error: Error): void {
    if (!this.#ended.signal.aborted) this.#init.reporter.failed(error)
  }
}

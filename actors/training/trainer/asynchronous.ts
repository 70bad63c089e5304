import { AbortedError, type GradmeshError, pause } from '../../../common/index.ts'
import { strategyNamed } from '../exchange/index.ts'
import { evaluatorOf } from '../job/group.ts'
import { type Progress, samplesAStep } from '../job/records.ts'
import { committedSamples, createLedger, encodeLedger, figures, type Ledger, mergeLedger } from '../ledger/index.ts'
import { resizeArenas, TAIL } from './arenas.ts'
import { ExchangeDriver } from './exchange-driver.ts'
import { collectModel, giveModel, lower } from './final-model.ts'
import { type LedgerDecision, LedgerDriver } from './ledger-driver.ts'
import type { TrainerMessage } from './messages.ts'
import type { PeerAddress } from './peers.ts'
import type { SavedStrategy } from './saved-strategy.ts'
import type { SessionInit } from './synchronous.ts'

/** Batches of one range of the ledger: what a death can lose or train twice at the most, a trainer. */
const RANGE_BATCHES = 4
/** An asynchronous job has one generation: nobody has to agree on who takes part. */
const GENERATION = 1

/** How long a newcomer waits for channels to all that live, ms. */
const CONNECT_PATIENCE = 10_000

interface Range {
  epoch: number
  range: number
  /** Next position to train. */
  next: number
  end: number
}

/** An asynchronous job on one trainer: local steps on ranges of the ledger, exchange with whoever lives, no barrier. */
export class AsynchronousSession {
  readonly #init: SessionInit
  readonly #founders: string[]
  readonly #ended = new AbortController()
  readonly #driver: ExchangeDriver
  readonly #ledger: Ledger
  readonly #ledgerDriver: LedgerDriver
  readonly #known = new Map<string, PeerAddress>()
  readonly #dialing = new Set<string>()
  readonly #announced = new Map<number, string>()
  #range: Range | undefined
  /** The step the strategy asked for while the ledger had no range. */
  #waitingStep: number | undefined
  #computing = false
  #batch = 0
  #computeMs = 0
  #stepped = 0
  #staleness: number | undefined
  #started = false
  #final: { round: number; weights: Map<string, (weight: number) => void> } | undefined

  constructor(init: SessionInit, founders: string[], saved?: { ledger?: Uint8Array; strategy: SavedStrategy }) {
    this.#init = init
    this.#founders = founders
    const { run } = init
    const { spec, job } = run.job
    const rangeSize = spec.globalBatch ?? samplesAStep(spec)! * RANGE_BATCHES
    const ledger = createLedger({ job, samples: run.dataset.train.count, rangeSize, epochs: spec.epochs })
    if (saved?.ledger !== undefined) mergeLedger(ledger, saved.ledger)
    this.#ledger = ledger
    this.#ledgerDriver = new LedgerDriver(init, ledger, effect => this.#carryOut(effect))
    const strategy = strategyNamed(spec.strategy)
    const options = spec.strategyOptions ?? {}
    const state = saved?.strategy.name === strategy.name ? strategy.restore(options, saved.strategy) : strategy.create(options)
    resizeArenas(
      run.arenas,
      strategy.arenas(state, {
        size: run.arenas.parameters.length,
        tail: TAIL,
        optimizer: run.arenas.optimizer.length,
        members: founders.map(trainer => ({ trainer }))
      })
    )
    this.#driver = new ExchangeDriver(strategy, state, {
      clock: init.clock,
      random: init.random,
      logger: init.logger,
      arenas: run.arenas,
      channel: trainer => init.peers.channel(trainer),
      compute: (_, step) => this.#compute(step),
      apply: (_, scale) => this.#apply(scale),
      message: (to, body) => init.peers.send(to, { type: 'strategy', generation: GENERATION, body }),
      report: (name, value) => {
        if (name === 'staleness') this.#staleness = value
      },
      fault: (trainer, error) => init.logger.debug(`a transfer with ${trainer} failed: ${error.message}`)
    })
  }

  /** Whether it is one of those that begin together, from the same parameters. */
  get founder(): boolean {
    return this.#founders.includes(this.#init.self)
  }

  /** Whether it has parameters of the job: a newcomer has none before a neighbour gave it some. */
  get holdsState(): boolean {
    return this.#started && this.#init.run.initialised
  }

  async begin(): Promise<void> {
    const { run, self, reporter } = this.#init
    const rank = this.#founders.indexOf(self)
    // Founders begin from the same parameters; a joiner takes a neighbour's before its first step.
    if (rank >= 0) await reporter.initial()
    // A newcomer that cannot be heard would take ranges that others are at.
    else await this.#connected()
    if (this.#ended.signal.aborted) return
    this.#started = true
    this.#stepped = this.#init.clock.now()
    this.#ledgerDriver.event({ type: 'start', alive: this.#alive(), joining: rank < 0 })
    this.#driver.start(
      {
        job: run.job.job,
        generation: GENERATION,
        self,
        members: this.#founders.map(trainer => ({ trainer })),
        rank,
        size: run.arenas.parameters.length,
        tail: TAIL,
        optimizer: run.arenas.optimizer.length,
        statistics: run.training.state.total
      },
      run.progress.step
    )
    this.#tellPeers([])
  }

  async #connected(): Promise<void> {
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(CONNECT_PATIENCE)])
    await this.#init.peers.connect([...this.#known.values()], signal).catch(() => {})
  }

  /** Who lives, as the job's actor says. */
  peers(peers: readonly PeerAddress[]): void {
    const { self } = this.#init
    const listed = new Map(peers.filter(p => p.trainer !== self).map(p => [p.trainer, p]))
    const dead = [...this.#known.keys()].filter(p => !listed.has(p))
    const news = [...listed.keys()].some(p => !this.#known.has(p))
    for (const peer of dead) this.#known.delete(peer)
    for (const [peer, address] of listed) this.#known.set(peer, address)
    if (dead.length > 0 || news) {
      this.#init.peers.allow(this.#known.keys())
      this.#tellPeers(dead)
    }
    for (const address of listed.values()) this.#dial(address)
  }

  channelChanged(peer: string, _connected: boolean): void {
    this.#tellPeers([])
    const address = this.#known.get(peer)
    if (address !== undefined) this.#dial(address)
  }

  message(from: string, message: TrainerMessage): void {
    if (!this.#started) return
    switch (message.type) {
      case 'strategy':
        this.#driver.event({ type: 'message', from, body: message.body })
        break
      case 'ledger':
        this.#ledgerDriver.event({ type: 'message', from, body: message.body })
        break
      case 'final':
        void this.#give(from, message.round)
        break
      case 'weight':
        if (this.#final?.round === message.round) this.#final.weights.get(from)?.(message.weight)
        break
    }
  }

  progress(): Progress {
    const ledger = this.#ledger
    const epoch = ledger.low
    return { step: this.#init.run.progress.step, epoch, position: epoch < ledger.spec.epochs ? figures(ledger, epoch).committed : 0 }
  }

  /** What a checkpoint holds besides parameters and optimizer. */
  checkpoint(): Record<string, unknown> {
    return {
      strategy: { name: this.#init.run.job.spec.strategy, ...(this.#driver.checkpoint() as object) },
      ledger: Buffer.from(encodeLedger(this.#ledger)).toString('base64')
    }
  }

  end(): void {
    this.#driver.freeze()
    this.#ledgerDriver.end()
    this.#ended.abort(new AbortedError('the run has ended on this trainer'))
  }

  #alive(): string[] {
    return [this.#init.self, ...this.#known.keys()]
  }

  #tellPeers(dead: string[]): void {
    if (!this.#started) return
    this.#ledgerDriver.event({ type: 'peers', alive: this.#alive() })
    const connected = this.#alive().filter(p => p === this.#init.self || this.#init.peers.channel(p) !== undefined)
    this.#driver.event({ type: 'peers', alive: connected, dead })
  }

  #dial(address: PeerAddress): void {
    const { peers, logger } = this.#init
    if (this.#dialing.has(address.trainer) || peers.channel(address.trainer) !== undefined) return
    this.#dialing.add(address.trainer)
    // A peer that dies meanwhile drops off the list; the dial then ends by itself and is not begun again.
    peers
      .connect([address], AbortSignal.any([this.#ended.signal, AbortSignal.timeout(5000)]))
      .catch(error => logger.debug(`no channel to ${address.trainer}: ${(error as GradmeshError).message}`))
      .finally(() => this.#dialing.delete(address.trainer))
  }

  #carryOut(effect: LedgerDecision): void {
    switch (effect.type) {
      case 'train':
        this.#range = { epoch: effect.epoch, range: effect.range, next: effect.start, end: effect.end }
        if (this.#waitingStep !== undefined) this.#compute(this.#waitingStep)
        break
      case 'complete':
        void this.#epochOver(effect.epoch).catch(error => this.#failed(error))
        break
      case 'finished':
        void this.#finish().catch(error => this.#failed(error))
        break
    }
  }

  /** Samples of one local step. */
  #batchSize(): number {
    const { spec } = this.#init.run.job
    return samplesAStep(spec) ?? Math.max(1, Math.ceil(spec.globalBatch! / this.#alive().length))
  }

  #compute(step: number): void {
    const { run } = this.#init
    const range = this.#range
    if (this.#computing) return
    if (range === undefined) {
      this.#waitingStep = step
      this.#driver.event({ type: 'idle', generation: GENERATION, step })
      return
    }
    this.#computing = true
    this.#waitingStep = undefined
    run.initialised = true
    const end = Math.min(range.next + this.#batchSize(), range.end)
    const batch = run.read(range.epoch, range.next, end)
    range.next = end
    this.#batch = batch.count
    run.compute(batch).then(
      outcome => {
        this.#computing = false
        if (this.#ended.signal.aborted) return
        this.#computeMs = outcome.computeMs
        this.#driver.event({ type: 'gradients', generation: GENERATION, step, samples: outcome.denominator, rate: run.rate() })
      },
      error => this.#failed(error)
    )
  }

  #apply(scale: number): void {
    const { run, self, clock, reporter, peers } = this.#init
    const { lossSum, denominator } = run.tail()
    run.apply(scale)
    const range = this.#range
    const epoch = range?.epoch ?? 0
    if (range !== undefined && range.next >= range.end) {
      this.#range = undefined
      this.#ledgerDriver.event({ type: 'trained', epoch: range.epoch, range: range.range })
    }
    run.progress = this.progress()
    const now = clock.now()
    reporter.applied({
      rank: this.#alive().sort().indexOf(self),
      epoch,
      step: run.progress.step,
      samples: committedSamples(this.#ledger),
      loss: denominator > 0 ? lossSum / denominator : 0,
      trained: this.#batch,
      computeMs: this.#computeMs,
      exchangeMs: Math.max(0, now - this.#stepped - this.#computeMs),
      bytesSent: [...this.#known.keys()].reduce((sum, p) => sum + (peers.channel(p)?.statistics.bytesSent ?? 0), 0),
      ...(this.#staleness === undefined ? {} : { staleness: this.#staleness })
    })
    this.#stepped = now
  }

  #evaluates(): boolean {
    return evaluatorOf(this.#init.run.job.job, this.#alive()) === this.#init.self
  }

  async #epochOver(epoch: number): Promise<void> {
    const { run, reporter } = this.#init
    if (!this.#evaluates() || epoch === this.#ledger.spec.epochs - 1) return
    this.#announce(epoch)
    const { step } = run.progress
    reporter.evaluation(epoch, step, await reporter.evaluate(run.arenas.parameters, this.#ended.signal))
    await reporter.checkpoint(this.checkpoint())
  }

  /** Says what an epoch's accounts are, again when they have changed since. */
  #announce(epoch: number): void {
    const { committed, duplicated } = figures(this.#ledger, epoch)
    const text = `${committed}/${duplicated}`
    if (this.#announced.get(epoch) === text) return
    this.#announced.set(epoch, text)
    this.#init.reporter.epoch(epoch, committed, duplicated)
  }

  /** The epochs are over: the evaluator collects every live replica and leaves their weighted mean. */
  async #finish(): Promise<void> {
    const { run, reporter, logger, clock } = this.#init
    const { signal } = this.#ended
    for (let round = 1; !signal.aborted; round++) {
      // Whoever evaluates may die in this; the next in order then finds itself the evaluator.
      if (!this.#evaluates()) {
        await pause(clock, 200, signal).catch(() => {})
        continue
      }
      await this.#settle()
      const weights = new Map<string, (weight: number) => void>()
      this.#final = { round, weights }
      const model = await collectModel({
        run,
        round,
        weight: this.#weight(),
        peers: [...this.#known.keys()],
        channels: this.#init.peers,
        weights,
        signal,
        logger
      })
      const evaluation = await reporter.evaluate(model.mean, signal)
      let worst = evaluation.accuracy
      for (const local of model.locals) worst = lower(worst, (await reporter.evaluate(local, signal)).accuracy)
      const { epochs } = this.#ledger.spec
      for (let epoch = 0; epoch < epochs; epoch++) this.#announce(epoch)
      reporter.evaluation(epochs - 1, run.progress.step, evaluation, worst)
      run.arenas.parameters.set(model.mean)
      await reporter.checkpoint(this.checkpoint())
      await reporter.finish(model.mean, evaluation, epochs * run.dataset.train.count)
      return
    }
  }

  async #give(to: string, round: number): Promise<void> {
    const { peers, run } = this.#init
    await this.#settle()
    if (!this.#ended.signal.aborted)
      await giveModel({ to, round, weight: this.#weight(), parameters: run.arenas.parameters, channels: peers })
  }

  /** Waits until nothing of this trainer is on its way, but not for ever: a share that a dead peer holds is lost anyway. */
  async #settle(): Promise<void> {
    const { clock } = this.#init
    const until = clock.now() + 3000
    const { signal } = this.#ended
    this.#driver.event({ type: 'drain' })
    while (!this.#driver.settled && clock.now() < until && !signal.aborted) await pause(clock, 20, signal).catch(() => {})
  }

  #weight(): number {
    const { weight } = (this.#driver.checkpoint() ?? {}) as { weight?: number }
    return weight ?? 1
  }

  #failed(error: Error): void {
    if (!this.#ended.signal.aborted) this.#init.reporter.failed(error)
  }
}

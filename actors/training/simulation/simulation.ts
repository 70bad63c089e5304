import { createRng, InvalidParametersError, MAX_TRAINERS } from '../../../common/index.ts'
import { stepSlice } from '../../../datasets/index.ts'
import type { Accounts } from './accounts.ts'
import { type Evaluation, evaluateAll } from './evaluate.ts'
import { SimulatedExchange, traced } from './exchange.ts'
import { framingOf, networkPresets, SimulatedNetwork } from './network.ts'
import { Population } from './population.ts'
import { SamplePool } from './samples.ts'
import { Timeline } from './timeline.ts'
import type { SimulatedTrainer } from './trainer.ts'
import type { SimulationInit, SimulationResult } from './types.ts'
import type { SampleSlice } from './workload.ts'

/** After the last sample, strategies may bring home what is on its way for so long, virtual ms. */
const SETTLE = 5000
/** A loss of so many times the first one counts as divergence. */
const EXPLODED = 20

/** Runs one simulated job from its first step to its last. @throws AbortedError, InvalidParametersError */
export async function simulate(init: SimulationInit): Promise<SimulationResult> {
  const { trainers, batch, budget, computeMs } = init
  if (!(Number.isInteger(trainers) && trainers >= 1 && trainers <= MAX_TRAINERS)) {
    throw new InvalidParametersError(`a simulation takes 1 to ${MAX_TRAINERS} trainers, not ${trainers}`)
  }
  if (!(Number.isInteger(batch) && batch >= 1 && Number.isInteger(budget) && budget >= 1 && computeMs >= 0)) {
    throw new InvalidParametersError('a simulation needs a batch and a number of samples of at least 1, and a time a step of at least 0 ms')
  }
  return new Simulation(init).run()
}

class Simulation {
  readonly #init: SimulationInit
  readonly #synchronous: boolean
  readonly #timeline = new Timeline()
  readonly #exchange: SimulatedExchange
  readonly #population: Population
  readonly #pool: SamplePool
  #committed = 0
  #updates = 0
  #endTime: number | undefined
  #diverged = false
  #ended = false
  #firstLoss: number | undefined
  #evaluated = 0
  /** An evaluation that waits until all ranks have applied the step. */
  #due: { step: number; samples: number } | undefined

  constructor(init: SimulationInit) {
    this.#init = init
    this.#synchronous = init.strategy.synchronous
    this.#pool = new SamplePool(init.workload.samples, init.budget)
    const network = init.network ?? networkPresets['ideal']!
    const timeline = this.#timeline
    this.#exchange = new SimulatedExchange({
      timeline,
      network: new SimulatedNetwork(network, init.trainers, `${init.seed}/network`),
      strategy: init.strategy,
      trainer: name => this.#population.trainers.get(name),
      compute: (trainer, generation, step, time) => this.#compute(trainer, generation, step, time),
      apply: (trainer, step, scale, time) => this.#apply(trainer, step, scale, time),
      commit: (trainer, time) => {
        trainer.commit()
        // the last round's end is the run's
        if (this.#endTime !== undefined) this.#endTime = Math.max(this.#endTime, time)
      },
      report: (trainer, name, value) => {
        const { staleness } = trainer.accounts
        if (name === 'staleness') staleness[Math.min(staleness.length - 1, Math.max(0, Math.round(value)))]!++
      },
      byteCost: init.arithmetic === undefined ? 0 : 1 / (init.arithmetic * 1e6),
      overhead: network.framing ? framingOf : () => 0
    })
    this.#population = new Population({
      init,
      timeline,
      network,
      random: createRng(init.seed),
      exchange: this.#exchange,
      over: () => this.#ended || this.#endTime !== undefined,
      removed: trainer => this.#removed(trainer),
      extinct: () => {
        this.#ended = true
      }
    })
  }

  async run(): Promise<SimulationResult> {
    const { signal, maxTime, budget } = this.#init
    const population = this.#population
    population.begin()
    if (maxTime !== undefined) {
      this.#timeline.at(maxTime, () => {
        if (this.#endTime === undefined) this.#ended = true
      })
    }
    await this.#timeline.run(() => this.#ended, signal)
    const time = this.#endTime ?? this.#timeline.now
    for (const trainer of population.alive) trainer.accounts.settle(this.#timeline.now)
    const sum = (of: (accounts: Accounts) => number) => population.all.reduce((total, t) => total + of(t.accounts), 0)
    const final = population.alive.length > 0 ? await this.#evaluate(time, true) : undefined
    return {
      time,
      samples: this.#committed,
      updates: this.#updates,
      payload: sum(a => a.payload),
      wire: sum(a => a.wire),
      messages: sum(a => a.messages),
      events: this.#timeline.events,
      hash: this.#timeline.hash,
      diverged: this.#diverged,
      incomplete: this.#committed < budget,
      trainers: population.all.map(t => ({ name: t.name, slot: t.slot, steps: t.accounts.steps, accounts: t.accounts })),
      ...(final === undefined ? {} : { final }),
      churned: population.churned
    }
  }

  // --- steps ---

  #compute(trainer: SimulatedTrainer, generation: number, step: number, time: number): void | Promise<void> {
    const { batch, computeMs } = this.#init
    if (this.#ended || trainer.leaving) return
    const slice = this.#synchronous ? this.#sliceOf(trainer) : this.#pool.take(batch)
    if (slice === undefined) {
      trainer.waiting = { generation, step }
      return
    }
    const timeline = this.#timeline
    const { era } = trainer
    const last = this.#synchronous && trainer.position + this.#stepSamples(trainer) >= this.#init.budget
    trainer.slice = slice
    const share = (slice.end - slice.start) / batch
    const duration = share === 0 ? 0 : trainer.delays.next(time, computeMs * share)
    timeline.trace(traced.compute, trainer.slot, step)
    timeline.at(time, () => {
      if (trainer.era === era) trainer.accounts.computing(timeline.now, true)
    })
    timeline.at(time + duration, () => {
      if (trainer.era !== era || !trainer.alive) return
      trainer.accounts.computing(timeline.now, false)
      const samples = slice.end - slice.start
      const rate = trainer.work.rate(trainer.step)
      return this.#exchange.give(trainer, { type: 'gradients', generation, step, samples, rate, ...(last ? { last } : {}) })
    })
    return trainer.work.gradients(slice)
  }

  /** The samples of a rank's next step; undefined when the run's are used up. */
  #sliceOf(trainer: SimulatedTrainer): SampleSlice | undefined {
    const { batch, budget, workload } = this.#init
    if (trainer.position >= budget) return undefined
    const epoch = Math.floor(trainer.position / workload.samples)
    const { ranks } = this.#population
    const { start, end } = stepSlice({
      count: Math.min(workload.samples, budget - epoch * workload.samples),
      position: trainer.position - epoch * workload.samples,
      world: ranks.length,
      rank: ranks.indexOf(trainer.name),
      batch
    })
    return { epoch, start, end }
  }

  #apply(trainer: SimulatedTrainer, step: number, scale: number, time: number): void | Promise<void> {
    const { budget } = this.#init
    const { lossSum, denominator } = trainer.work.figures()
    trainer.work.apply(trainer.step, scale)
    trainer.step = step
    trainer.accounts.steps++
    this.#timeline.trace(traced.apply, trainer.slot, step)
    this.#commit(trainer)
    const loss = denominator > 0 ? lossSum / denominator : 0
    this.#watch(loss)
    this.#init.onStep?.({ time, trainer: trainer.name, step, samples: this.#committed, loss })
    if (this.#committed >= budget && this.#endTime === undefined) this.#over(time)
    return this.#maybeEvaluate(step, time)
  }

  /** A step's samples count: of a synchronous one when the first rank has applied it. */
  #commit(trainer: SimulatedTrainer): void {
    if (this.#synchronous) {
      trainer.position += this.#stepSamples(trainer)
      if (trainer.position <= this.#committed) return
      this.#committed = trainer.position
      this.#updates++
    } else if (trainer.slice !== undefined) {
      this.#pool.commit(trainer.slice)
      trainer.slice = undefined
      this.#committed = this.#pool.committed
      this.#updates++
    }
  }

  /** Samples of all ranks in the synchronous step that a trainer is at. */
  #stepSamples({ position }: SimulatedTrainer): number {
    const { workload, batch, budget } = this.#init
    const epoch = Math.floor(position / workload.samples)
    return Math.min((epoch + 1) * workload.samples - position, budget - position, batch * this.#population.ranks.length)
  }

  #watch(loss: number): void {
    this.#firstLoss ??= loss
    if (Number.isFinite(loss) && loss <= EXPLODED * Math.max(this.#firstLoss, 1)) return
    this.#diverged = true
    this.#ended = true
  }

  /** All samples are trained: what is on its way comes home, then the run ends. */
  #over(time: number): void {
    const { strategy } = this.#init
    const timeline = this.#timeline
    this.#endTime = time
    for (const trainer of this.#population.alive) trainer.accounts.close(timeline.now)
    const until = time + SETTLE
    const home = (t: SimulatedTrainer) => strategy.settled(t.state) && (!this.#synchronous || t.position >= this.#init.budget)
    const look = () => {
      if (this.#population.alive.every(home) || timeline.now >= until) this.#ended = true
      else timeline.at(timeline.now + SETTLE / 100, look)
    }
    if (!this.#synchronous) {
      for (const t of this.#population.alive) timeline.at(time, () => this.#exchange.give(t, { type: 'drain' }))
    }
    timeline.at(time, look)
  }

  /** What a dead trainer had in hand goes back, to whoever waits for samples. */
  #removed(trainer: SimulatedTrainer): void {
    if (this.#synchronous || trainer.slice === undefined) return
    this.#pool.giveBack(trainer.slice)
    const waiting = this.#population.alive.find(t => t !== trainer && t.waiting !== undefined)
    if (waiting === undefined) return
    const { generation, step } = waiting.waiting!
    waiting.waiting = undefined
    const { era } = waiting
    this.#timeline.at(this.#timeline.now, () => {
      if (waiting.era === era) return this.#compute(waiting, generation, step, this.#timeline.now)
    })
  }

  // --- evaluations ---

  #maybeEvaluate(step: number, time: number): void | Promise<void> {
    const { evaluateEvery } = this.#init
    if (evaluateEvery === undefined) return
    if (this.#due === undefined && this.#committed >= (this.#evaluated + 1) * evaluateEvery && this.#endTime === undefined) {
      this.#evaluated = Math.floor(this.#committed / evaluateEvery)
      this.#due = { step, samples: this.#committed }
    }
    const due = this.#due
    if (due === undefined) return
    // ranks of one group are compared after the same step
    if (this.#synchronous && this.#population.alive.some(t => t.generation === this.#population.generation && t.step < due.step)) return
    this.#due = undefined
    return this.#evaluate(time, false, due.samples).then(() => {})
  }

  async #evaluate(time: number, final: boolean, samples = this.#committed): Promise<Evaluation | undefined> {
    const { strategy, workload } = this.#init
    if (workload.evaluate === undefined || this.#diverged) return undefined
    const replicas = this.#population.alive
      .filter(t => t.grouped)
      .map(t => {
        const { weight } = (strategy.checkpoint(t.state) ?? {}) as { weight?: number }
        return { weight: typeof weight === 'number' ? weight : 1, parameters: t.work.arenas!.parameters }
      })
    const figures = await evaluateAll(replicas, workload, final)
    const wire = this.#population.all.reduce((sum, t) => sum + t.accounts.wire, 0)
    const evaluation: Evaluation = { time, samples, updates: this.#updates, wire, ...figures }
    if (!Number.isFinite(evaluation.loss)) {
      this.#diverged = true
      this.#ended = true
    }
    this.#init.onEvaluation?.(evaluation)
    return evaluation
  }
}

import type { Logger } from '../../../common/index.ts'
import type { Handle } from '../../runtime/index.ts'
import type { JobEvent } from '../service-types.ts'
import type { Evaluation, TrainerNotice } from './definition.ts'
import type { EvaluatorCalls } from './evaluator.ts'
import type { TrainingRun } from './run.ts'

/** Most events kept while the node does not take them. */
const MAX_WAITING = 4096

/** Figures of one applied step. */
export interface AppliedStep {
  rank: number
  epoch: number
  step: number
  /** Samples of the whole job committed so far, as this trainer knows. */
  samples: number
  loss: number
  /** Samples this trainer trained in this step. */
  trained: number
  computeMs: number
  exchangeMs: number
  bytesSent: number
  staleness?: number
}

/** Turns what happens in a trainer into events for its node, in batches, and writes what the job leaves behind. */
export class Reporter {
  readonly #run: TrainingRun
  readonly #evaluator: Handle<EvaluatorCalls>
  readonly #self: string
  readonly #channels: () => Record<string, number>
  readonly #send: (notice: TrainerNotice) => Promise<unknown>
  readonly #initial: (checkpoint?: string) => Promise<void>
  readonly #logger: Logger
  #waiting: JobEvent[] = []
  #flushing: Promise<void> | undefined
  #window = { trained: 0, computeMs: 0, exchangeMs: 0, steps: 0, since: performance.now() }
  /** Set when a step ended epoch `epoch`, until the border is dealt with, which may be that of several epochs from `first` on. */
  epochOver: { first: number; epoch: number; committed: number } | undefined

  constructor(init: {
    run: TrainingRun
    evaluator: Handle<EvaluatorCalls>
    self: string
    /** How many channels travel by which way. */
    channels(): Record<string, number>
    send(notice: TrainerNotice): Promise<unknown>
    /** Brings the run to the state its job begins with, or that of a checkpoint it wrote. */
    initial(checkpoint?: string): Promise<void>
    logger: Logger
  }) {
    this.#run = init.run
    this.#evaluator = init.evaluator
    this.#self = init.self
    this.#channels = init.channels
    this.#send = init.send
    this.#initial = init.initial
    this.#logger = init.logger
  }

  /** @param checkpoint - one of this very job; else where the job began */
  initial(checkpoint?: string): Promise<void> {
    return this.#initial(checkpoint)
  }

  /** Scores parameters on the test split. */
  evaluate(parameters: Float32Array, signal: AbortSignal): Promise<Evaluation> {
    return this.#evaluator.call('evaluate', parameters, { signal })
  }

  applied(step: AppliedStep): void {
    const w = this.#window
    w.trained += step.trained
    w.computeMs += step.computeMs
    w.exchangeMs += step.exchangeMs
    w.steps++
    if (step.step % this.#run.job.spec.logEvery !== 0 && this.epochOver === undefined) return
    const elapsed = Math.max(performance.now() - w.since, 1e-3)
    this.event({
      type: 'metrics',
      job: this.#run.job.job,
      trainer: this.#self,
      rank: step.rank,
      step: step.step,
      epoch: step.epoch,
      samples: step.samples,
      loss: step.loss,
      samplesPerSecond: (w.trained / elapsed) * 1000,
      ...(step.staleness === undefined ? {} : { staleness: step.staleness }),
      bytesSent: step.bytesSent,
      channels: this.#channels(),
      computeMs: w.computeMs / w.steps,
      exchangeMs: w.exchangeMs / w.steps,
      time: Date.now()
    })
    this.#window = { trained: 0, computeMs: 0, exchangeMs: 0, steps: 0, since: performance.now() }
  }

  epoch(epoch: number, committed: number, duplicated: number): void {
    this.event({ type: 'epoch', job: this.#run.job.job, epoch, committed, duplicated })
  }

  evaluation(epoch: number, step: number, evaluation: Evaluation, worstLocalAccuracy?: number): void {
    this.event({
      type: 'evaluation',
      job: this.#run.job.job,
      epoch,
      step,
      ...(evaluation.accuracy === undefined ? {} : { accuracy: evaluation.accuracy }),
      loss: evaluation.loss,
      ...(worstLocalAccuracy === undefined ? {} : { worstLocalAccuracy })
    })
  }

  event(event: JobEvent): void {
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.shift()
    this.#waiting.push(event)
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
    })
  }

  /** Writes a checkpoint and announces it. */
  async checkpoint(extra: Record<string, unknown>): Promise<{ name: string; step: number }> {
    const { name, step, files } = await this.#run.checkpoint(extra)
    await this.#send({ type: 'files', names: files })
    this.event({ type: 'checkpoint', job: this.#run.job.job, step, name })
    return { name, step }
  }

  /** Writes the trained model and tells the node that the run is over. */
  async finish(parameters: Float32Array, evaluation: Evaluation, samples = this.#run.samples): Promise<void> {
    const model = await this.#evaluator.call('exportModel', { parameters, evaluation })
    await this.#send({ type: 'files', names: [model] })
    await this.#flushing
    const { step } = this.#run.progress
    await this.#send({ type: 'finished', ...evaluation, samples, step })
  }

  failed(error: Error): void {
    this.#logger.error(error.message)
    void this.#send({ type: 'failed', message: error.message, opening: false }).catch(() => {})
  }

  async #flush(): Promise<void> {
    // One turn later, so that events of the same moment travel together.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const events = this.#waiting.splice(0, 256)
      try {
        await this.#send({ type: 'events', events })
      } catch (error) {
        this.#logger.warn(`${events.length} events were lost: ${error instanceof Error ? error.message : error}`)
      }
    }
  }
}

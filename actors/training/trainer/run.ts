import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hash32, MalformedError } from '../../../common/index.ts'
import { type Dataset, openDataset, type Split, sampleOrder } from '../../../datasets/index.ts'
import { exportModel, initialise, type ParameterInfo, type TrainingGraph } from '../../../models/index.ts'
import { add } from '../../../native/index.ts'
import { strategyNamed } from '../exchange/index.ts'
import type { JobRecord, Progress } from '../job/records.ts'
import { labelsFor, type OpenedModel, openModel, type TrainedState, type WriteLabels } from '../model/index.ts'
import { createOptimizer, type Optimizer, parseSchedule, rateAt, type Schedule } from '../optimizers/index.ts'
import { createArenas, sharedFloats, stateHash, TAIL, type TrainerArenas } from './arenas.ts'
import type { Evaluation } from './definition.ts'
import { type Batch, createEngine, type Engine, type Outcome } from './engine.ts'
import { readSafetensors, writeSafetensors } from './safetensors.ts'
import { writeAtomically } from './write-file.ts'

/** Samples of one evaluation request; more would hold up a training step that waits behind it. */
const EVALUATION_BATCH = 256

export interface RunInit {
  job: JobRecord
  provider: string
  threads: number
  dataRoots?: string[]
  /** Folder that checkpoints and the trained model are written to, and that holds the files of the model. */
  folder: string
  signal?: AbortSignal
}

/** The state of one training run on one device: data, model, arenas, engine, optimizer, progress. It knows nothing of peers. */
export class TrainingRun {
  readonly job: JobRecord
  readonly dataset: Dataset
  readonly #model: OpenedModel
  readonly training: TrainingGraph
  readonly arenas: TrainerArenas
  readonly engine: Engine
  readonly #optimizer: Optimizer
  /** Where it writes, and where the files of its model lie. */
  readonly folder: string
  readonly #schedule: Schedule
  readonly #labels: WriteLabels
  /** Labels as the data set gives them. */
  #classes = new Int32Array(0)
  progress: Progress = { step: 0, epoch: 0, position: 0 }
  /** Whether the arenas hold a state of the run. */
  initialised = false
  #order: { epoch: number; ids: Uint32Array } | undefined
  #spare: Batch[] = []
  /** Gradients of a step's pieces so far, tail included. */
  #sums: Float32Array | undefined

  private constructor(init: RunInit, dataset: Dataset, model: OpenedModel, arenas: TrainerArenas, engine: Engine, optimizer: Optimizer) {
    this.job = init.job
    this.folder = init.folder
    this.#schedule = parseSchedule(init.job.spec.schedule)
    this.dataset = dataset
    this.#model = model
    this.training = model.training
    this.#labels = labelsFor(model.training.inputs.labels, dataset)
    this.arenas = arenas
    this.engine = engine
    this.#optimizer = optimizer
  }

  /**
   * Opens the data, builds the model and starts the engine.
   *
   * @throws InvalidParametersError when the data is not what the job was submitted with
   */
  static async open(init: RunInit): Promise<TrainingRun> {
    const { spec, fingerprint } = init.job
    const dataset = await openDataset(spec.data, { dataRoots: init.dataRoots, signal: init.signal })
    if (dataset.fingerprint.digest !== fingerprint.digest) {
      throw new MalformedError(`${spec.data}: this node finds other data than the job was submitted with; make the copies equal`)
    }
    const model = join(init.folder, 'model')
    const opened = await openModel({ spec, data: dataset }, model, init.signal === undefined ? {} : { signal: init.signal })
    const { training } = opened
    const optimizer = createOptimizer(spec.optimizer, training.layout)
    const arenas = createArenas({
      parameters: training.layout.total,
      statistics: training.state.total,
      optimizer: optimizer.stateFloats
    })
    const engine = await createEngine({
      graph: training,
      provider: init.provider,
      threads: init.threads,
      parameters: arenas.parameters,
      gradients: arenas.gradients,
      // Without steps in common others' parameters come in at any time.
      snapshot: !strategyNamed(spec.strategy).synchronous
    })
    return new TrainingRun(init, dataset, opened, arenas, engine, optimizer)
  }

  /** Begins at step 0 with the seed's parameters, equal on every trainer. */
  fromSeed(): void {
    initialise(this.training.layout, this.job.spec.seed, this.arenas.parameters)
    initialise(this.training.state, this.job.spec.seed, this.#statistics(this.arenas.parameters))
    this.arenas.optimizer.fill(0)
    this.arenas.state.fill(0)
    this.progress = { step: 0, epoch: 0, position: 0 }
    this.initialised = true
  }

  /**
   * Hash of parameters and optimizer state: equal for replicas in the same state.
   *
   * @param parametersOnly - where optimizers of replicas differ
   */
  hash(parametersOnly = false): string {
    const { parameters, optimizer } = this.arenas
    return parametersOnly ? stateHash(parameters) : stateHash(parameters, optimizer)
  }

  /** Whether the job's epochs or its steps are over. */
  get finished(): boolean {
    const { epochs, steps = Number.POSITIVE_INFINITY } = this.job.spec
    return this.progress.epoch >= epochs || this.progress.step >= steps
  }

  /** Whether the next step ends the job. @param epochEnds - whether it ends its epoch */
  isLast(epochEnds: boolean): boolean {
    const { epochs, steps = Number.POSITIVE_INFINITY } = this.job.spec
    return (epochEnds && this.progress.epoch + 1 >= epochs) || this.progress.step + 1 >= steps
  }

  /** Samples committed so far, over all epochs. */
  get samples(): number {
    return this.progress.epoch * this.dataset.train.count + this.progress.position
  }

  /** Learning rate of the next step. */
  rate(): number {
    return rateAt(this.#schedule, this.job.spec.lr, this.progress.step)
  }

  /** Positions of an epoch's order as a batch. */
  read(epoch: number, start: number, end: number): Batch {
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, ids: sampleOrder(this.dataset.train.count, this.job.spec.seed, epoch) }
    }
    return this.#fill(this.dataset.train, this.#order.ids.subarray(start, end), epoch)
  }

  /** Gradients of the summed loss over positions [start, end) of an epoch, into arena `gradients`; zeros when there are none. */
  async compute(batch: Batch): Promise<Outcome> {
    if (batch.count === 0) {
      this.arenas.gradients.fill(0)
      return { lossSum: 0, denominator: 0, correct: 0, computeMs: 0, batch }
    }
    const pieces = Math.min(this.job.spec.accumulate ?? 1, batch.count)
    const outcome = pieces === 1 ? await this.engine.forwardBackward(batch) : await this.#accumulate(batch, pieces)
    this.#spare.push(outcome.batch)
    return outcome
  }

  /** Gradients of `batch` in pieces, one after the other, summed in order; the activations in memory are those of one piece. */
  async #accumulate(batch: Batch, pieces: number): Promise<Outcome> {
    const { gradients } = this.arenas
    this.#sums ??= new Float32Array(gradients.length)
    const sums = this.#sums
    const total = { lossSum: 0, denominator: 0, correct: 0, computeMs: 0, batch }
    for (let piece = 0; piece < pieces; piece++) {
      const start = Math.floor((batch.count * piece) / pieces)
      const end = Math.floor((batch.count * (piece + 1)) / pieces)
      const outcome = await this.engine.forwardBackward(this.#part(batch, start, end))
      this.#spare.push(outcome.batch)
      total.lossSum += outcome.lossSum
      total.denominator += outcome.denominator
      total.correct += outcome.correct
      total.computeMs += outcome.computeMs
      if (piece === 0) sums.set(gradients)
      else if (piece < pieces - 1) add(sums, gradients)
      else add(gradients, sums)
    }
    return total
  }

  /** Samples [start, end) of a batch, copied: the engine is given its buffers. */
  #part(batch: Batch, start: number, end: number): Batch {
    const count = end - start
    const part = this.#buffers(count)
    const size = this.dataset.shape.reduce((a, b) => a * b, 1)
    const labels = this.#labels.size
    part.data.set(batch.data.subarray(start * size, end * size))
    part.labels.set(batch.labels.subarray(start * labels, end * labels))
    if (batch.samples !== undefined) part.samples?.set(batch.samples.subarray(start, end))
    return { ...part, count }
  }

  /** Sums behind the gradients: of this trainer before the exchange, of all after it. */
  tail(): { lossSum: number; denominator: number; correct: number } {
    const { gradients, parameters } = this.arenas
    const [lossSum, denominator, correct] = gradients.subarray(parameters.length, parameters.length + TAIL)
    return { lossSum: lossSum!, denominator: denominator!, correct: correct! }
  }

  /** One optimizer step with arena `gradients`, divided by its tail's denominator. @param scale - of the rate; 0: only count the step */
  apply(scale: number): void {
    const { denominator } = this.tail()
    const rate = this.rate() * scale
    this.progress = { ...this.progress, step: this.progress.step + 1 }
    if (denominator === 0 || scale === 0) return
    this.#optimizer.apply({
      parameters: this.arenas.parameters,
      gradients: this.arenas.gradients,
      state: this.arenas.optimizer,
      rate,
      scale: 1 / denominator
    })
    const { total } = this.training.layout
    const statistics = this.#statistics(this.arenas.parameters)
    for (let i = 0; i < statistics.length; i++) statistics[i]! += this.arenas.gradients[total + i]! / denominator
  }

  /** Scores parameters on the test split, or what the job takes of it. They are copied first: training may go on meanwhile. */
  async evaluate(parameters: Float32Array = this.arenas.parameters, signal?: AbortSignal): Promise<Evaluation> {
    const copy = sharedFloats(parameters.length)
    copy.set(parameters)
    const { test } = this.dataset
    const count = Math.min(test.count, this.job.spec.evaluateSamples ?? test.count)
    let lossSum = 0
    let denominator = 0
    let correct = 0
    for (let start = 0; start < count; start += EVALUATION_BATCH) {
      signal?.throwIfAborted()
      const ids = Array.from({ length: Math.min(EVALUATION_BATCH, count - start) }, (_, i) => start + i)
      const outcome = await this.engine.forward(this.#fill(test, ids), copy)
      this.#spare.push(outcome.batch)
      lossSum += outcome.lossSum
      denominator += outcome.denominator
      correct += outcome.correct
    }
    return { loss: lossSum / denominator, ...(this.training.outputs.counts ? { accuracy: correct / denominator } : {}) }
  }

  /** Writes a checkpoint of the present state. @returns its name and its files, relative to the job's folder */
  async checkpoint(extra: Record<string, unknown>): Promise<{ name: string; step: number; files: string[] }> {
    const { step } = this.progress
    const name = String(step).padStart(8, '0')
    const folder = join(this.folder, 'checkpoints', name)
    const { layout } = this.training
    const parameters = this.arenas.parameters.slice()
    const optimizer = this.arenas.optimizer.slice()
    const state = this.arenas.state.slice()
    const manifest = {
      format: 'gradmesh-checkpoint/1',
      job: this.job.job,
      ...this.progress,
      seed: this.job.spec.seed,
      optimizer: this.job.spec.optimizer,
      spec: this.job.spec,
      parameters: layout.total,
      ...extra
    }
    await mkdir(folder, { recursive: true })
    await writeSafetensors(join(folder, 'state.safetensors'), [
      ...this.#tensors().map(({ name, shape, start, size }) => ({ name, shape, data: parameters.subarray(start, start + size) })),
      { name: '@optimizer', shape: [optimizer.length], data: optimizer },
      ...(state.length > 0 ? [{ name: '@strategy', shape: [state.length], data: state }] : [])
    ])
    const own = this.#model.snapshot?.(this.#trained(parameters, optimizer)) ?? []
    for (const { name, parts } of own) await writeAtomically(join(folder, name), parts)
    await writeAtomically(join(folder, 'manifest.json'), JSON.stringify(manifest, null, 2) + '\n')
    const names = ['state.safetensors', ...own.map(f => f.name), 'manifest.json']
    return { name, step, files: names.map(file => `checkpoints/${name}/${file}`) }
  }

  /** Parameters and optimizer state by the names of tensors, for files of other kinds. */
  #trained(parameters: Float32Array, optimizer: Float32Array): TrainedState {
    const places = new Map(this.#tensors().map(t => [t.name, t]))
    const { total } = this.training.layout
    return {
      step: this.progress.step,
      value: name => {
        const { start, size } = places.get(name)!
        return parameters.subarray(start, start + size)
      },
      optimizer: this.#optimizer.stateParts
        .filter(part => part.size === total)
        .map(part => name => {
          const { start, size } = places.get(name)!
          return start < total ? optimizer.subarray(part.offset + start, part.offset + start + size) : undefined
        })
    }
  }

  /**
   * Takes up a checkpoint.
   *
   * @param sameStrategy - whether the strategy that wrote it is the job's: another begins with nothing of its own
   * @throws MalformedError when it does not fit the model
   */
  async restore(path: string, progress: Progress, sameStrategy: boolean): Promise<void> {
    const { tensors } = await readSafetensors(path)
    for (const { name, start, size } of this.#tensors()) {
      const tensor = tensors.get(name)
      if (tensor?.data.length !== size)
        throw new MalformedError(`${path}: parameter ${name} is missing or has another shape than the model's`)
      this.arenas.parameters.set(tensor.data, start)
    }
    const optimizer = tensors.get('@optimizer')
    if (optimizer?.data.length !== this.arenas.optimizer.length)
      throw new MalformedError(`${path}: the optimizer's state is missing or has another size`)
    this.arenas.optimizer.set(optimizer.data)
    const state = sameStrategy ? tensors.get('@strategy')?.data : undefined
    if (state?.length === this.arenas.state.length) this.arenas.state.set(state)
    else this.arenas.state.fill(0)
    this.progress = { ...progress }
    this.initialised = true
  }

  /** Writes `model.onnx`, which any runtime opens. @returns its name below the job's folder */
  async exportModel(parameters: Float32Array, evaluation: Evaluation): Promise<string> {
    const metadata = {
      job: this.job.job,
      step: String(this.progress.step),
      ...(evaluation.accuracy === undefined ? {} : { accuracy: String(evaluation.accuracy) }),
      data: this.job.spec.data
    }
    const states = { layout: this.training.state, values: this.#statistics(parameters) }
    const bytes = exportModel(this.#model.graph, this.training.layout, parameters, metadata, states)
    await mkdir(this.folder, { recursive: true })
    await writeAtomically(join(this.folder, 'model.onnx'), bytes)
    return 'model.onnx'
  }

  async close(): Promise<void> {
    await this.engine.close()
  }

  /** The running statistics behind the parameters of an arena. */
  #statistics(arena: Float32Array): Float32Array {
    return arena.subarray(this.training.layout.total, this.training.layout.total + this.training.state.total)
  }

  /** Everything of an arena of parameters by name. */
  #tensors(): (ParameterInfo & { start: number })[] {
    const { layout, state } = this.training
    return [
      ...layout.parameters.map(p => ({ ...p, start: p.offset })),
      ...state.parameters.map(p => ({ ...p, start: layout.total + p.offset }))
    ]
  }

  /** @param epoch - that the samples are trained in; undefined where they are only scored */
  #fill(split: Split, ids: ArrayLike<number>, epoch?: number): Batch {
    const count = ids.length
    const batch = this.#buffers(count)
    const given = count * (this.dataset.positions ?? 1)
    if (this.#classes.length < given) this.#classes = new Int32Array(given)
    split.read(ids, batch.data, this.#classes)
    this.#labels.write(this.#classes.subarray(0, given), batch.labels)
    if (batch.samples !== undefined && epoch !== undefined) {
      const { seed } = this.job.spec
      for (let i = 0; i < count; i++) batch.samples[i] = hash32(`${seed}/${epoch}/${ids[i]}`) >>> 1
    }
    return { ...batch, count }
  }

  #buffers(count: number): Batch {
    const i = this.#spare.findIndex(b => b.labels.length >= count * this.#labels.size)
    const spare = i >= 0 ? this.#spare.splice(i, 1)[0]! : undefined
    // Two buffers circulate while training, one more while evaluating.
    if (this.#spare.length > 4) this.#spare.shift()
    if (spare !== undefined) return spare
    const size = this.dataset.shape.reduce((a, b) => a * b, count)
    return {
      data: new Float32Array(size),
      labels: this.#labels.allocate(count),
      ...(this.training.inputs.samples === undefined ? {} : { samples: new Int32Array(count) }),
      count: 0
    }
  }
}

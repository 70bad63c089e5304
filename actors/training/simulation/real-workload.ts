import * as ort from 'onnxruntime-node'
import { InvalidParametersError } from '../../../common/index.ts'
import { type Dataset, openDataset, type Split, sampleOrder } from '../../../datasets/index.ts'
import { initialise, modelNamed, trainingGraph } from '../../../models/index.ts'
import type { ArenaSizes, Arenas } from '../exchange/index.ts'
import { createOptimizer, type OptimizerSpec, parseSchedule, rateAt, type Schedule } from '../optimizers/index.ts'
import { TAIL } from '../trainer/arenas.ts'
import type { SampleSlice, Score, TrainerWork, Workload } from './workload.ts'

/** Samples of one evaluation request. */
const EVALUATION_BATCH = 256

export interface RealWorkloadInit {
  /** As `mesh train --model` takes it. */
  model: string
  /** As `mesh train --data` takes it. */
  data: string
  /** `data`, already opened. */
  dataset?: Dataset
  /** Of initialisation and sample order. */
  seed: string | number
  optimizer: OptimizerSpec
  lr: number
  schedule?: Schedule
  /** Training samples of an epoch. @default all */
  samples?: number
  /** Test samples an evaluation uses. @default all */
  testSamples?: number
  dataRoots?: string[]
  /** Threads inside one operator. @default 1 */
  threads?: number
  signal?: AbortSignal
}

/**
 * Real gradients: one session of ONNX Runtime that all simulated trainers share, and arenas of each trainer's own, which the session
 * reads and writes in place. The session runs on the calling thread: a simulation has nothing else to do meanwhile.
 *
 * @throws InvalidParametersError, MalformedError for a model or data that cannot be had
 */
export async function realWorkload(init: RealWorkloadInit): Promise<Workload> {
  const { data, dataRoots, signal } = init
  const dataset = init.dataset ?? (await openDataset(data, { dataRoots, signal }))
  const training = trainingGraph(modelNamed(init.model, { shape: dataset.shape, classes: dataset.classes }))
  const { layout, outputs } = training
  if (training.state.total > 0 || training.inputs.samples !== undefined) {
    throw new InvalidParametersError(
      `model ${init.model} has running statistics or dropout, which simulated trainers do not have; choose another`
    )
  }
  const optimizer = createOptimizer(init.optimizer, layout)
  const schedule = parseSchedule(init.schedule)
  const samples = Math.min(init.samples ?? dataset.train.count, dataset.train.count)
  const testSamples = Math.min(init.testSamples ?? dataset.test.count, dataset.test.count)
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: init.threads ?? 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } }
  }
  const train = await ort.InferenceSession.create(training.train, options)
  const score = await ort.InferenceSession.create(training.evaluate, options)
  const scalars = [outputs.lossSum, outputs.denominator, outputs.correct].map(name => ({ name, value: new Float32Array(1) }))
  const scalarFetches = Object.fromEntries(scalars.map(({ name, value }) => [name, new ort.Tensor('float32', value, [])]))
  const batches = batchReader(dataset, training.inputs)
  const first = new Float32Array(layout.total)
  initialise(layout, init.seed, first)
  let order: { epoch: number; ids: Uint32Array } | undefined
  let engineMs = 0

  const idsOf = ({ epoch, start, end }: SampleSlice): Uint32Array => {
    if (order?.epoch !== epoch) order = { epoch, ids: sampleOrder(samples, init.seed, epoch) }
    return order.ids.subarray(start, end)
  }
  const tensors = (memory: Float32Array, names: readonly string[]) =>
    Object.fromEntries(
      layout.parameters.map((p, i) => [names[i]!, new ort.Tensor('float32', memory.subarray(p.offset, p.offset + p.size), p.shape)])
    )
  const names = layout.parameters.map(p => p.name)
  const run = async (session: ort.InferenceSession, feeds: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor>) => {
    const start = performance.now()
    await session.run(feeds, fetches)
    engineMs += performance.now() - start
  }

  return {
    size: layout.total,
    tail: TAIL,
    optimizer: optimizer.stateFloats,
    samples,
    get engineMs() {
      return engineMs
    },
    open(): TrainerWork {
      const arenas: Arenas = {
        parameters: first.slice(),
        gradients: new Float32Array(layout.total + TAIL),
        optimizer: new Float32Array(optimizer.stateFloats),
        outgoing: new Float32Array(0),
        landing: new Float32Array(0),
        state: new Float32Array(0)
      }
      const feeds = tensors(arenas.parameters, names)
      const fetches = { ...tensors(arenas.gradients, outputs.gradients), ...scalarFetches }
      const figures = () => ({ lossSum: arenas.gradients[layout.total]!, denominator: arenas.gradients[layout.total + 1]! })
      return {
        arenas,
        resize(sizes: ArenaSizes) {
          for (const name of ['outgoing', 'landing', 'state'] as const) {
            if (arenas[name].length !== sizes[name]) arenas[name] = new Float32Array(sizes[name])
          }
        },
        gradients(slice) {
          if (slice.start === slice.end) {
            arenas.gradients.fill(0)
            return undefined
          }
          return run(train, { ...feeds, ...batches(dataset.train, idsOf(slice)) }, fetches).then(() => {
            scalars.forEach(({ value }, i) => {
              arenas.gradients[layout.total + i] = value[0]!
            })
          })
        },
        rate: applied => rateAt(schedule, init.lr, applied),
        apply(applied, scale) {
          const { denominator } = figures()
          if (denominator === 0 || scale === 0) return
          const rate = rateAt(schedule, init.lr, applied) * scale
          const { parameters, gradients, optimizer: state } = arenas
          optimizer.apply({ parameters, gradients, state, rate, scale: 1 / denominator })
        },
        figures
      }
    },
    async evaluate(parameters): Promise<Score> {
      const feeds = tensors(parameters, names)
      const sums = [0, 0, 0]
      for (let start = 0; start < testSamples; start += EVALUATION_BATCH) {
        init.signal?.throwIfAborted()
        const ids = Uint32Array.from({ length: Math.min(EVALUATION_BATCH, testSamples - start) }, (_, i) => start + i)
        await run(score, { ...feeds, ...batches(dataset.test, ids) }, scalarFetches)
        scalars.forEach(({ value }, i) => {
          sums[i]! += value[0]!
        })
      }
      return { loss: sums[0]! / sums[1]!, accuracy: sums[2]! / testSamples }
    },
    async close() {
      await train.release()
      await score.release()
    }
  }
}

/** Batches as tensors, in buffers that are used again: the session has read them when its run resolves. */
function batchReader(dataset: Dataset, inputs: { data: { name: string; shape: number[] }; labels: { name: string } }) {
  const size = dataset.shape.reduce((a, b) => a * b, 1)
  let data = new Float32Array(0)
  let labels = new Int32Array(0)
  return (split: Split, ids: Uint32Array): Record<string, ort.Tensor> => {
    const count = ids.length
    if (labels.length < count) {
      data = new Float32Array(count * size)
      labels = new Int32Array(count)
    }
    split.read(ids, data, labels)
    return {
      [inputs.data.name]: new ort.Tensor('float32', data.subarray(0, count * size), [count, ...inputs.data.shape]),
      [inputs.labels.name]: new ort.Tensor('int32', labels.subarray(0, count), [count])
    }
  }
}

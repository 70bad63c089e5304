import os from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import * as ort from 'onnxruntime-node'
import type { DataType } from '../../../models/index.ts'
import { fromThread } from './arenas.ts'
import { type Batch, buffersOf, type EngineReply, type EngineRequest, type EngineWorkerData, type Outcome, type Place } from './engine.ts'

/** The engine's thread: owns the sessions and nothing else. */

const init = workerData as EngineWorkerData
const port = parentPort!

// Sessions work on the arenas themselves. ONNX Runtime refuses tensors over a SharedArrayBuffer: there, this thread keeps copies.
const parameterArena = fromThread(init.parameterArena)
const gradientArena = fromThread(init.gradientArena)
const total = parameterArena.view.length
const live = parameterArena.direct && !init.snapshot
/** Parameters of this thread's own: of the step that runs, or of an evaluation; made when first needed. */
let copy: { values: Float32Array; feeds: Record<string, ort.Tensor> } | undefined
const liveFeeds = live ? feedsOver(parameterArena.view) : undefined
const gradients = gradientArena.direct ? gradientArena.view : new Float32Array(total)
const fetches: Record<string, ort.Tensor> = {}
for (const [i, p] of init.parameters.entries()) fetches[init.outputs.gradients[i]!] = tensor(gradients, p)
for (const [i, s] of init.states.entries()) fetches[init.outputs.states[i]!] = tensor(gradients, s)

function tensor(arena: Float32Array, { offset, size, shape }: Place): ort.Tensor {
  return new ort.Tensor('float32', arena.subarray(offset, offset + size), shape)
}

function feedsOver(arena: Float32Array): Record<string, ort.Tensor> {
  return Object.fromEntries([...init.parameters, ...init.states].map(place => [place.name, tensor(arena, place)]))
}

function copyOf(values: Float32Array): { values: Float32Array; feeds: Record<string, ort.Tensor> } {
  if (copy === undefined) {
    const own = new Float32Array(total)
    copy = { values: own, feeds: feedsOver(own) }
  }
  copy.values.set(values)
  return copy
}

const scalars = {
  [init.outputs.lossSum]: new Float32Array(1),
  [init.outputs.denominator]: new Float32Array(1),
  [init.outputs.correct]: new Float32Array(1)
}
const scalarFetches = Object.fromEntries(Object.entries(scalars).map(([name, values]) => [name, new ort.Tensor('float32', values, [])]))
const trainFetches = { ...fetches, ...scalarFetches }

try {
  // On Linux this lowers the calling thread alone: the main threads, which move the bytes, get a core when they need one.
  os.setPriority(0, 5)
} catch {
  // Some sandboxes forbid it; training only gets less even.
}

const options: ort.InferenceSession.SessionOptions = {
  executionProviders: [init.provider],
  intraOpNumThreads: init.threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  extra: { session: { intra_op: { allow_spinning: '0' } } }
}
const train = await ort.InferenceSession.create(init.train, options)
let evaluate: ort.InferenceSession | undefined

function inputsOf(batch: Batch): Record<string, ort.Tensor> {
  const { data, labels, samples } = init.inputs
  const inputs = {
    [data.name]: fed(data.type, batch.data, batch.count, data.shape),
    [labels.name]: fed(labels.type, batch.labels, batch.count, labels.shape)
  }
  if (samples !== undefined && batch.samples !== undefined) inputs[samples.name] = fed(samples.type, batch.samples, batch.count, [])
  return inputs
}

/** The first `count` samples of a batch as a tensor of the type that the graph asks for. */
function fed(type: DataType, values: Float32Array | Int32Array, count: number, each: number[]): ort.Tensor {
  const part = values.subarray(
    0,
    each.reduce((a, b) => a * b, count)
  )
  const shape = [count, ...each]
  switch (type) {
    case 'float32':
      return new ort.Tensor(type, part instanceof Float32Array ? part : Float32Array.from(part), shape)
    case 'float64':
      return new ort.Tensor(type, Float64Array.from(part), shape)
    case 'int32':
      return new ort.Tensor(type, part instanceof Int32Array ? part : Int32Array.from(part), shape)
    case 'int64':
      return new ort.Tensor(
        type,
        BigInt64Array.from(part as Int32Array, value => BigInt(Math.trunc(value))),
        shape
      )
    case 'uint8':
      return new ort.Tensor(type, Uint8Array.from(part), shape)
    default:
      throw new Error(`no numbers of type ${type} can be fed`)
  }
}

/** What a session reads of the feeds there are. */
function feedsOf(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>, batch: Batch): Record<string, ort.Tensor> {
  const all = { ...feeds, ...inputsOf(batch) }
  return Object.fromEntries(session.inputNames.map(name => [name, all[name]!]))
}

function outcome(batch: Batch, computeMs: number): Outcome {
  return {
    lossSum: scalars[init.outputs.lossSum]![0]!,
    denominator: scalars[init.outputs.denominator]![0]!,
    correct: scalars[init.outputs.correct]![0]!,
    computeMs,
    batch
  }
}

async function answer(request: EngineRequest): Promise<Outcome> {
  const { batch } = request
  if (request.type === 'evaluate') {
    evaluate ??= await ort.InferenceSession.create(init.evaluate, options)
    const given = feedsOf(evaluate, copyOf(request.parameters).feeds, batch)
    const start = performance.now()
    await evaluate.run(given, scalarFetches)
    return outcome(batch, performance.now() - start)
  }
  const { values, feeds } = liveFeeds === undefined ? copyOf(parameterArena.view) : { values: parameterArena.view, feeds: liveFeeds }
  const given = feedsOf(train, feeds, batch)
  const start = performance.now()
  await train.run(given, trainFetches)
  const result = outcome(batch, performance.now() - start)
  for (const { offset, size } of init.states) {
    for (let i = offset; i < offset + size; i++) gradients[i] = (gradients[i]! - values[i]!) * result.denominator
  }
  if (!gradientArena.direct) gradientArena.view.set(gradients)
  gradientArena.view.set([result.lossSum, result.denominator, result.correct], total)
  return result
}

// One request at a time, in order: the copies above belong to whichever runs.
let queue: Promise<void> = Promise.resolve()
port.on('message', (request: EngineRequest) => {
  queue = queue.then(async () => {
    let reply: EngineReply
    try {
      reply = { type: 'done', id: request.id, outcome: await answer(request) }
    } catch (error) {
      reply = { type: 'failed', id: request.id, message: error instanceof Error ? error.message : String(error) }
    }
    port.postMessage(reply, buffersOf(request.batch))
  })
})
port.postMessage({ type: 'ready' } satisfies EngineReply)

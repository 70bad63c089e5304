import os from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import * as ort from 'onnxruntime-node'
import type { DataType } from '../../../models/index.ts'
import { type Batch, buffersOf, type EngineReply, type EngineRequest, type EngineWorkerData, type Outcome, type Place } from './engine.ts'

/** The engine's thread: owns the sessions and nothing else. */

const init = workerData as EngineWorkerData
const port = parentPort!

// onnxruntime refuses tensors over shared memory, so this thread keeps a copy of both arenas: a few hundred microseconds a step.
const parameters = new Float32Array(init.parameterArena.length)
const gradients = new Float32Array(init.parameterArena.length)
const feeds: Record<string, ort.Tensor> = {}
const fetches: Record<string, ort.Tensor> = {}
const view = (arena: Float32Array, { offset, size, shape }: Place) =>
  new ort.Tensor('float32', arena.subarray(offset, offset + size), shape)
for (const [i, p] of init.parameters.entries()) {
  feeds[p.name] = view(parameters, p)
  fetches[init.outputs.gradients[i]!] = view(gradients, p)
}
for (const [i, s] of init.states.entries()) {
  feeds[s.name] = view(parameters, s)
  fetches[init.outputs.states[i]!] = view(gradients, s)
}
const scalars = {
  [init.outputs.lossSum]: new Float32Array(1),
  [init.outputs.denominator]: new Float32Array(1),
  [init.outputs.correct]: new Float32Array(1)
}
const scalarFetches = Object.fromEntries(Object.entries(scalars).map(([name, values]) => [name, new ort.Tensor('float32', values, [])]))

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
function feedsOf(session: ort.InferenceSession, batch: Batch): Record<string, ort.Tensor> {
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
  const start = performance.now()
  if (request.type === 'evaluate') {
    evaluate ??= await ort.InferenceSession.create(init.evaluate, options)
    parameters.set(request.parameters)
    await evaluate.run(feedsOf(evaluate, batch), scalarFetches)
    return outcome(batch, performance.now() - start)
  }
  parameters.set(init.parameterArena)
  await train.run(feedsOf(train, batch), { ...fetches, ...scalarFetches })
  const result = outcome(batch, performance.now() - start)
  for (const { offset, size } of init.states) {
    for (let i = offset; i < offset + size; i++) gradients[i] = (gradients[i]! - parameters[i]!) * result.denominator
  }
  init.gradientArena.set(gradients)
  init.gradientArena.set([result.lossSum, result.denominator, result.correct], gradients.length)
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

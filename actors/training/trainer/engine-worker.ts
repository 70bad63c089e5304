import os from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import * as ort from 'onnxruntime-node'
import type { Batch, EngineReply, EngineRequest, EngineWorkerData, Outcome } from './engine.ts'

/** The engine's thread: owns the sessions and nothing else. */

const init = workerData as EngineWorkerData
const port = parentPort!

// onnxruntime refuses tensors over shared memory, so this thread keeps a copy of both arenas: a few hundred microseconds a step.
const parameters = new Float32Array(init.total)
const gradients = new Float32Array(init.total)
const feeds: Record<string, ort.Tensor> = {}
const fetches: Record<string, ort.Tensor> = {}
for (const [i, p] of init.parameters.entries()) {
  feeds[p.name] = new ort.Tensor('float32', parameters.subarray(p.offset, p.offset + p.size), p.shape)
  fetches[init.outputs.gradients[i]!] = new ort.Tensor('float32', gradients.subarray(p.offset, p.offset + p.size), p.shape)
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
  const { data, labels } = init.inputs
  const size = data.shape.reduce((a, b) => a * b, 1)
  return {
    [data.name]: new ort.Tensor('float32', batch.data.subarray(0, batch.count * size), [batch.count, ...data.shape]),
    [labels.name]: new ort.Tensor('int32', batch.labels.subarray(0, batch.count), [batch.count])
  }
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
    await evaluate.run({ ...feeds, ...inputsOf(batch) }, scalarFetches)
    return outcome(batch, performance.now() - start)
  }
  parameters.set(init.parameterArena)
  await train.run({ ...feeds, ...inputsOf(batch) }, { ...fetches, ...scalarFetches })
  init.gradientArena.set(gradients)
  const result = outcome(batch, performance.now() - start)
  init.gradientArena.set([result.lossSum, result.denominator, result.correct], init.total)
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
    port.postMessage(reply, [request.batch.data.buffer, request.batch.labels.buffer])
  })
})
port.postMessage({ type: 'ready' } satisfies EngineReply)

import { Worker } from 'node:worker_threads'
import { CrashedError } from '../../../common/index.ts'
import type { ParameterLayout, TrainingGraph } from '../../../models/index.ts'
import { moduleUrl } from '../../runtime/index.ts'
import type { GraphLabels } from '../model/index.ts'
import { type FloatsForThread, forThread } from './arenas.ts'

/** One batch; the buffers are given away and come back with the result. */
export interface Batch {
  /** float32, count × the sample's size. */
  data: Float32Array<ArrayBuffer>
  labels: GraphLabels
  /** One number a sample for what is random in training, where the graph asks for it. */
  samples?: Int32Array<ArrayBuffer>
  count: number
}

export interface Outcome {
  /** Sum of the samples' losses. */
  lossSum: number
  /** What the mean divides by: the samples that count. */
  denominator: number
  /** Samples whose label scored highest. */
  correct: number
  /** Time that the session ran, ms. */
  computeMs: number
  /** The batch's buffers, for the next one. */
  batch: Batch
}

/** Computes losses and gradients. Gradients are of the summed loss and end in the `gradients` arena. */
export interface Engine {
  readonly provider: string
  forwardBackward(batch: Batch): Promise<Outcome>
  /** Loss and hits of a batch under `parameters`, without gradients. */
  forward(batch: Batch, parameters: Float32Array<SharedArrayBuffer>): Promise<Outcome>
  close(): Promise<void>
}

export interface EngineInit {
  graph: TrainingGraph
  /** Execution provider of onnxruntime: `cpu`, `cuda`, `webgpu`. */
  provider: string
  /** Threads inside one operator. */
  threads: number
  /** Parameters, and behind them the running statistics. */
  parameters: Float32Array
  /**
   * Gradients; where the statistics lie among the parameters, what a step changes in them times the loss's denominator, so that summing
   * over trainers and dividing gives their mean; then the tail.
   */
  gradients: Float32Array
  /**
   * Take a copy of the parameters when a computation begins, because others change them while it runs.
   *
   * @default false: they stay as they are until it ends
   */
  snapshot?: boolean
}

/** A tensor's place among the parameters. */
export interface Place {
  name: string
  shape: number[]
  offset: number
  size: number
}

/** What the engine's thread is started with. */
export interface EngineWorkerData {
  train: Uint8Array
  evaluate: Uint8Array
  inputs: TrainingGraph['inputs']
  outputs: TrainingGraph['outputs']
  parameters: Place[]
  /** Running statistics, behind the parameters. */
  states: Place[]
  provider: string
  threads: number
  parameterArena: FloatsForThread
  gradientArena: FloatsForThread
  snapshot: boolean
}

export type EngineRequest =
  | { type: 'train'; id: number; batch: Batch }
  | { type: 'evaluate'; id: number; batch: Batch; parameters: Float32Array<SharedArrayBuffer> }

export type EngineReply =
  | { type: 'ready' }
  | { type: 'done'; id: number; outcome: Outcome }
  | { type: 'failed'; id: number; message: string }

/** An engine on onnxruntime-node, in a thread of its own: `run()` blocks the thread that calls it. */
export async function createEngine(init: EngineInit): Promise<Engine> {
  const { graph } = init
  const data: EngineWorkerData = {
    train: graph.train,
    evaluate: graph.evaluate,
    inputs: graph.inputs,
    outputs: graph.outputs,
    parameters: places(graph.layout, 0),
    states: places(graph.state, graph.layout.total),
    provider: init.provider,
    threads: init.threads,
    parameterArena: forThread(init.parameters),
    gradientArena: forThread(init.gradients),
    snapshot: init.snapshot ?? false
  }
  const worker = new Worker(moduleUrl(import.meta.url, './engine-worker'), { workerData: data })
  const pending = new Map<number, PromiseWithResolvers<Outcome>>()
  const ready = Promise.withResolvers<void>()
  let failure: CrashedError | undefined
  let sequence = 0

  const fail = (error: CrashedError) => {
    failure ??= error
    ready.reject(error)
    for (const p of pending.values()) p.reject(error)
    pending.clear()
  }
  worker.on('message', (reply: EngineReply) => {
    if (reply.type === 'ready') return ready.resolve()
    const waiting = pending.get(reply.id)
    pending.delete(reply.id)
    if (reply.type === 'done') waiting?.resolve(reply.outcome)
    else waiting?.reject(new CrashedError(`the engine failed: ${reply.message}`))
  })
  worker.on('error', error => fail(new CrashedError(`the engine's thread failed: ${error instanceof Error ? error.message : error}`)))
  worker.on('exit', code => fail(new CrashedError(`the engine's thread ended with code ${code}`)))
  await ready.promise

  const ask = (request: EngineRequest): Promise<Outcome> => {
    if (failure !== undefined) return Promise.reject(failure)
    const waiting = Promise.withResolvers<Outcome>()
    pending.set(request.id, waiting)
    worker.postMessage(request, buffersOf(request.batch))
    return waiting.promise
  }
  return {
    provider: init.provider,
    forwardBackward: batch => ask({ type: 'train', id: ++sequence, batch }),
    forward: (batch, parameters) => ask({ type: 'evaluate', id: ++sequence, batch, parameters }),
    close: async () => {
      failure ??= new CrashedError('the engine is closed')
      await worker.terminate()
    }
  }
}

function places({ parameters }: ParameterLayout, start: number): Place[] {
  return parameters.map(({ name, shape, offset, size }) => ({ name, shape, offset: start + offset, size }))
}

/** What of a batch changes hands. */
export function buffersOf({ data, labels, samples }: Batch): ArrayBuffer[] {
  return [data.buffer, labels.buffer, ...(samples === undefined ? [] : [samples.buffer])]
}

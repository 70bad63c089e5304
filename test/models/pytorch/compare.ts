import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JobEvent, type JobSpec, startEmbedded } from '../../../actors/training/index.ts'
import { openDataset, type Split, sampleOrder } from '../../../datasets/index.ts'
import { runPython } from './python.ts'

/** What both sides train: a residual network with batch normalisation, one epoch of SGD. */
export interface Comparison {
  data: string
  widths: number[]
  /** Residual blocks a width. */
  blocks: number
  batch: number
  lr: number
  /** The rate is multiplied by `gamma` after every `stepSize` steps. */
  gamma: number
  stepSize: number
  momentum: number
  weightDecay: number
  seed: number
}

export interface Figures {
  /** Mean loss of each step. */
  losses: number[]
  accuracy: number
}

/** Trains the same exported file on the same batches here, by one trainer of an embedded mesh, and in PyTorch. */
export async function compare(python: string, of: Comparison): Promise<{ here: Figures; there: Figures }> {
  const folder = await mkdtemp(join(tmpdir(), 'gradmesh-pytorch-'))
  try {
    const dataset = await openDataset(of.data)
    const { shape, classes, train, test } = dataset
    await write(join(folder, 'train'), train, sampleOrder(train.count, of.seed, 0), shape)
    await write(
      join(folder, 'test'),
      test,
      Uint32Array.from({ length: test.count }, (_, i) => i),
      shape
    )
    const { seed: _, data: __, ...sides } = of
    const spec = JSON.stringify({ shape, classes, ...sides })
    const there = JSON.parse(await runPython(python, new URL('./train.py', import.meta.url), [folder, spec])) as Figures
    return { here: await trainHere(join(folder, 'net.onnx'), of), there }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function write(path: string, split: Split, ids: Uint32Array, shape: number[]): Promise<void> {
  const data = new Float32Array(ids.length * shape.reduce((a, b) => a * b, 1))
  const labels = new Int32Array(ids.length)
  split.read(ids, data, labels)
  await writeFile(`${path}.f32`, data)
  await writeFile(`${path}.i32`, labels)
}

async function trainHere(model: string, of: Comparison): Promise<Figures> {
  const { data, batch, lr, gamma, stepSize, momentum, weightDecay, seed } = of
  const spec: JobSpec = {
    ...{ model, data, batch, lr, seed, strategy: 'allreduce', trainers: 1, epochs: 1 },
    ...{
      optimizer: { name: 'sgd', momentum, weightDecay },
      schedule: { policy: 'step', gamma, stepSize },
      onSplit: 'wait',
      wait: false,
      logEvery: 1,
      scaleLr: false
    }
  }
  const node = await startEmbedded({ trainers: 1 })
  try {
    const { job } = await node.submit(spec)
    const events: JobEvent[] = []
    for await (const event of node.follow(job)) events.push(event)
    const { state, message, accuracy } = await node.job(job)
    if (state !== 'done') throw new Error(`job ${job} is ${state}: ${message}`)
    const losses: number[] = []
    for (const e of events) if (e.type === 'metrics') losses[e.step - 1] = e.loss
    return { losses, accuracy: accuracy! }
  } finally {
    await node.close()
  }
}

/** Largest relative difference of two lists of losses, over the first `steps`. */
export function furthest(a: number[], b: number[], steps: number): number {
  return Math.max(...a.slice(0, steps).map((loss, i) => Math.abs(loss - b[i]!) / Math.abs(b[i]!)))
}

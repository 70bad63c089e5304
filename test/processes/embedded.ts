import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type JobEvent, type JobSpec, type RunningNode, readSafetensors, startEmbedded } from '../../actors/training/index.ts'

/** What a finished job left behind. */
export interface Run {
  job: string
  events: JobEvent[]
  /** Mean loss of each step, from step 1. */
  losses: number[]
  accuracy: number
  /** Content ids of the files, by name. */
  files: Map<string, string>
}

export const defaults: JobSpec = {
  model: 'lenet',
  data: 'digits?train=640&test=100',
  strategy: 'allreduce',
  trainers: 1,
  epochs: 1,
  lr: 0.02,
  optimizer: { name: 'sgd', momentum: 0.9 },
  schedule: { policy: 'fixed' },
  seed: 1,
  onSplit: 'wait',
  wait: false,
  logEvery: 1,
  scaleLr: false
}

/** An embedded mesh for the length of a test. */
export async function embedded(t: Test, trainers: number): Promise<RunningNode> {
  const node = await startEmbedded({ trainers })
  t.teardown(() => node.close())
  return node
}

/** Trains a job to its end. */
export async function train(node: RunningNode, spec: Partial<JobSpec>): Promise<Run> {
  const { job } = await node.submit({ ...defaults, ...spec })
  const events: JobEvent[] = []
  for await (const event of node.follow(job)) events.push(event)
  const status = await node.job(job)
  if (status.state !== 'done') throw new Error(`job ${job} is ${status.state}: ${status.message}`)
  const losses: number[] = []
  for (const e of events) if (e.type === 'metrics') losses[e.step - 1] = e.loss
  const files = new Map((await node.files(job)).map(f => [f.name, f.cid]))
  return { job, events, losses, accuracy: status.accuracy!, files }
}

/** Parameters and optimizer state of a checkpoint of a run. */
export async function checkpointOf(node: RunningNode, run: Run, step: number): Promise<Map<string, Float32Array>> {
  const folder = await mkdtemp(join(tmpdir(), 'gradmesh-test-'))
  try {
    const chunks: Uint8Array[] = []
    for await (const chunk of node.file(run.job, `checkpoints/${String(step).padStart(8, '0')}/state.safetensors`)) chunks.push(chunk)
    const path = join(folder, 'state.safetensors')
    await writeFile(path, Buffer.concat(chunks))
    const { tensors } = await readSafetensors(path)
    return new Map([...tensors].map(([name, { data }]) => [name, data]))
  } finally {
    await rm(folder, { recursive: true })
  }
}

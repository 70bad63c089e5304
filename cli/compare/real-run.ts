import { isFinal, type JobEvent, type JobSpec, type NodeService } from '../../actors/training/service-types.ts'
import { parseDelay, strategyNamed } from '../../actors/training/simulation/index.ts'
import { GradmeshError, InvalidParametersError } from '../../common/index.ts'
import { openDataset } from '../../datasets/index.ts'
import type { Outcome } from './pool.ts'
import type { MetricLine } from './simulated-run.ts'
import { timeToTarget } from './target.ts'
import { throttle } from './throttle.ts'
import type { Point, RunResult, RunSpec } from './types.ts'

export interface RealRunInit {
  spec: RunSpec
  versions: RunResult['versions']
  /** A fresh mesh of so many trainers, each a process of its own. */
  start(trainers: number, signal: AbortSignal): Promise<NodeService>
  signal: AbortSignal
}

/** One run on processes of this machine, through the same service as `mesh train`. A run that fails says so, and does not throw. */
export async function realRun(init: RealRunInit): Promise<Outcome> {
  const { spec, signal } = init
  try {
    const job = await jobOf(spec, signal)
    const node = await init.start(spec.trainers, signal)
    try {
      return await follow(node, job, init)
    } finally {
      await node.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/** The job that `mesh train` would submit. @throws InvalidParametersError for what only a simulation can do */
async function jobOf(spec: RunSpec, signal: AbortSignal): Promise<JobSpec> {
  if (spec.churn !== undefined) throw new InvalidParametersError('churn is simulated only; leave it away in real runs')
  const { count } = (await openDataset(spec.data, { signal })).train
  if (spec.samples % count !== 0) {
    throw new InvalidParametersError(
      `real runs go over whole epochs: samples must be a multiple of the data's ${count}, not ${spec.samples}`
    )
  }
  return {
    model: spec.model,
    data: spec.data,
    strategy: spec.strategy,
    strategyOptions: spec.options,
    trainers: spec.trainers,
    epochs: spec.samples / count,
    batch: spec.batch,
    lr: spec.lr,
    optimizer: spec.optimizer,
    schedule: { policy: 'fixed' },
    seed: spec.seed,
    onSplit: 'continue',
    wait: false,
    logEvery: 1,
    scaleLr: false
  }
}

interface Tally {
  begun?: number
  last: number
  samples: number
  steps: Map<string, number>
  bytes: Map<string, number>
  /** Steps that were told of: all of them. */
  reports: number
  computeMs: number
  exchangeMs: number
  staleness: number[]
  points: Point[]
  metrics: MetricLine[]
  worst?: number
  message?: string
  state?: string
}

async function follow(node: NodeService, job: JobSpec, { spec, versions, signal }: RealRunInit): Promise<Outcome> {
  const wall = performance.now()
  const { synchronous } = strategyNamed(spec.strategy)
  const { job: id } = await node.submit(job, { signal })
  const tally: Tally = {
    last: 0,
    samples: 0,
    steps: new Map(),
    bytes: new Map(),
    reports: 0,
    computeMs: 0,
    exchangeMs: 0,
    staleness: [],
    points: [],
    metrics: []
  }
  let release: (() => void) | undefined
  try {
    for await (const event of node.follow(id, { signal })) {
      if (event.type === 'metrics' && tally.begun === undefined) release = await slowDown(node, spec)
      count(tally, event, synchronous)
      if (event.type === 'state' && isFinal(event.state)) break
    }
  } finally {
    release?.()
  }
  if (tally.state !== 'done')
    throw new GradmeshError(`the job ended as ${tally.state ?? 'unknown'}${tally.message === undefined ? '' : `: ${tally.message}`}`)
  const last = tally.points.at(-1)
  const time = tally.last - (tally.begun ?? tally.last)
  const busy = tally.computeMs + tally.exchangeMs
  const reached = timeToTarget(tally.points, spec.target)
  return {
    metrics: tally.metrics,
    result: {
      spec,
      time,
      samples: spec.samples,
      updates: updates(tally, synchronous),
      bytes: sum(tally.bytes),
      ...(last === undefined ? {} : { loss: last.loss, accuracy: last.accuracy, worstAccuracy: tally.worst ?? last.accuracy }),
      diverged: last !== undefined && !Number.isFinite(last.loss),
      incomplete: false,
      ...(reached === undefined ? {} : { timeToTarget: reached }),
      points: tally.points,
      staleness: Array.from(tally.staleness, n => n ?? 0),
      ...(busy > 0 ? { utilisation: { compute: tally.computeMs / busy, exchange: tally.exchangeMs / busy, idle: 0 } } : {}),
      churned: 0,
      ...(tally.reports > 0 ? { stepMs: tally.computeMs / tally.reports } : {}),
      wall: (performance.now() - wall) / 1000,
      versions
    }
  }
}

/** Slows down the first trainer's process, where the delay model has a straggler. @returns what ends it */
async function slowDown(node: NodeService, spec: RunSpec): Promise<(() => void) | undefined> {
  const delay = parseDelay(spec.delay)
  if (delay.model !== 'straggler') return undefined
  const { trainers } = await node.status()
  const processes = trainers.toSorted((a, b) => a.slot.localeCompare(b.slot)).slice(0, delay.count ?? 1)
  const ends = processes.map(({ pid }) => throttle(pid, delay.factor))
  return () => {
    for (const end of ends) end()
  }
}

function count(tally: Tally, event: JobEvent, synchronous: boolean): void {
  switch (event.type) {
    case 'metrics': {
      // its own step is over by then: the run began before it
      const begun = tally.begun ?? event.time - event.computeMs - event.exchangeMs
      tally.begun = begun
      tally.last = Math.max(tally.last, event.time)
      tally.samples = Math.max(tally.samples, event.samples)
      tally.steps.set(event.trainer, event.step)
      tally.bytes.set(event.trainer, event.bytesSent)
      tally.reports++
      tally.computeMs += event.computeMs
      tally.exchangeMs += event.exchangeMs
      if (event.staleness !== undefined) {
        const staleness = Math.min(255, Math.max(0, Math.round(event.staleness)))
        tally.staleness[staleness] = (tally.staleness[staleness] ?? 0) + 1
      }
      const { trainer, step, samples, loss } = event
      tally.metrics.push({ type: 'step', time: event.time - begun, trainer, step, samples, loss })
      break
    }
    case 'evaluation': {
      const point: Point = {
        time: tally.last - (tally.begun ?? tally.last),
        samples: tally.samples,
        updates: updates(tally, synchronous),
        bytes: sum(tally.bytes),
        loss: event.loss,
        accuracy: event.accuracy ?? 0
      }
      tally.points.push(point)
      if (event.worstLocalAccuracy !== undefined) tally.worst = event.worstLocalAccuracy
      tally.metrics.push({ type: 'evaluation', ...point })
      break
    }
    case 'state':
      tally.state = event.state
      if (event.message !== undefined) tally.message = event.message
  }
}

function updates({ steps }: Tally, synchronous: boolean): number {
  return synchronous ? Math.max(0, ...steps.values()) : sum(steps)
}

function sum(values: ReadonlyMap<string, number>): number {
  let total = 0
  for (const value of values.values()) total += value
  return total
}

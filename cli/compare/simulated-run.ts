import {
  type Evaluation,
  type NetworkSpec,
  parseDelay,
  parseNetwork,
  readDelayTrace,
  realWorkload,
  rememberSamples,
  simulate,
  strategyNamed
} from '../../actors/training/simulation/index.ts'
import { type Dataset, openDataset } from '../../datasets/index.ts'
import { timeToTarget } from './target.ts'
import type { Point, RunResult, RunSpec } from './types.ts'

/** A line of a run's metrics. */
export type MetricLine =
  | { type: 'step'; time: number; trainer: string; step: number; samples: number; loss: number }
  | ({ type: 'evaluation'; worstAccuracy?: number } & Point)

/** Most lines of steps a run leaves; of more, every n-th is kept. */
const MAX_STEPS = 1000

/** Data sets that were opened, so that runs of one process draw or read their samples once. */
const opened = new Map<string, Promise<Dataset>>()

function dataset(uri: string): Promise<Dataset> {
  let found = opened.get(uri)
  if (found === undefined) {
    found = openDataset(uri).then(rememberSamples)
    opened.set(uri, found)
    found.catch(() => opened.delete(uri))
  }
  return found
}

/** Runs one simulated run to its end. */
export async function simulatedRun(
  spec: RunSpec,
  options: { versions: RunResult['versions']; onMetric(line: MetricLine): void; signal?: AbortSignal }
): Promise<RunResult> {
  const start = performance.now()
  const delay = parseDelay(spec.delay)
  const network: NetworkSpec = parseNetwork(spec.network)
  const workload = await realWorkload({
    model: spec.model,
    data: spec.data,
    dataset: await dataset(spec.data),
    seed: spec.seed,
    optimizer: spec.optimizer,
    lr: spec.lr,
    ...(spec.testSamples === undefined ? {} : { testSamples: spec.testSamples }),
    signal: options.signal
  })
  const points: Point[] = []
  const steps = Math.ceil(spec.samples / spec.batch)
  const every = Math.max(1, Math.ceil(steps / MAX_STEPS))
  let step = 0
  try {
    const result = await simulate({
      strategy: strategyNamed(spec.strategy),
      options: spec.options,
      trainers: spec.trainers,
      workload,
      batch: spec.batch,
      budget: spec.samples,
      computeMs: spec.computeMs,
      seed: spec.seed,
      delay,
      ...(delay.model === 'trace' ? { delayTrace: await readDelayTrace(delay.file) } : {}),
      network,
      ...(spec.arithmetic === undefined ? {} : { arithmetic: spec.arithmetic }),
      ...(spec.churn === undefined ? {} : { churn: spec.churn }),
      evaluateEvery: Math.max(1, Math.ceil(spec.samples / spec.evaluations)),
      onStep: figures => {
        if (step++ % every === 0) options.onMetric({ type: 'step', ...figures })
      },
      onEvaluation: evaluation => {
        const point = pointOf(evaluation)
        points.push(point)
        const { worstAccuracy } = evaluation
        options.onMetric({ type: 'evaluation', ...point, ...(worstAccuracy === undefined ? {} : { worstAccuracy }) })
      },
      signal: options.signal
    })
    const staleness: number[] = []
    const spent = { compute: 0, exchange: 0, idle: 0 }
    for (const { accounts } of result.trainers) {
      for (const [i, count] of accounts.staleness.entries()) if (count > 0) staleness[i] = (staleness[i] ?? 0) + count
      for (const key of ['compute', 'exchange', 'idle'] as const) spent[key] += accounts[key]
    }
    const total = spent.compute + spent.exchange + spent.idle
    const reached = timeToTarget(points, spec.target)
    return {
      spec,
      time: result.time,
      samples: result.samples,
      updates: result.updates,
      bytes: result.wire,
      messages: result.messages,
      ...(result.final === undefined || result.diverged
        ? {}
        : { loss: result.final.loss, accuracy: result.final.accuracy, worstAccuracy: result.final.worstAccuracy ?? result.final.accuracy }),
      diverged: result.diverged,
      incomplete: result.incomplete,
      ...(reached === undefined ? {} : { timeToTarget: reached }),
      points,
      staleness: Array.from(staleness, count => count ?? 0),
      ...(total > 0 ? { utilisation: { compute: spent.compute / total, exchange: spent.exchange / total, idle: spent.idle / total } } : {}),
      churned: result.churned,
      hash: result.hash,
      wall: (performance.now() - start) / 1000,
      versions: options.versions
    }
  } finally {
    await workload.close()
  }
}

function pointOf({ time, samples, updates, wire, loss, accuracy, consensus }: Evaluation): Point {
  return { time, samples, updates, bytes: wire, loss, accuracy, consensus }
}

import { type Interval, interval } from './statistics.ts'
import type { Experiment, RunFailure, RunResult } from './types.ts'

/** What the seeds of one contestant under one delay model came to. */
export interface Cell {
  label: string
  delay: string
  rate: 'given' | 'tuned'
  lr: number
  /** By seed. */
  runs: Map<number, RunResult>
  diverged: number
  failed: number
  /** Runs that reached the target. */
  reached: number
  /** ms, over the runs that reached it. */
  timeToTarget: Interval
  accuracy: Interval
  worstAccuracy: Interval
  loss: Interval
  /** ms. */
  time: Interval
  bytes: Interval
  updates: Interval
  /** Samples per second of training. */
  throughput: Interval
}

/** One cell for each contestant, delay model and rate, in the experiment's order. */
export function summarise(experiment: Experiment, results: readonly RunResult[], failures: readonly RunFailure[]): Cell[] {
  const cells: Cell[] = []
  for (const delay of experiment.delays) {
    for (const { label } of experiment.strategies) {
      for (const rate of ['tuned', 'given'] as const) {
        const of = (spec: RunResult['spec']) => spec.purpose === 'run' && spec.label === label && spec.delay === delay && spec.rate === rate
        const runs = results.filter(r => of(r.spec))
        const failed = failures.filter(f => of(f.spec)).length
        const lr = runs[0]?.spec.lr ?? failures.find(f => of(f.spec))?.spec.lr
        if (lr === undefined) continue
        const sound = runs.filter(r => !r.diverged)
        const figures = (value: (r: RunResult) => number | undefined) => interval(sound.map(value).filter(x => x !== undefined))
        cells.push({
          label,
          delay,
          rate,
          lr,
          runs: new Map(runs.map(r => [r.spec.seed, r])),
          diverged: runs.length - sound.length,
          failed,
          reached: runs.filter(r => r.timeToTarget !== undefined).length,
          timeToTarget: figures(r => r.timeToTarget),
          accuracy: figures(r => r.accuracy),
          worstAccuracy: figures(r => r.worstAccuracy),
          loss: figures(r => r.loss),
          time: figures(r => r.time),
          bytes: figures(r => r.bytes),
          updates: figures(r => r.updates),
          throughput: figures(r => (r.time > 0 ? (r.samples / r.time) * 1000 : undefined))
        })
      }
    }
  }
  return cells
}

/** The cells that figures and the reading are about: tuned rates where there are such. */
export function shown(cells: readonly Cell[]): Cell[] {
  return cells.filter(
    cell => cell.rate === 'tuned' || !cells.some(c => c.rate === 'tuned' && c.label === cell.label && c.delay === cell.delay)
  )
}

/** The values of a cell's runs by seed, diverged ones left out. */
export function bySeed(cell: Cell, value: (r: RunResult) => number | undefined): Map<number, number> {
  const values = new Map<number, number>()
  for (const [seed, run] of cell.runs) {
    const x = run.diverged ? undefined : value(run)
    if (x !== undefined && Number.isFinite(x)) values.set(seed, x)
  }
  return values
}

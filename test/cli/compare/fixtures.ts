import { experimentOf } from '../../../cli/compare/experiment.ts'
import { reportedRuns } from '../../../cli/compare/runs.ts'
import { type Cell, summarise } from '../../../cli/compare/summary.ts'
import { timeToTarget } from '../../../cli/compare/target.ts'
import type { Experiment, RunResult, RunSpec } from '../../../cli/compare/types.ts'

export function experiment(settings: Record<string, unknown> = {}): Experiment {
  return experimentOf({ strategies: ['allreduce', 'gossip'], seeds: 2, grid: [], target: { loss: 1 }, ...settings }, 'a test')
}

/** A result whose evaluations lie 100 ms apart. */
export function result({ losses, accuracy = 0.9, spec }: { losses: number[]; accuracy?: number; spec?: RunSpec }): RunResult {
  const of = spec ?? reportedRuns(experiment(), new Map())[0]!
  const points = losses.map((loss, i) => ({
    time: 100 * (i + 1),
    samples: 10 * (i + 1),
    updates: i + 1,
    bytes: 1000 * (i + 1),
    loss,
    accuracy,
    consensus: 0.1
  }))
  const reached = timeToTarget(points, of.target)
  return {
    spec: of,
    time: 100 * losses.length,
    samples: 10 * losses.length,
    updates: losses.length,
    bytes: 1000 * losses.length,
    loss: losses.at(-1)!,
    accuracy,
    worstAccuracy: accuracy,
    diverged: false,
    incomplete: false,
    ...(reached === undefined ? {} : { timeToTarget: reached }),
    points,
    staleness: [3, 1],
    utilisation: { compute: 0.5, exchange: 0.3, idle: 0.2 },
    churned: 0,
    wall: 1,
    versions: { gradmesh: '0', node: '0' }
  }
}

/** A cell with a run for each row of losses. */
export function cell({ losses }: { losses: number[][] }): Cell {
  const e = experiment({ seeds: losses.length })
  const specs = reportedRuns(e, new Map()).filter(spec => spec.strategy === 'allreduce')
  return summarise(
    e,
    losses.map((row, i) => result({ losses: row, spec: specs[i]! })),
    []
  )[0]!
}

import { openDataset } from '../../datasets/index.ts'
import { reportedRuns } from './runs.ts'
import type { Experiment, RunResult, RunSpec } from './types.ts'

/** Trainers of the real runs that a simulated comparison is checked against, and passes over the data. */
const TRAINERS = 2
const EPOCHS = 2
/** What the simulation takes the loopback interface for. */
const LOOPBACK = '0.05ms/8gbps'

/** A real run, and what the simulation says of the same. */
export interface BesideRow {
  label: string
  delay: string
  /** ms. */
  real: number
  /** ms, from the computing time of the real run in which all trainers are equally fast. */
  predicted: number
  accuracy: { real?: number; predicted?: number }
}

/** The experiment in small on processes of this machine: the first and the last strategy, the first seed, two trainers. */
export async function realPart(experiment: Experiment, signal: AbortSignal): Promise<Experiment> {
  const { count } = (await openDataset(experiment.data, { signal })).train
  const ends = [experiment.strategies[0]!, experiment.strategies.at(-1)!]
  return {
    ...experiment,
    mode: 'real',
    delays: experiment.delays.filter(delay => /^(constant$|straggler\b)/.test(delay)),
    strategies: [...new Set(ends)].map(contestant => ({ ...contestant, trainers: TRAINERS })),
    seeds: experiment.seeds.slice(0, 1),
    samples: count * EPOCHS,
    grid: []
  }
}

/** The same runs simulated, each strategy with the computing time that its real run without a straggler had. */
export function simulatedPart(real: Experiment, results: readonly RunResult[]): RunSpec[] {
  return real.strategies.flatMap(contestant => {
    const calm = results.find(r => r.spec.label === contestant.label && r.spec.delay === 'constant')
    if (calm?.stepMs === undefined) return []
    const alone: Experiment = {
      ...real,
      mode: 'simulated',
      strategies: [contestant],
      network: LOOPBACK,
      computeMs: Number(calm.stepMs.toPrecision(6))
    }
    return reportedRuns(alone, new Map())
  })
}

/** Real and simulated runs side by side. */
export function besides(real: readonly RunResult[], simulated: readonly RunResult[]): BesideRow[] {
  return real.flatMap(r => {
    const twin = simulated.find(s => s.spec.label === r.spec.label && s.spec.delay === r.spec.delay)
    if (twin === undefined) return []
    const accuracy = {
      ...(r.accuracy === undefined ? {} : { real: r.accuracy }),
      ...(twin.accuracy === undefined ? {} : { predicted: twin.accuracy })
    }
    return [{ label: r.spec.label, delay: r.spec.delay, real: r.time, predicted: twin.time, accuracy }]
  })
}

/** What the section says above its table. */
export const besideText = `The first and the last strategy also ran in real processes on one machine: ${TRAINERS} trainers, ${EPOCHS} passes over the data, one seed; the straggler is a process that is stopped and continued in turns. Beside each stands the simulation of the same run, which is told nothing of it but the time a step took to compute in the real run without a straggler, and takes loopback for ${LOOPBACK}. Trainers that share a machine's cores are not independent, which the simulation does not know.`

import { createHash } from 'node:crypto'
import type { Contestant, Experiment, RunResult, RunSpec } from './types.ts'

/** The runs that try each rate of the grid with each contestant, under the experiment's first delay model. */
export function tuningRuns(experiment: Experiment): RunSpec[] {
  return experiment.strategies.flatMap(contestant =>
    rates(experiment, contestant).flatMap(lr =>
      experiment.tuneSeeds.map(seed =>
        runOf(experiment, contestant, { purpose: 'tune', rate: 'given', delay: experiment.delays[0]!, seed, lr })
      )
    )
  )
}

/** The same grid for everybody, moved by as much as a contestant's own rate differs from the experiment's. */
function rates(experiment: Experiment, { lr = experiment.lr }: Contestant): number[] {
  return experiment.grid.map(rate => (lr === experiment.lr ? rate : Number(((rate * lr) / experiment.lr).toPrecision(6))))
}

/**
 * The rate with the lowest mean loss at the end; one with a run that diverged or failed is out, and where all are, the given one stays.
 */
export function tunedRates(experiment: Experiment, results: readonly RunResult[]): Map<string, number> {
  const chosen = new Map<string, number>()
  for (const contestant of experiment.strategies) {
    let least = Number.POSITIVE_INFINITY
    for (const lr of rates(experiment, contestant)) {
      const tried = results.filter(r => r.spec.purpose === 'tune' && r.spec.label === contestant.label && r.spec.lr === lr)
      const sound = tried.length === experiment.tuneSeeds.length && tried.every(r => !r.diverged && r.loss !== undefined)
      if (!sound) continue
      const loss = tried.reduce((sum, r) => sum + r.loss!, 0) / tried.length
      if (loss >= least) continue
      least = loss
      chosen.set(contestant.label, lr)
    }
  }
  return chosen
}

/**
 * The runs that are reported: contestants × delays × seeds, all of a seed with the same initialisation and sample order.
 *
 * @param tuned - rates by contestant; then there are also the runs with the given rate where that is another
 */
export function reportedRuns(experiment: Experiment, tuned: ReadonlyMap<string, number>): RunSpec[] {
  const runs: RunSpec[] = []
  for (const delay of experiment.delays) {
    for (const seed of experiment.seeds) {
      for (const contestant of experiment.strategies) {
        const given = contestant.lr ?? experiment.lr
        const lr = tuned.get(contestant.label)
        runs.push(runOf(experiment, contestant, { purpose: 'run', rate: 'given', delay, seed, lr: given }))
        if (lr !== undefined) runs.push(runOf(experiment, contestant, { purpose: 'run', rate: 'tuned', delay, seed, lr }))
      }
    }
  }
  return runs
}

function runOf(
  experiment: Experiment,
  contestant: Contestant,
  { purpose, rate, delay, seed, lr }: Pick<RunSpec, 'purpose' | 'rate' | 'delay' | 'seed' | 'lr'>
): RunSpec {
  const { mode, model, data, samples, network, arithmetic, churn, target, evaluations, testSamples } = experiment
  const { label, strategy, options, batch = experiment.batch } = contestant
  const computeMs = Number(((experiment.computeMs * batch) / experiment.batch).toPrecision(6))
  const parts = {
    mode,
    strategy,
    options,
    model,
    data,
    trainers: contestant.trainers ?? experiment.trainers,
    batch,
    samples,
    delay,
    seed,
    lr,
    optimizer: contestant.optimizer ?? experiment.optimizer,
    network,
    computeMs,
    ...(arithmetic === undefined ? {} : { arithmetic }),
    ...(churn === undefined ? {} : { churn }),
    target,
    evaluations,
    ...(testSamples === undefined ? {} : { testSamples })
  }
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 10)
  const id = [label, delay, `lr${lr}`, `seed${seed}`, digest].map(part => part.replace(/[^\w.-]+/g, '-').slice(0, 40)).join('_')
  return { id, purpose, rate, label, ...parts }
}

import { type CaffeData, type CaffeSolver, caffeData } from '../../../models/index.ts'
import { type OptimizerSpec, parseOptimizer, parseSchedule } from '../optimizers/index.ts'
import type { JobSpec } from '../service-types.ts'
import type { CaffeFiles } from './caffe-files.ts'

/** Steps between two reports where a solver wants none. */
const NEVER = Number.MAX_SAFE_INTEGER

/** What a solver and its nets ask of a job: iterations become steps, batches stay those of each trainer. */
export function jobOf({ solver, net, testNet }: CaffeFiles): Partial<JobSpec> {
  const train = caffeData(net, 'TRAIN', solver?.trainState)
  const batch = train.batch === undefined ? {} : { batch: train.batch }
  if (solver === undefined) return batch
  const test = caffeData(testNet ?? net, 'TEST', solver.testState)
  return {
    ...batch,
    epochs: 1_000_000,
    steps: solver.maxIter,
    lr: solver.baseRate,
    optimizer: optimizerOf(solver),
    schedule: parseSchedule(solver.policy),
    ...(solver.iterSize > 1 ? { accumulate: solver.iterSize } : {}),
    logEvery: solver.display ?? NEVER,
    checkpointEvery: solver.snapshot ?? solver.maxIter,
    ...tests(solver, test),
    ...(solver.seed === undefined ? {} : { seed: solver.seed })
  }
}

function tests(solver: CaffeSolver, { batch = 1 }: CaffeData): Partial<JobSpec> {
  if (solver.testIter === undefined) return {}
  return {
    evaluateEvery: solver.testInterval ?? solver.maxIter,
    evaluateFirst: solver.testFirst,
    evaluateSamples: solver.testIter * batch
  }
}

function optimizerOf({ update, weightDecay, regularization, clip, iterSize }: CaffeSolver): OptimizerSpec {
  const decay = weightDecay === 0 ? {} : regularization === 'L1' ? { l1: weightDecay } : { weightDecay }
  // Caffe clips the sum of a step's batches, before it divides by their number.
  const common = { ...decay, ...(clip === undefined ? {} : { clipNorm: clip / iterSize }) }
  switch (update.type) {
    case 'SGD':
    case 'Nesterov': {
      const nesterov = update.type === 'Nesterov' && update.momentum > 0
      return parseOptimizer({ name: 'sgd', form: 'caffe', momentum: update.momentum, ...(nesterov ? { nesterov } : {}), ...common })
    }
    case 'AdaGrad':
      return parseOptimizer({ name: 'adagrad', epsilon: update.delta, ...common })
    case 'RMSProp':
      return parseOptimizer({ name: 'rmsprop', rho: update.decay, epsilon: update.delta, ...common })
    case 'AdaDelta':
      return parseOptimizer({ name: 'adadelta', rho: update.momentum, epsilon: update.delta, ...common })
    case 'Adam': {
      const { momentum, momentum2, delta } = update
      return parseOptimizer({ name: 'adam', form: 'caffe', beta1: momentum, beta2: momentum2, epsilon: delta, ...common })
    }
  }
}

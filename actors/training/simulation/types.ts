import type { ExchangeStrategy, StrategyOptions } from '../exchange/index.ts'
import type { Accounts } from './accounts.ts'
import type { ChurnSpec } from './churn.ts'
import type { DelayTrace } from './delay-trace.ts'
import type { DelaySpec } from './delays.ts'
import type { Evaluation } from './evaluate.ts'
import type { NetworkSpec } from './network.ts'
import type { Workload } from './workload.ts'

/** What a simulated run is made of. */
export interface SimulationInit {
  strategy: ExchangeStrategy<any>
  options?: StrategyOptions
  trainers: number
  workload: Workload
  /** Samples a step of each trainer. */
  batch: number
  /** Samples of the whole run. */
  budget: number
  /** Virtual ms that the gradients of `batch` samples take at the nominal speed; fewer take their share. */
  computeMs: number
  seed: string | number
  delay?: DelaySpec
  /** Of a `trace` delay. */
  delayTrace?: DelayTrace
  /** @default networkPresets.ideal */
  network?: NetworkSpec
  churn?: ChurnSpec
  /** ms from a death until the others know and, where they must, have agreed on a new group. @default 1500 */
  detection?: number
  /** What a trainer's main thread adds up in a second, GB. @default Infinity */
  arithmetic?: number
  /** Samples between two evaluations; without it there is one at the end. */
  evaluateEvery?: number
  /** Virtual ms after which the run is given up. @default none */
  maxTime?: number
  onStep?(step: StepFigures): void
  onEvaluation?(evaluation: Evaluation): void
  signal?: AbortSignal
}

/** One applied step of one trainer. */
export interface StepFigures {
  time: number
  trainer: string
  step: number
  /** Committed samples of the whole run. */
  samples: number
  /** Mean over what the step was made of; of a modelled run 0. */
  loss: number
}

export interface SimulationResult {
  /** Virtual ms until the last sample was committed. */
  time: number
  samples: number
  /** Updates of the model: steps of the group, or of all trainers together. */
  updates: number
  payload: number
  wire: number
  messages: number
  /** Moments of virtual time. */
  events: number
  /** Equal for equal runs. */
  hash: string
  /** The loss became no number, or exploded. */
  diverged: boolean
  /** The run ended before its samples did: `maxTime`, or nobody was left to train. */
  incomplete: boolean
  trainers: { name: string; slot: number; steps: number; accounts: Accounts }[]
  final?: Evaluation
  /** Deaths, leaves and newcomers. */
  churned: number
}

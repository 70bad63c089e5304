import type { OptimizerSpec } from '../../actors/training/service-types.ts'

/** How a value is told from 'no limit': the loss or the accuracy on the test split that a run should reach. */
export type Target = { loss: number } | { accuracy: number }

/** One of the things compared: a strategy with its options, under a name for people. */
export interface Contestant {
  label: string
  strategy: string
  options: Record<string, string | number | boolean>
  /** Instead of the experiment's. */
  trainers?: number
  /** Instead of the experiment's; a step then takes its share of the time. */
  batch?: number
  lr?: number
  optimizer?: OptimizerSpec
}

/** A whole comparison, every setting spelled out. */
export interface Experiment {
  name: string
  title: string
  /** What is asked, for the report. */
  question: string
  mode: 'simulated' | 'real'
  model: string
  data: string
  trainers: number
  /** Samples a step of each trainer. */
  batch: number
  /** Samples of a run, over all epochs. */
  samples: number
  strategies: Contestant[]
  /** As `parseDelay` reads them. */
  delays: string[]
  seeds: number[]
  lr: number
  optimizer: OptimizerSpec
  /** Rates that `--tune` tries with each strategy; empty without it. */
  grid: number[]
  /** Seeds of the tuning runs, which no reported run has. */
  tuneSeeds: number[]
  network: string
  /** Virtual ms of a step at the nominal speed. */
  computeMs: number
  /** GB/s that a trainer's main thread adds up. */
  arithmetic?: number
  /** Mean ms between failures, and until a fresh trainer comes. */
  churn?: { mtbf: number; repair: number }
  target: Target
  /** Evaluations of a run, evenly over its samples. */
  evaluations: number
  /** Test samples of an evaluation; all without it. */
  testSamples?: number
}

/** One run: a contestant under one delay model with one seed and one rate. */
export interface RunSpec {
  /** Names the run's folder; says all that the run depends on, through a hash. */
  id: string
  purpose: 'tune' | 'run'
  /** Whether the rate is the experiment's or the tuned one. */
  rate: 'given' | 'tuned'
  mode: 'simulated' | 'real'
  label: string
  strategy: string
  options: Contestant['options']
  model: string
  data: string
  trainers: number
  batch: number
  samples: number
  delay: string
  seed: number
  lr: number
  optimizer: OptimizerSpec
  network: string
  computeMs: number
  arithmetic?: number
  churn?: { mtbf: number; repair: number }
  target: Target
  evaluations: number
  testSamples?: number
}

/** The model of a run at one moment. */
export interface Point {
  /** ms: virtual in a simulated run. */
  time: number
  samples: number
  updates: number
  /** Bytes sent by all trainers. */
  bytes: number
  loss: number
  accuracy: number
  /** Absent in real runs, where nobody sees all replicas. */
  consensus?: number
}

/** What a run came to. */
export interface RunResult {
  spec: RunSpec
  /** ms that training took, virtual in a simulated run. */
  time: number
  samples: number
  updates: number
  bytes: number
  messages?: number
  loss?: number
  accuracy?: number
  worstAccuracy?: number
  diverged: boolean
  /** Ended before its samples did. */
  incomplete: boolean
  /** ms until the target was reached; absent when it was not. */
  timeToTarget?: number
  points: Point[]
  /** How often each staleness was reported, from 0 on; empty where the strategy reports none. */
  staleness: number[]
  /** Shares of the trainers' time. */
  utilisation?: { compute: number; exchange: number; idle: number }
  churned: number
  /** ms a step took to compute in the mean; of real runs. */
  stepMs?: number
  /** Of the simulation's events; equal for equal runs. */
  hash?: string
  /** Seconds this machine took. */
  wall: number
  versions: { gradmesh: string; node: string }
}

/** A run that ended with an error. */
export interface RunFailure {
  spec: RunSpec
  error: string
}

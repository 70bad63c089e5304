/**
 * @packageDocumentation
 *
 * Training in virtual time: the strategies' own cores over simulated trainers and a simulated network, with real gradients (one engine
 * that all share) or with sizes alone. A run is a function of its seed.
 *
 * @example
 * import { modelledWorkload, parseDelay, parseNetwork, simulate } from './actors/training/simulation/index.ts'
 * import { strategyNamed } from './actors/training/exchange/index.ts'
 * const result = await simulate({
 *   strategy: strategyNamed('gossip'),
 *   trainers: 8,
 *   workload: modelledWorkload({ size: 25_557_032, samples: 100_000 }),
 *   batch: 64,
 *   budget: 10_000,
 *   computeMs: 180,
 *   seed: 1,
 *   delay: parseDelay('straggler:5'),
 *   network: parseNetwork('10gbe')
 * })
 * console.log(result.time, result.wire, result.hash)
 */

export { strategies, strategyNamed } from '../exchange/index.ts'
export { type Accounts, histogramFigures, STALENESS_BUCKETS } from './accounts.ts'
export { type ChurnEvent, type ChurnSpec, parseChurnTrace, readChurnTrace } from './churn.ts'
export { type DelayTrace, parseDelayTrace, readDelayTrace } from './delay-trace.ts'
export { createDelays, type DelaySpec, type Delays, delayForms, delayText, parseDelay } from './delays.ts'
export type { Evaluation } from './evaluate.ts'
export { byteTime, framingOf, type NetworkSpec, networkForms, networkPresets, parseNetwork } from './network.ts'
export { type RealWorkloadInit, realWorkload } from './real-workload.ts'
export { rememberSamples } from './remember.ts'
export { simulate } from './simulation.ts'
export type { SimulationInit, SimulationResult, StepFigures } from './types.ts'
export { modelledWorkload, type SampleSlice, type Score, type TrainerWork, type Workload } from './workload.ts'

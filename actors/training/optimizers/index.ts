/**
 * @packageDocumentation
 *
 * Optimizers on flat arenas, and the schedules of their rate. Deterministic float32: the same bits everywhere.
 *
 * @example
 * import { createOptimizer, parseSchedule, rateAt } from './actors/training/optimizers/index.ts'
 * const layout = { total: 2, parameters: [{ offset: 0, size: 2, lrMult: 1, decayMult: 1 }] }
 * const optimizer = createOptimizer({ name: 'sgd', form: 'caffe', momentum: 0.9 }, layout)
 * const parameters = Float32Array.of(1, 2)
 * const state = new Float32Array(optimizer.stateFloats)
 * const rate = rateAt(parseSchedule({ policy: 'step', gamma: 0.1, stepSize: 1000 }), 0.1, 0)
 * optimizer.apply({ parameters, gradients: Float32Array.of(4, 8), state, rate, scale: 1 / 4 })
 * console.log(parameters) // 0.9, 1.8
 */
import { InvalidParametersError } from '../../../common/index.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'
import { type SgdSpec, sgd } from './sgd.ts'

export * from './optimizer.ts'
export * from './schedules.ts'
export { type SgdSpec, sgdForms } from './sgd.ts'

/** What a job's specification says of its optimizer. */
export type OptimizerSpec = SgdSpec

/** Every optimizer there is. */
export const optimizerNames: readonly string[] = ['sgd']

/**
 * The optimizer that `spec` names, for parameters laid out as `layout`.
 *
 * @throws InvalidParametersError for an unknown name or a wrong setting
 */
export function createOptimizer(spec: OptimizerSpec, layout: OptimizerLayout): Optimizer {
  if (spec.name === 'sgd') return sgd(spec, layout)
  const { name } = spec as { name: unknown }
  throw new InvalidParametersError(`no optimizer is called '${String(name).slice(0, 100)}'; choose one of ${optimizerNames.join(', ')}`)
}

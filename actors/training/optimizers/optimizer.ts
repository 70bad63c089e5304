/** What of a model's layout an optimizer needs; offsets and sizes in floats of the flat arena, parameters do not overlap. */
export interface OptimizerLayout {
  total: number
  parameters: { offset: number; size: number; lrMult: number; decayMult: number }[]
}

/** One update, in place. */
export interface Update {
  /** Length `layout.total` (or more: a tail behind it is left alone), like the next. */
  parameters: Float32Array
  /** Gradients of the sum of the samples' losses. */
  gradients: Float32Array
  /** `stateFloats` floats, zeros before the first update. */
  state: Float32Array
  /** Learning rate of this step. */
  rate: number
  /** What the gradients are multiplied by: 1 / Σ denominators; 0 where nothing was counted. */
  scale: number
}

/** Part of an optimizer's state. */
export interface StatePart {
  /** What it holds: `momentum`, `mean`, `square`, …; `step` counts the updates. */
  name: string
  /** In floats of the state. */
  offset: number
  size: number
}

/**
 * An optimizer on flat arenas, one pass over memory by the kernels of native/: only + − × ÷ √ in float32, in the order that the kernel
 * documents, with scalars computed once in float64. So the same bits on every machine, with and without the addon.
 */
export interface Optimizer {
  readonly name: string
  /** Floats of state, over all parameters. */
  readonly stateFloats: number
  /** What the state consists of, one behind the other. */
  readonly stateParts: readonly StatePart[]
  apply(update: Update): void
}

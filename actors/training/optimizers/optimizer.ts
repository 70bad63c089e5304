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
  /** Only floats [offset, offset + length) of the parameters, so that a caller can yield between parts. @default all */
  range?: { offset: number; length: number }
}

/**
 * An optimizer on flat arenas: one pass over memory a parameter. Only + − × ÷ √ in float32, each rounded, in the order that the
 * class documents, with scalars computed once in float64: the same bits on every machine, and of native twins.
 */
export interface Optimizer {
  readonly name: string
  /** Floats of state, over all parameters. */
  readonly stateFloats: number
  /** Arenas of `layout.total` floats that the state consists of, one behind the other, by what they hold. */
  readonly stateNames: readonly string[]
  apply(update: Update): void
}

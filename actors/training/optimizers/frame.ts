import type { Optimizer, OptimizerLayout, StatePart, Update } from './optimizer.ts'

/** Neighbouring parameters with the same multipliers: one call of a kernel. */
export interface Segment {
  start: number
  end: number
  lrMult: number
  decayMult: number
}

/** One update of one segment, with views of everything that belongs to it. */
export interface SegmentUpdate {
  w: Float32Array
  g: Float32Array
  /** The parts of the state, in order. */
  state: Float32Array[]
  segment: Segment
  /** Of this step, times the segment's lrMult. */
  rate: number
  scale: number
  /** Number of this update, from 1; 0 where the optimizer does not count. */
  step: number
}

/** Updates are counted in a float, which holds them all up to here; further on no bias is left to correct. */
const MOST_STEPS = 2 ** 24

/** What makes an optimizer: its state and what it does with a segment. */
export interface Frame {
  name: string
  layout: OptimizerLayout
  /** Names of the state's parts, each as long as the parameters. */
  parts: string[]
  /** Whether its formula needs the number of the update. The count is part of the state, so that it goes wherever the state goes. */
  counts?: boolean
  /** Whether every parameter is a segment of its own, because the rule needs its norm. */
  layerwise?: boolean
  update(update: SegmentUpdate): void
}

export function optimizerOf({ name, layout, parts, counts = false, layerwise = false, update }: Frame): Optimizer {
  const { total } = layout
  const segments = segmentsOf(layout, layerwise)
  const stateFloats = parts.length * total + (counts ? 1 : 0)
  const stateParts: StatePart[] = parts.map((part, i) => ({ name: part, offset: i * total, size: total }))
  if (counts) stateParts.push({ name: 'step', offset: stateFloats - 1, size: 1 })
  return {
    name,
    stateFloats,
    stateParts,
    apply({ parameters, gradients, state, rate, scale }: Update) {
      if (parameters.length < total || gradients.length < total || state.length < stateFloats) {
        throw new RangeError(
          `an update of ${total} parameters got ${parameters.length} parameters, ${gradients.length} gradients, ${state.length} floats of state`
        )
      }
      if (!(Number.isFinite(rate) && Number.isFinite(scale))) {
        throw new RangeError(`rate ${rate} and scale ${scale} of an update must be finite`)
      }
      let step = 0
      if (counts) {
        // A mean of several trainers' states need not be whole.
        step = Math.min(Math.round(state[stateFloats - 1]!) + 1, MOST_STEPS)
        state[stateFloats - 1] = step
      }
      for (const segment of segments) {
        const { start, end, lrMult } = segment
        update({
          w: parameters.subarray(start, end),
          g: gradients.subarray(start, end),
          state: parts.map((_, i) => state.subarray(i * total + start, i * total + end)),
          segment,
          rate: rate * lrMult,
          scale,
          step
        })
      }
    }
  }
}

function segmentsOf(layout: OptimizerLayout, layerwise: boolean): Segment[] {
  const segments: Segment[] = []
  for (const { offset, size, lrMult, decayMult } of [...layout.parameters].sort((a, b) => a.offset - b.offset)) {
    const last = segments.at(-1)
    if (!layerwise && last?.end === offset && last.lrMult === lrMult && last.decayMult === decayMult) last.end = offset + size
    else if (size > 0) segments.push({ start: offset, end: offset + size, lrMult, decayMult })
  }
  return segments
}

/** `base` to a whole power by multiplications alone, which every machine rounds alike. */
export function power(base: number, exponent: number): number {
  let result = 1
  for (let square = base, n = exponent; n > 0; n = Math.floor(n / 2), square *= square) if (n % 2 === 1) result *= square
  return result
}

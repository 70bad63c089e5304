import { InvalidParametersError } from '../common/index.ts'

/** Where a synchronous step stands and who asks. */
export interface StepQuery {
  /** Samples of the epoch. */
  count: number
  /** First position of the epoch's order that no committed step has used, 0 … count. */
  position: number
  /** Ranks of the generation. */
  world: number
  /** 0 … world − 1 */
  rank: number
  /** Samples a rank takes in one step. Ignored when `globalBatch` is given. */
  batch: number
  /** Samples all ranks take together in one step, however many ranks there are. */
  globalBatch?: number
}

/** A half-open range of positions of an epoch's order. */
export interface Positions {
  start: number
  end: number
}

/** One rank's part of a step; `total` positions are used by all ranks together, so the next step starts at `position + total`. */
export interface StepSlice extends Positions {
  total: number
}

/**
 * The positions that `rank` trains in the next synchronous step. The slices of all ranks, in rank order, are the positions that
 * one trainer with the whole batch would take, without gap or overlap. Sizes differ by at most one, the larger ones first; in the
 * last step of an epoch what is left is split in the same way, so a rank may get nothing (`start === end`) and nothing is truncated.
 *
 * size_r = ⌊total / world⌋ + (r < total mod world), total = min(globalBatch or world · batch, count − position)
 *
 * @throws InvalidParametersError when an argument is no integer or out of its range
 */
export function stepSlice({ count, position, world, rank, batch, globalBatch }: StepQuery): StepSlice {
  integer('count', count, 0, Number.MAX_SAFE_INTEGER)
  integer('position', position, 0, count)
  integer('world', world, 1, Number.MAX_SAFE_INTEGER)
  integer('rank', rank, 0, world - 1)
  if (globalBatch === undefined) integer('batch', batch, 1, Number.MAX_SAFE_INTEGER)
  else integer('globalBatch', globalBatch, 1, Number.MAX_SAFE_INTEGER)
  const total = Math.min(globalBatch ?? world * batch, count - position)
  const larger = total % world
  const size = (total - larger) / world
  const start = position + rank * size + Math.min(rank, larger)
  return { start, end: start + size + (rank < larger ? 1 : 0), total }
}

/** Steps an epoch of `count` samples takes when each uses `total`, the last partial one included. */
export function stepsPerEpoch(count: number, total: number): number {
  integer('count', count, 0, Number.MAX_SAFE_INTEGER)
  integer('total', total, 1, Number.MAX_SAFE_INTEGER)
  return Math.ceil(count / total)
}

/** Ranges of `rangeSize` positions an epoch is cut into for asynchronous training; the last one may be shorter. */
export function epochRanges(count: number, rangeSize: number): number {
  integer('count', count, 0, Number.MAX_SAFE_INTEGER)
  integer('rangeSize', rangeSize, 1, Number.MAX_SAFE_INTEGER)
  return Math.ceil(count / rangeSize)
}

/** The positions of range `index`, 0 ≤ index < `epochRanges(count, rangeSize)`. */
export function rangePositions(count: number, rangeSize: number, index: number): Positions {
  integer('range', index, 0, epochRanges(count, rangeSize) - 1)
  const start = index * rangeSize
  return { start, end: Math.min(start + rangeSize, count) }
}

function integer(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw new InvalidParametersError(`${name} must be an integer from ${min} to ${max}, not ${value}`)
}

import { interval } from './statistics.ts'
import type { Cell } from './summary.ts'
import type { Point } from './types.ts'

/** Points of a curve over the longest run of its cell. */
const GRID = 60

export type Axis = 'samples' | 'updates' | 'time' | 'bytes'

/** A curve's mean over seeds, with its 95 % interval where there is one. */
export interface CurvePoint {
  x: number
  mean: number
  low: number
  high: number
}

/**
 * The mean of a figure over the seeds of a cell, against an axis: runs are read between their evaluations on straight lines, and the
 * mean ends where the first run ends.
 */
export function curve(cell: Cell, axis: Axis, value: (point: Point) => number | undefined): CurvePoint[] {
  const runs = [...cell.runs.values()]
    .filter(run => !run.diverged)
    .map(run =>
      run.points.map(point => ({ x: point[axis], y: value(point) })).filter((p): p is { x: number; y: number } => p.y !== undefined)
    )
    .filter(points => points.length > 1)
  if (runs.length === 0) return []
  const from = Math.max(...runs.map(points => points[0]!.x))
  const to = Math.min(...runs.map(points => points.at(-1)!.x))
  if (!(to > from)) return []
  const result: CurvePoint[] = []
  for (let i = 0; i <= GRID; i++) {
    const x = from + ((to - from) * i) / GRID
    const { mean, half = 0 } = interval(runs.map(points => at(points, x)))
    result.push({ x, mean, low: mean - half, high: mean + half })
  }
  return result
}

function at(points: readonly { x: number; y: number }[], x: number): number {
  const after = points.findIndex(p => p.x >= x)
  if (after <= 0) return points[after === 0 ? 0 : points.length - 1]!.y
  const a = points[after - 1]!
  const b = points[after]!
  return b.x === a.x ? b.y : a.y + ((b.y - a.y) * (x - a.x)) / (b.x - a.x)
}

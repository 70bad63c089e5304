import type { Point, Target } from './types.ts'

/** Whether a point is as good as `target`. */
export function reaches(point: Point, target: Target): boolean {
  return 'loss' in target ? point.loss <= target.loss : point.accuracy >= target.accuracy
}

/**
 * When a run reached its target, ms: on the line between the last evaluation that had not and the first that had. Undefined when
 * none had.
 */
export function timeToTarget(points: readonly Point[], target: Target): number | undefined {
  const at = points.findIndex(point => reaches(point, target))
  if (at < 0) return undefined
  const point = points[at]!
  const before = points[at - 1]
  if (before === undefined) return point.time
  const [from, to, goal] = 'loss' in target ? [before.loss, point.loss, target.loss] : [before.accuracy, point.accuracy, target.accuracy]
  const share = from === to ? 1 : (goal - from) / (to - from)
  return before.time + share * (point.time - before.time)
}

/** `test loss 0.5` or `test accuracy 90 %`. */
export function targetText(target: Target): string {
  return 'loss' in target ? `test loss ${target.loss}` : `test accuracy ${Number((target.accuracy * 100).toFixed(2))} %`
}

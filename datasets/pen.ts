/**
 * A map of the plane: x' = xx·x + xy·y + x0, y' = yx·x + yy·y + y0.
 */
export interface Affine {
  xx: number
  xy: number
  yx: number
  yy: number
  x0: number
  y0: number
}

/** Ink on a square sheet, 0 none … 1 full. */
export interface Sheet {
  side: number
  ink: Float32Array
}

/** Turning by 2·atan(t) as `[cosine, sine]`: for small t an angle of 2t radians, and only + − × ÷, so the same bits everywhere. */
export function turn(t: number): [number, number] {
  const n = 1 + t * t
  return [(1 - t * t) / n, (2 * t) / n]
}

/**
 * Draws a smooth curve through `points` (x, y pairs in pixels; a point given twice is a corner) with a round pen. Its width goes linearly from `width0` to
 * `width1` pixels; overlapping ink does not add up.
 *
 * @see Catmull & Rom 1974 for the curve
 */
export function drawStroke(sheet: Sheet, points: Float64Array, length: number, width0: number, width1: number): void {
  const n = length / 2
  for (let i = 0; i + 1 < n; i++) {
    const x1 = points[2 * i]!
    const y1 = points[2 * i + 1]!
    const x2 = points[2 * i + 2]!
    const y2 = points[2 * i + 3]!
    if (x1 === x2 && y1 === y2) continue
    // beyond an end or a corner the curve goes on as it came
    const before = i > 0 && !(points[2 * i - 2] === x1 && points[2 * i - 1] === y1)
    const after = i + 2 < n && !(points[2 * i + 4] === x2 && points[2 * i + 5] === y2)
    const tx1 = before ? (x2 - points[2 * i - 2]!) / 2 : x2 - x1
    const ty1 = before ? (y2 - points[2 * i - 1]!) / 2 : y2 - y1
    const tx2 = after ? (points[2 * i + 4]! - x1) / 2 : x2 - x1
    const ty2 = after ? (points[2 * i + 5]! - y1) / 2 : y2 - y1
    const reach = Math.abs(x2 - x1) + Math.abs(y2 - y1)
    const steps = before || after ? Math.min(8, 1 + Math.floor(reach / 2.5)) : 1
    let px = x1
    let py = y1
    for (let s = 1; s <= steps; s++) {
      const t = s / steps
      const u = 1 - t
      const h1 = (1 + 2 * t) * u * u
      const h2 = t * t * (3 - 2 * t)
      const g1 = t * u * u
      const g2 = t * t * u
      const x = h1 * x1 + h2 * x2 + g1 * tx1 - g2 * tx2
      const y = h1 * y1 + h2 * y2 + g1 * ty1 - g2 * ty2
      drawSegment(sheet, px, py, x, y, width0 + ((width1 - width0) * (i + t)) / (n - 1))
      px = x
      py = y
    }
  }
}

/** Draws a straight line with round ends, its border softened over one pixel. */
export function drawSegment({ side, ink }: Sheet, x1: number, y1: number, x2: number, y2: number, width: number): void {
  const radius = width / 2 + 0.5
  const dx = x2 - x1
  const dy = y2 - y1
  const square = dx * dx + dy * dy
  const inverse = square > 0 ? 1 / square : 0
  const left = Math.max(0, Math.ceil(Math.min(x1, x2) - radius))
  const right = Math.min(side - 1, Math.floor(Math.max(x1, x2) + radius))
  const top = Math.max(0, Math.ceil(Math.min(y1, y2) - radius))
  const bottom = Math.min(side - 1, Math.floor(Math.max(y1, y2) + radius))
  const reach = radius * radius
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      let t = ((x - x1) * dx + (y - y1) * dy) * inverse
      if (t < 0) t = 0
      else if (t > 1) t = 1
      const ex = x - x1 - t * dx
      const ey = y - y1 - t * dy
      const far = ex * ex + ey * ey
      if (far >= reach) continue
      const cover = radius - Math.sqrt(far)
      const at = y * side + x
      if (cover > ink[at]!) ink[at] = cover > 1 ? 1 : cover
    }
  }
}

/**
 * The kernels in TypeScript: one pass over memory each, element by element in ascending order, every product and sum rounded to
 * float32 and nothing contracted, so that the bits are those of any other implementation that does the same.
 *
 * `into` and `from` have the same length and do not overlap, unless they are the same array.
 */

/** into[i] = from[i] + into[i] */
export function add(into: Float32Array, from: Float32Array): void {
  const n = into.length
  for (let i = 0; i < n; i++) into[i] = from[i]! + into[i]!
}

/** into[i] += factor · (from[i] − into[i]) */
export function blend(into: Float32Array, from: Float32Array, factor: number): void {
  const n = into.length
  const f = Math.fround(factor)
  for (let i = 0; i < n; i++) into[i] = into[i]! + Math.fround(f * Math.fround(from[i]! - into[i]!))
}

/** into[i] = alpha · into[i] + beta · from[i] */
export function combine(into: Float32Array, from: Float32Array, alpha: number, beta: number): void {
  const n = into.length
  const a = Math.fround(alpha)
  const b = Math.fround(beta)
  for (let i = 0; i < n; i++) into[i] = Math.fround(a * into[i]!) + Math.fround(b * from[i]!)
}

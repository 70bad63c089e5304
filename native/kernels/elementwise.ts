const f = Math.fround

export function add(into: Float32Array, from: Float32Array): void {
  const n = into.length
  for (let i = 0; i < n; i++) into[i] = from[i]! + into[i]!
}

export function blend(into: Float32Array, from: Float32Array, factor: number): void {
  const n = into.length
  const a = f(factor)
  for (let i = 0; i < n; i++) into[i] = into[i]! + f(a * f(from[i]! - into[i]!))
}

export function combine(into: Float32Array, from: Float32Array, alpha: number, beta: number): void {
  const n = into.length
  const a = f(alpha)
  const b = f(beta)
  for (let i = 0; i < n; i++) into[i] = f(a * into[i]!) + f(b * from[i]!)
}

export function addScaled(into: Float32Array, from: Float32Array, factor: number): void {
  const n = into.length
  const a = f(factor)
  for (let i = 0; i < n; i++) into[i] = into[i]! + f(a * from[i]!)
}

export function scale(into: Float32Array, factor: number): void {
  const n = into.length
  const a = f(factor)
  for (let i = 0; i < n; i++) into[i] = a * into[i]!
}

export function average(into: Float32Array, from: readonly Float32Array[]): void {
  const n = into.length
  const count = from.length
  for (let i = 0; i < n; i++) {
    let sum = from[0]![i]!
    for (let k = 1; k < count; k++) sum = f(from[k]![i]! + sum)
    into[i] = sum / count
  }
}

/** Joins the 16 lanes of a reduction in place: 16 → 8 → 4 → 2 → 1. */
export function join(lanes: Float64Array): number {
  for (let width = 8; width >= 1; width /= 2) for (let j = 0; j < width; j++) lanes[j] = lanes[j]! + lanes[j + width]!
  return lanes[0]!
}

export function dot(x: Float32Array, y: Float32Array): number {
  const lanes = new Float64Array(16)
  for (let i = 0; i < x.length; i++) lanes[i & 15] = lanes[i & 15]! + x[i]! * y[i]!
  return join(lanes)
}

export function sumSquares(x: Float32Array): number {
  return dot(x, x)
}

export function sumAbs(x: Float32Array): number {
  const lanes = new Float64Array(16)
  for (let i = 0; i < x.length; i++) lanes[i & 15] = lanes[i & 15]! + Math.abs(x[i]!)
  return join(lanes)
}

export function maxAbs(x: Float32Array): number {
  let most = 0
  for (let i = 0; i < x.length; i++) {
    const magnitude = Math.abs(x[i]!)
    if (magnitude > most) most = magnitude
  }
  return most
}

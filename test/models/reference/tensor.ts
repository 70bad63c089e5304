import type { DataType, Tensor } from '../../../models/graph/types.ts'

/** A tensor of the reference evaluator: every element type is held as float64, booleans as 0 and 1. */
export interface Ref {
  shape: number[]
  data: Float64Array
}

export function ref(shape: number[], data: ArrayLike<number> = new Float64Array(size(shape))): Ref {
  return { shape, data: data instanceof Float64Array ? data : Float64Array.from(data) }
}

export function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

export function fromTensor(t: Tensor): Ref {
  return ref(t.shape, Float64Array.from(t.data as ArrayLike<any>, Number))
}

export function strides(shape: readonly number[]): number[] {
  const s = new Array(shape.length).fill(1)
  for (let i = shape.length - 2; i >= 0; i--) s[i] = s[i + 1] * shape[i + 1]
  return s
}

/** Calls `visit` with every index of `shape` in row-major order; the array is reused. */
export function forEachIndex(shape: readonly number[], visit: (index: number[], flat: number) => void): void {
  const index = new Array(shape.length).fill(0)
  const n = size(shape)
  for (let flat = 0; flat < n; flat++) {
    visit(index, flat)
    for (let d = shape.length - 1; d >= 0; d--) {
      if (++index[d] < shape[d]) break
      index[d] = 0
    }
  }
}

export function offset(index: readonly number[], s: readonly number[]): number {
  let at = 0
  for (let i = 0; i < index.length; i++) at += index[i] * s[i]
  return at
}

export function broadcastShapes(...shapes: number[][]): number[] {
  const rank = Math.max(0, ...shapes.map(s => s.length))
  return Array.from({ length: rank }, (_, i) => {
    let d = 1
    for (const s of shapes) {
      const v = s[i - rank + s.length] ?? 1
      if (v !== 1) {
        if (d !== 1 && d !== v) throw new Error(`shapes do not broadcast: ${JSON.stringify(shapes)}`)
        d = v
      }
    }
    return d
  })
}

/** An element-wise function with numpy's broadcasting. */
export function zip(f: (...values: number[]) => number, ...inputs: Ref[]): Ref {
  const shape = broadcastShapes(...inputs.map(i => i.shape))
  const out = ref(shape)
  const steps = inputs.map(input => {
    const s = strides(input.shape)
    const lead = shape.length - input.shape.length
    return shape.map((_, i) => (i < lead || input.shape[i - lead] === 1 ? 0 : s[i - lead]))
  })
  forEachIndex(shape, (index, flat) => {
    out.data[flat] = f(...inputs.map((input, k) => input.data[offset(index, steps[k])]))
  })
  return out
}

export function map(f: (x: number) => number, x: Ref): Ref {
  return ref(x.shape, x.data.map(f))
}

export function transpose(x: Ref, perm: number[]): Ref {
  const out = ref(perm.map(p => x.shape[p]))
  const s = strides(x.shape)
  const steps = perm.map(p => s[p])
  forEachIndex(out.shape, (index, flat) => {
    out.data[flat] = x.data[offset(index, steps)]
  })
  return out
}

export const integer: ReadonlySet<DataType> = new Set(['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'])

import { isStatic } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { floats } from '../graph/tensors.ts'
import { concat, sizeValue } from './windows.ts'

/** A tensor of zeros in the shape of `like`. */
export function zerosLike(e: Emitter, like: string): string {
  const shape = e.shape(like)
  return e.op('ConstantOfShape', [isStatic(shape) ? e.ints(shape) : e.op('Shape', [like])])
}

/** The shape of `like` with the dimension `axis` replaced by `size`, as a value. */
export function shapeWith(e: Emitter, like: string, axis: number, size: string): string {
  const shape = e.shape(like)
  const known = e.known(size)
  const replaced = shape.map((d, i) => (i === axis ? (known?.[0] ?? '') : d))
  if (isStatic(replaced)) return e.ints(replaced)
  return concat(
    e,
    shape.map((_, i) => (i === axis ? size : sizeValue(e, like, i))),
    0
  )
}

/** Multiplies the axis of `name` by a constant matrix [from, to]. */
export function applyMatrix(e: Emitter, name: string, axis: number, matrix: number[][]): string {
  const rank = e.shape(name).length
  const m = e.constant(floats(matrix.flat(), [matrix.length, matrix[0].length]))
  if (axis === rank - 1) return e.op('MatMul', [name, m])
  const perm = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  return e.op('Transpose', [e.op('MatMul', [e.op('Transpose', [name], { perm }), m])], { perm })
}

import type { DataType, Tensor } from './types.ts'

export function floats(values: ArrayLike<number>, shape: number[] = [values.length]): Tensor {
  return { type: 'float32', shape, data: Float32Array.from(values) }
}

export function int64s(values: ArrayLike<number>, shape: number[] = [values.length]): Tensor {
  return { type: 'int64', shape, data: BigInt64Array.from(Array.from(values), v => BigInt(v)) }
}

export function int32s(values: ArrayLike<number>, shape: number[] = [values.length]): Tensor {
  return { type: 'int32', shape, data: Int32Array.from(values) }
}

/** Number of elements. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

/** The element as a number; beyond 2⁵³ it loses bits, which no size or index here reaches. */
export function elementAt(t: Tensor, i: number): number {
  return Number(t.data[i])
}

const ranges: Partial<Record<DataType, [number, number]>> = {
  float32: [-3.4028234663852886e38, 3.4028234663852886e38],
  float64: [-Number.MAX_VALUE, Number.MAX_VALUE],
  int32: [-2147483648, 2147483647]
}

/** Least and greatest finite value of a type that gradients meet. */
export function range(type: DataType): [number, number] {
  return ranges[type] ?? [-3.4028234663852886e38, 3.4028234663852886e38]
}

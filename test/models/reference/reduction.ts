import type { Call, Operator } from './node.ts'
import { forEachIndex, offset, type Ref, ref, strides } from './tensor.ts'

function axesOf(c: Call, x: Ref): number[] {
  const named = c.x[1] === undefined ? [] : [...c.x[1].data]
  if (named.length === 0) return c.int('noop_with_empty_axes', 0) !== 0 ? [] : x.shape.map((_, i) => i)
  return named.map(a => (a < 0 ? a + x.shape.length : a))
}

/** Groups the elements of x that reduce into one. */
export function groups(x: Ref, axes: number[]): { shape: number[]; values: number[][] } {
  const shape = x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
  const s = strides(shape).map((v, i) => (axes.includes(i) ? 0 : v))
  const values: number[][] = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => [])
  forEachIndex(x.shape, (index, flat) => {
    values[offset(index, s)].push(x.data[flat])
  })
  return { shape, values }
}

const reduce =
  (f: (values: number[]) => number): Operator =>
  c => {
    const x = c.x[0]!
    const axes = axesOf(c, x)
    const { shape, values } = groups(x, axes)
    const kept = c.int('keepdims', 1) !== 0 ? shape : shape.filter((_, i) => !axes.includes(i))
    return [ref(kept, values.map(f))]
  }

const sum = (v: number[]) => v.reduce((a, b) => a + b, 0)

function softmaxOver(c: Call, log: boolean): Ref[] {
  const x = c.x[0]!
  const axis = (c.int('axis', -1) + x.shape.length) % x.shape.length
  const { shape, values } = groups(x, [axis])
  const max = values.map(v => Math.max(...v))
  const total = values.map((v, i) => sum(v.map(e => Math.exp(e - max[i]))))
  const s = strides(shape).map((v, i) => (i === axis ? 0 : v))
  const y = ref(x.shape)
  forEachIndex(x.shape, (index, flat) => {
    const at = offset(index, s)
    y.data[flat] = log ? x.data[flat] - max[at] - Math.log(total[at]) : Math.exp(x.data[flat] - max[at]) / total[at]
  })
  return [y]
}

const arg =
  (better: (a: number, b: number) => boolean): Operator =>
  c => {
    const x = c.x[0]!
    const axis = (c.int('axis', 0) + x.shape.length) % x.shape.length
    const { shape, values } = groups(x, [axis])
    const best = values.map(v => v.reduce((b, e, i) => (better(e, v[b]) ? i : b), 0))
    return [ref(c.int('keepdims', 1) !== 0 ? shape : shape.filter((_, i) => i !== axis), best)]
  }

export const reduction: Record<string, Operator> = {
  ReduceSum: reduce(sum),
  ReduceMean: reduce(v => sum(v) / v.length),
  ReduceMax: reduce(v => Math.max(...v)),
  ReduceMin: reduce(v => Math.min(...v)),
  ReduceProd: reduce(v => v.reduce((a, b) => a * b, 1)),
  ReduceL1: reduce(v => sum(v.map(Math.abs))),
  ReduceL2: reduce(v => Math.sqrt(sum(v.map(e => e * e)))),
  ReduceSumSquare: reduce(v => sum(v.map(e => e * e))),
  ReduceLogSum: reduce(v => Math.log(sum(v))),
  ReduceLogSumExp: reduce(v => {
    const max = Math.max(...v)
    return max + Math.log(sum(v.map(e => Math.exp(e - max))))
  }),
  Softmax: c => softmaxOver(c, false),
  LogSoftmax: c => softmaxOver(c, true),
  ArgMax: arg((a, b) => a > b),
  ArgMin: arg((a, b) => a < b)
}

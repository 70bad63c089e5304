import { intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { addDims, isStatic, mulDims } from '../graph/dims.ts'
import type { Dim } from '../graph/types.ts'
import { windowOf } from '../graph/window.ts'
import type { Infer, InferContext } from './context.ts'

function pooled(c: InferContext): Dim[] {
  const shape = c.atLeast(0, 3)
  const kernel = intsAttribute(c.node, 'kernel_shape') ?? c.fail('attribute kernel_shape is missing')
  const window = windowOf(c.node, shape.slice(2), kernel) ?? c.fail('kernel, strides, dilations and pads do not go with the input')
  if (window.output.some(d => typeof d === 'number' && d < 1)) c.fail(`the window is larger than the input [${shape.join(', ')}]`)
  return [shape[0], shape[1], ...window.output]
}

const conv: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 3)
  const w = c.shape(1)
  if (w.length !== x.length) c.fail(`weights of ${w.length} dimensions do not go with an input of ${x.length}`)
  if (!isStatic(w)) c.fail('the weights must have a shape known ahead')
  const group = intAttribute(c.node, 'group', 1)
  const channels = x[1]
  if (group < 1 || w[0] % group !== 0 || (typeof channels === 'number' && channels !== w[1] * group)) {
    c.fail(`weights [${w.join(', ')}] in ${group} groups do not go with ${channels} channels`)
  }
  const declared = intsAttribute(c.node, 'kernel_shape')
  if (declared?.some((k, i) => k !== w[i + 2])) c.fail('kernel_shape differs from the weights')
  const window = windowOf(c.node, x.slice(2), w.slice(2)) ?? c.fail('kernel, strides, dilations and pads do not go with the input')
  if (window.output.some(d => typeof d === 'number' && d < 1)) c.fail(`the window is larger than the input [${x.join(', ')}]`)
  return [{ type: c.sameType(), shape: [x[0], w[0], ...window.output] }]
}

/** Padding, output padding and output size of a transposed convolution, after ONNX's formula. */
export function transposedOutput(c: InferContext): { output: Dim[]; padsBegin: number[]; padsEnd: number[]; extra: number[] } {
  const x = c.atLeast(0, 3).slice(2)
  const kernel = c.shape(1).slice(2) as number[]
  const n = kernel.length
  const ones = new Array(n).fill(1)
  const strides = intsAttribute(c.node, 'strides', ones)
  const dilations = intsAttribute(c.node, 'dilations', ones)
  const extra = intsAttribute(c.node, 'output_padding', new Array(n).fill(0))
  const auto = stringAttribute(c.node, 'auto_pad', 'NOTSET')
  const pads = intsAttribute(c.node, 'pads', new Array(2 * n).fill(0))
  const wanted = intsAttribute(c.node, 'output_shape')
  const output: Dim[] = []
  const padsBegin: number[] = []
  const padsEnd: number[] = []
  for (let i = 0; i < n; i++) {
    const full = addDims(mulDims(addDims(x[i], -1), strides[i]), extra[i] + (kernel[i] - 1) * dilations[i] + 1)
    if (wanted !== undefined || auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
      const size = wanted?.[wanted.length - n + i] ?? mulDims(x[i], strides[i])
      const total = typeof full === 'number' && typeof size === 'number' ? full - size : c.fail('output_shape needs an input of known size')
      const half = Math.floor(total / 2)
      padsBegin.push(auto === 'SAME_UPPER' ? half : total - half)
      padsEnd.push(auto === 'SAME_UPPER' ? total - half : half)
      output.push(size)
    } else {
      padsBegin.push(auto === 'VALID' ? 0 : pads[i])
      padsEnd.push(auto === 'VALID' ? 0 : pads[n + i])
      output.push(addDims(full, -padsBegin[i] - padsEnd[i]))
    }
  }
  return { output, padsBegin, padsEnd, extra }
}

const globalPool: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 3)
  return [{ type: c.input(0).type, shape: [x[0], x[1], ...x.slice(2).map(() => 1)] }]
}

export const convolution: Record<string, Infer> = {
  Conv: conv,
  ConvTranspose: (c: InferContext) => {
    const x = c.atLeast(0, 3)
    const w = c.shape(1)
    if (w.length !== x.length || !isStatic(w)) c.fail('the weights do not go with the input')
    const group = intAttribute(c.node, 'group', 1)
    if (group < 1 || (typeof x[1] === 'number' && (x[1] !== w[0] || w[0] % group !== 0))) {
      c.fail(`weights [${w.join(', ')}] in ${group} groups do not go with ${x[1]} channels`)
    }
    return [{ type: c.sameType(), shape: [x[0], w[1] * group, ...transposedOutput(c).output] }]
  },
  MaxPool: (c: InferContext) => {
    const shape = pooled(c)
    return [
      { type: c.input(0).type, shape },
      { type: 'int64', shape }
    ]
  },
  AveragePool: c => [{ type: c.input(0).type, shape: pooled(c) }],
  LpPool: c => [{ type: c.input(0).type, shape: pooled(c) }],
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool
}

import { intAttribute, intsAttribute, stringAttribute } from './attributes.ts'
import { addDims, ceilDivDims, divDims } from './dims.ts'
import type { Dim, GraphNode } from './types.ts'

/** How a window slides: one entry a spatial axis. */
export interface Window {
  kernel: number[]
  strides: number[]
  dilations: number[]
  padsBegin: number[]
  /** Padding at the end as declared; a window that rounding up adds may reach beyond it. */
  padsEnd: number[]
  output: Dim[]
}

/**
 * The window of a convolution or pooling node over inputs of spatial shape `input`.
 *
 * With ceil_mode a last window that would start in the padding at the end is dropped, as in ONNX 22, Caffe and PyTorch.
 *
 * @returns undefined when auto_pad needs an input size that is not known ahead
 */
export function windowOf(node: GraphNode, input: readonly Dim[], kernel: number[]): Window | undefined {
  const rank = kernel.length
  const ones = new Array(rank).fill(1)
  const strides = intsAttribute(node, 'strides', ones)
  const dilations = intsAttribute(node, 'dilations', ones)
  const ceil = intAttribute(node, 'ceil_mode', 0) !== 0
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const pads = intsAttribute(node, 'pads', new Array(2 * rank).fill(0))
  if (strides.length !== rank || dilations.length !== rank || pads.length !== 2 * rank || input.length !== rank) return undefined
  if ([...strides, ...dilations, ...kernel].some(x => x < 1) || pads.some(p => p < 0)) return undefined
  const padsBegin: number[] = []
  const padsEnd: number[] = []
  const output: Dim[] = []
  for (let i = 0; i < rank; i++) {
    const reach = (kernel[i] - 1) * dilations[i] + 1
    if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
      const size = input[i]
      const out = ceilDivDims(size, strides[i])
      if (typeof size !== 'number' && strides[i] !== 1) return undefined
      const total = typeof size === 'number' ? Math.max(0, ((out as number) - 1) * strides[i] + reach - size) : reach - 1
      const small = Math.floor(total / 2)
      padsBegin.push(auto === 'SAME_UPPER' ? small : total - small)
      padsEnd.push(auto === 'SAME_UPPER' ? total - small : small)
      output.push(out)
      continue
    }
    const begin = auto === 'VALID' ? 0 : pads[i]
    const end = auto === 'VALID' ? 0 : pads[rank + i]
    padsBegin.push(begin)
    padsEnd.push(end)
    output.push(outputSize(input[i], begin, end, reach, strides[i], ceil))
  }
  return { kernel, strides, dilations, padsBegin, padsEnd, output }
}

function outputSize(size: Dim, begin: number, end: number, reach: number, stride: number, ceil: boolean): Dim {
  const room = addDims(size, begin + end - reach)
  if (!ceil) return stride === 1 ? addDims(room, 1) : addDims(divDims(room, stride), 1)
  if (typeof room !== 'number' || typeof size !== 'number') return addDims(ceilDivDims(room, stride), 1)
  const out = Math.ceil(room / stride) + 1
  return (out - 1) * stride >= size + begin ? out - 1 : out
}

import { floatAttribute, intAttribute, intsAttribute } from '../../graph/attributes.ts'
import type { NodeReader } from '../from-graph.ts'
import type { Layer } from '../schema.ts'
import type { Read } from './index.ts'

/** One number where all axes agree. */
function compact(values: number[]): number | number[] {
  return values.every(v => v === values[0]) ? values[0] : values
}

/** Left out where it is what a description takes anyway. */
function unless(key: string, values: number[], usual: number): Record<string, number | number[]> {
  return values.every(v => v === usual) ? {} : { [key]: compact(values) }
}

/** Padding that is the same at both ends of each axis. */
function pads(r: NodeReader, rank: number): Record<string, number | number[]> {
  const given = intsAttribute(r.node, 'pads', new Array(2 * rank).fill(0))
  const [begin, end] = [given.slice(0, rank), given.slice(rank)]
  if (begin.join() !== end.join())
    r.refuse(`it pads [${begin.join(', ')}] in front and [${end.join(', ')}] behind; a layer pads both alike`)
  return unless('pad', begin, 0)
}

function refuseAuto(r: NodeReader): void {
  const auto = r.node.attributes['auto_pad']
  if (auto !== undefined && auto !== 'NOTSET' && auto !== 'VALID') r.refuse(`its padding is ${String(auto)}`)
}

function sliding(r: NodeReader, rank: number): Record<string, number | number[]> {
  const ones = new Array<number>(rank).fill(1)
  const group = intAttribute(r.node, 'group', 1)
  return {
    ...unless('stride', intsAttribute(r.node, 'strides', ones), 1),
    ...pads(r, rank),
    ...unless('dilation', intsAttribute(r.node, 'dilations', ones), 1),
    ...(group === 1 ? {} : { group })
  }
}

const conv: Read = r => {
  refuseAuto(r)
  const [x, w, b] = r.node.inputs
  const shape = r.graph.types.get(w)!.shape as number[]
  const [outputs, , ...kernel] = shape
  const rest = { ...sliding(r, kernel.length), ...r.weight(w, shape), ...r.bias(b, [outputs]) }
  r.add({ type: 'convolution', outputs, kernel: compact(kernel), ...rest } as Layer, [x], w)
}

const convTranspose: Read = r => {
  refuseAuto(r)
  if (r.node.attributes['output_shape'] !== undefined) r.refuse('it names the shape of its output')
  const [x, w, b] = r.node.inputs
  const shape = r.graph.types.get(w)!.shape as number[]
  const [, each, ...kernel] = shape
  const outputs = each * intAttribute(r.node, 'group', 1)
  const extra = unless(
    'outputPad',
    intsAttribute(
      r.node,
      'output_padding',
      kernel.map(() => 0)
    ),
    0
  )
  const rest = { ...sliding(r, kernel.length), ...extra, ...r.weight(w, shape), ...r.bias(b, [outputs]) }
  r.add({ type: 'deconvolution', outputs, kernel: compact(kernel), ...rest } as Layer, [x], w)
}

/** Products that wait for the reshape that gives them their sequence back: by value, the sequence's axes. */
const sequences = new WeakMap<NodeReader, Map<string, { source: string; before: number[] }>>()

/** A reshape that joins the batch with the sequences' axes, on its way into a product. */
export function joinsBatch(r: NodeReader): boolean {
  const [x] = r.node.inputs
  const [y] = r.node.outputs
  const shape = r.graph.types.get(y)!.shape
  if (r.batched(y) || !r.batched(x) || shape.length !== 2) return false
  const sample = r.sample(x)
  const waiting = sequences.get(r) ?? new Map()
  sequences.set(r, waiting.set(y, { source: x, before: sample.slice(0, -1) }))
  return true
}

/** The reshape after such a product. */
export function partsBatch(r: NodeReader): boolean {
  const [x] = r.node.inputs
  const waiting = sequences.get(r)?.get(x)
  if (waiting === undefined || r.maker(x) === undefined) return false
  const shape = r.sample(r.node.outputs[0])
  if (shape.slice(0, -1).join() !== waiting.before.join()) r.refuse('it does not give the sequence back that was joined')
  r.same(r.node.outputs[0], x)
  return true
}

const gemm: Read = r => {
  const { node } = r
  if (intAttribute(node, 'transA', 0) !== 0 || floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1)
    r.refuse('its input is transposed or scaled')
  const [x, w, b] = node.inputs
  const shape = r.graph.types.get(w)!.shape as number[]
  const outputs = shape[intAttribute(node, 'transB', 0) === 0 ? 1 : 0]
  const rest = { ...r.weight(w, shape), ...r.bias(b, [outputs]) }
  const joined = sequences.get(r)?.get(x)
  if (joined === undefined) {
    r.sample(x)
    r.add({ type: 'innerProduct', outputs, ...rest } as Layer, [x], w)
    return
  }
  r.add({ type: 'innerProduct', outputs, axis: joined.before.length + 1, ...rest } as Layer, [joined.source], w)
  sequences.get(r)!.set(node.outputs[0], joined)
}

/** A product with weights over the last axis, as exporters write a linear layer of sequences; its bias is added after. */
const matmul: Read = r => {
  const [x, w] = r.node.inputs
  if (!r.fixed(w)) r.refuse('it multiplies two values that are computed')
  const shape = r.graph.types.get(w)!.shape as number[]
  if (shape.length !== 2) r.refuse('its weights are no matrix')
  const rank = r.sample(x).length
  r.add(
    { type: 'innerProduct', outputs: shape[1], ...(rank === 1 ? {} : { axis: rank }), ...r.weight(w, shape), bias: false } as Layer,
    [x],
    w
  )
}

const pool =
  (type: 'maxPool' | 'averagePool'): Read =>
  r => {
    refuseAuto(r)
    const { node } = r
    const kernel = intsAttribute(node, 'kernel_shape', [])
    const strides = intsAttribute(
      node,
      'strides',
      kernel.map(() => 1)
    )
    const padding = pads(r, kernel.length)
    if (intsAttribute(node, 'dilations', []).some(d => d !== 1)) r.refuse('its windows are dilated')
    if ((node.outputs[1] ?? '') !== '') r.refuse('its indices are used')
    if (type === 'averagePool' && padding['pad'] !== undefined && intAttribute(node, 'count_include_pad', 0) === 0)
      r.refuse('its padding does not count in the divisor')
    const ceil = intAttribute(node, 'ceil_mode', 0) === 1 ? {} : { ceil: false }
    const stride = strides.join() === kernel.join() ? {} : { stride: compact(strides) }
    r.add({ type, kernel: compact(kernel), ...stride, ...padding, ...ceil } as Layer, [node.inputs[0]])
  }

export const kernels: Record<string, Read> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  Gemm: gemm,
  MatMul: matmul,
  MaxPool: pool('maxPool'),
  AveragePool: pool('averagePool'),
  GlobalAveragePool: r => r.add({ type: 'globalAveragePool' }, [r.node.inputs[0]]),
  GlobalMaxPool: r => r.add({ type: 'globalMaxPool' }, [r.node.inputs[0]])
}

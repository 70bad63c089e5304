import { intAttribute, intsAttribute } from '../../graph/attributes.ts'
import { elementAt } from '../../graph/tensors.ts'
import type { NodeReader } from '../from-graph.ts'
import type { Layer } from '../schema.ts'
import type { Read } from './index.ts'
import { joinsBatch, partsBatch } from './kernels.ts'

/** Elements of a constant of integers. */
function known(r: NodeReader, name: string | undefined): number[] | undefined {
  const constant = r.graph.constants.get(name ?? '')
  if (constant !== undefined) return Array.from({ length: constant.data.length }, (_, i) => elementAt(constant, i))
  const content = r.graph.types.get(name ?? '')?.content
  return content?.every(d => typeof d === 'number') ? (content as number[]) : undefined
}

const reshape: Read = r => {
  const [x] = r.node.inputs
  if (partsBatch(r) || joinsBatch(r)) return
  const shape = r.sample(r.node.outputs[0])
  if (shape.length === 1 && r.sample(x).length > 1) flattened(r)
  else if (shape.join() === r.sample(x).join()) r.same(r.node.outputs[0], x)
  else r.add({ type: 'reshape', shape }, [x])
}

const flatten: Read = r => {
  if (intAttribute(r.node, 'axis', 1) !== 1) r.refuse('it keeps other axes than the batch')
  if (r.sample(r.node.inputs[0]).length === 1) r.same(r.node.outputs[0], r.node.inputs[0])
  else flattened(r)
}

/** A product flattens what it reads by itself. */
function flattened(r: NodeReader): void {
  const [x] = r.node.inputs
  const [y] = r.node.outputs
  const products = r.graph.nodes.filter(n => n.op === 'Gemm' && n.inputs[0] === y).length
  if (products > 0 && products === r.reads(y)) r.same(y, x)
  else r.add({ type: 'flatten' }, [x])
}

const transpose: Read = r => {
  const [x] = r.node.inputs
  const [batch, ...order] = intsAttribute(r.node, 'perm', [])
  if (batch !== 0) r.refuse('it moves the batch')
  r.add({ type: 'transpose', order }, [x])
}

const concat: Read = r => {
  const flowing = r.flowing()
  if (flowing.length !== r.node.inputs.length) r.refuse('it joins values with constants')
  const rank = r.sample(flowing[0]).length + 1
  const axis = intAttribute(r.node, 'axis', 1)
  const from = axis < 0 ? axis + rank : axis
  if (from === 0) r.refuse('it joins batches')
  if (flowing.length === 1) r.same(r.node.outputs[0], flowing[0])
  else r.add({ type: 'concat', ...(from === 1 ? {} : { axis: from }) }, flowing)
}

/** Zeros around the channels. */
const pad: Read = r => {
  const [x, given, value] = r.node.inputs
  const pads = known(r, given) ?? r.refuse('its padding is computed')
  const rank = r.sample(x).length + 1
  const others = pads.some((p, i) => p !== 0 && i % rank !== 1)
  const zero = (value ?? '') === '' || known(r, value)?.[0] === 0
  if (pads.length !== 2 * rank || others || !zero || pads.some(p => p < 0) || (r.node.attributes['mode'] ?? 'constant') !== 'constant')
    r.refuse('it pads other axes than the channels, or not with zeros')
  r.add({ type: 'padChannels', ...(pads[1] > 0 ? { before: pads[1] } : {}), ...(pads[rank + 1] > 0 ? { after: pads[rank + 1] } : {}) }, [x])
}

/** Every so many elements of all spatial axes. */
const slice: Read = r => {
  const [x, starts, ends, axes, steps] = r.node.inputs
  const rank = r.sample(x).length + 1
  const from = known(r, starts)
  const to = known(r, ends)
  const along = known(r, axes)?.map(a => (a < 0 ? a + rank : a))
  const by = known(r, steps)
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 2)
  const size = r.sample(x)
  const whole = to?.every((end, i) => end >= size[(along?.[i] ?? 1) - 1])
  const even = by?.every(s => s === by[0] && s > 1) === true
  if (from?.some(s => s !== 0) !== false || !whole || along?.toSorted().join() !== spatial.join() || !even) {
    r.refuse('it takes other parts than every so many elements of all spatial axes')
  }
  r.add({ type: 'subsample', stride: by![0] }, [x])
}

/** Rows of trained vectors by token. */
const gather: Read = r => {
  const [table, tokens] = r.node.inputs
  const shape = r.graph.types.get(table)!.shape as number[]
  if (!r.fixed(table) || intAttribute(r.node, 'axis', 0) !== 0 || shape.length !== 2) r.refuse('it picks parts of a value')
  if (!r.graph.parameters.has(table)) r.refuse('its table is not trained')
  r.add({ type: 'embedding', vocabulary: shape[0], size: shape[1], ...r.weight(table, shape) } as Layer, [tokens], table)
}

/** Tokens come as floats: what turns them into indices is part of the embedding. */
const cast: Read = r => {
  if (intAttribute(r.node, 'to', 0) !== 7 || r.node.inputs[0] !== r.graph.inputs[0]) r.refuse('it changes the type of a value')
  r.same(r.node.outputs[0], r.node.inputs[0])
}

export const movement: Record<string, Read> = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Pad: pad,
  Slice: slice,
  Gather: gather,
  Cast: cast,
  Identity: r => r.same(r.node.outputs[0], r.node.inputs[0])
}

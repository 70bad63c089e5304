import { intAttribute, intsAttribute, tensorAttribute } from '../graph/attributes.ts'
import { addDims, ceilDivDims, divDims, isStatic, mulDims, product, subDims } from '../graph/dims.ts'
import { elementAt, sizeOf } from '../graph/tensors.ts'
import type { Dim, ValueType } from '../graph/types.ts'
import type { Infer, InferContext } from './context.ts'

/** A symbol for the size of dimension `i` of a result that cannot be known ahead. */
function unknown(c: InferContext, i: number): Dim {
  return `${c.node.outputs[0].replace(/[^A-Za-z0-9_]/g, '_')}_${i}`
}

const reshape: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const target = c.content(1)
  if (target === undefined) {
    const rank = c.shape(1)[0]
    if (typeof rank !== 'number') c.fail('the rank of the result must be known before the model runs')
    return [{ type: c.input(0).type, shape: Array.from({ length: rank }, (_, i) => unknown(c, i)) }]
  }
  const zero = intAttribute(c.node, 'allowzero', 0) !== 0
  const shape = target.map((d, i) => (d === 0 && !zero ? (x[i] ?? c.fail(`dimension ${i} to copy is not there`)) : d))
  const open = shape.indexOf(-1)
  const total = product(x)
  if (open >= 0) {
    if (shape.lastIndexOf(-1) !== open) c.fail('only one dimension may be -1')
    shape[open] = divDims(total, product(shape.filter((_, i) => i !== open)))
  }
  const result = product(shape)
  if (typeof total === 'number' && typeof result === 'number' && total !== result) {
    c.fail(`[${x.join(', ')}] has ${total} elements, [${shape.join(', ')}] has ${result}`)
  }
  return [{ type: c.input(0).type, shape, content: c.content(0) }]
}

const slice: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const starts = c.content(1)
  const ends = c.content(2)
  const axes = c.inputs[3] === undefined ? x.map((_, i) => i) : c.ints(3).map(a => c.axis(a, x.length))
  const steps = c.inputs[4] === undefined ? x.map(() => 1) : c.ints(4)
  const shape = [...x]
  for (let k = 0; k < Math.min(axes.length, starts?.length ?? axes.length); k++) {
    const axis = axes[k]
    shape[axis] = starts === undefined || ends === undefined ? unknown(c, axis) : sliced(c, x[axis], starts[k], ends[k], steps[k], axis)
  }
  const content = c.content(0)
  if (content === undefined || x.length !== 1 || !isStatic(starts ?? ['']) || !isStatic(ends ?? ['']))
    return [{ type: c.input(0).type, shape }]
  const { from, to } = clampSlice(content.length, (starts as number[])[0], (ends as number[])[0], steps[0])
  const kept: Dim[] = []
  for (let i = from; steps[0] > 0 ? i < to : i > to; i += steps[0]) kept.push(content[i])
  return [{ type: c.input(0).type, shape: [kept.length], content: kept }]
}

/** The range that a slice takes of a dimension of `size`, after ONNX's clamping. */
export function clampSlice(size: number, start: number, end: number, step: number): { from: number; to: number; count: number } {
  const wrap = (v: number) => (v < 0 ? v + size : v)
  const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v, low), high)
  const from = step > 0 ? clamp(wrap(start), 0, size) : clamp(wrap(start), 0, size - 1)
  const to = step > 0 ? clamp(wrap(end), 0, size) : clamp(wrap(end), -1, size - 1)
  return { from, to, count: Math.max(0, Math.ceil((to - from) / step)) }
}

function sliced(c: InferContext, size: Dim, start: Dim, end: Dim, step: number, axis: number): Dim {
  if (step === 0) c.fail('a step must not be 0')
  if (typeof size === 'number' && typeof start === 'number' && typeof end === 'number') return clampSlice(size, start, end, step).count
  if (start === 0 && step === 1 && (end === size || (typeof end === 'number' && end >= 2 ** 31 - 1))) return size
  if (typeof start !== 'number' || step < 0) return unknown(c, axis)
  const stop = typeof end !== 'number' ? end : end < 0 ? addDims(size, end) : end >= 2 ** 31 - 1 ? size : end
  const begin = start < 0 ? addDims(size, start) : start
  return ceilDivDims(subDims(stop, begin), step)
}

const concat: Infer = (c: InferContext) => {
  const first = c.shape(0)
  const axis = c.axisAttribute(first.length, 0)
  const shape = [...first]
  for (let i = 1; i < c.inputs.length; i++) {
    const other = c.shape(i)
    if (other.length !== shape.length) c.fail(`input ${i} has ${other.length} dimensions, the first one ${shape.length}`)
    other.forEach((d, k) => {
      if (k === axis) shape[k] = addDims(shape[k], d)
      else if (typeof d === 'number' && typeof shape[k] === 'number' && d !== shape[k]) c.fail(`inputs differ in dimension ${k}`)
      else if (typeof d === 'number') shape[k] = d
    })
  }
  const contents = c.inputs.map((_, i) => c.content(i))
  const content = contents.every(p => p !== undefined) ? contents.flat() : undefined
  return [{ type: c.sameType(), shape, content }]
}

const gather: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 1)
  const axis = c.axisAttribute(x.length, 0)
  const content = c.content(0)
  const picked = c.content(1)
  const shape = [...x.slice(0, axis), ...c.shape(1), ...x.slice(axis + 1)]
  if (content === undefined || picked === undefined || x.length !== 1 || !isStatic(picked)) return [{ type: c.input(0).type, shape }]
  return [{ type: c.input(0).type, shape, content: picked.map(i => content[i < 0 ? i + content.length : i]) }]
}

const gatherND: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 1)
  const places = c.atLeast(1, 1)
  const depth = places[places.length - 1]
  const batch = intAttribute(c.node, 'batch_dims', 0)
  if (typeof depth !== 'number' || batch + depth > x.length) c.fail(`indices [${places.join(', ')}] do not go with [${x.join(', ')}]`)
  return [{ type: c.input(0).type, shape: [...places.slice(0, -1), ...x.slice(batch + depth)] }]
}

const split: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 1)
  const axis = c.axisAttribute(x.length, 0)
  const n = c.node.outputs.length
  const size = x[axis]
  let parts: Dim[]
  if (c.inputs[1] !== undefined) parts = c.ints(1)
  else if (typeof size === 'number') {
    const each = Math.ceil(size / n)
    parts = Array.from({ length: n }, (_, i) => Math.max(0, Math.min(each, size - i * each)))
  } else parts = new Array(n).fill(divDims(size, n))
  if (parts.length !== n) c.fail(`${n} outputs and ${parts.length} parts`)
  return parts.map(p => ({ type: c.input(0).type, shape: x.map((d, i) => (i === axis ? p : d)) }))
}

const squeeze: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const axes = c.inputs[1] === undefined ? x.flatMap((d, i) => (d === 1 ? [i] : [])) : c.ints(1).map(a => c.axis(a, x.length))
  if (axes.some(a => typeof x[a] === 'number' && x[a] !== 1)) c.fail(`only dimensions of size 1 can go, of [${x.join(', ')}]`)
  return [{ type: c.input(0).type, shape: x.filter((_, i) => !axes.includes(i)), content: c.content(0) }]
}

const unsqueeze: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const named = c.ints(1)
  const axes = named.map(a => c.axis(a, x.length + named.length))
  const rest = [...x]
  const shape = Array.from({ length: x.length + axes.length }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!))
  return [{ type: c.input(0).type, shape, content: c.content(0) }]
}

const transpose: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const order = intsAttribute(c.node, 'perm') ?? x.map((_, i) => x.length - 1 - i)
  if (order.length !== x.length || new Set(order).size !== order.length || order.some(i => !(i >= 0 && i < x.length))) {
    c.fail(`perm [${order.join(', ')}] is no order of ${x.length} dimensions`)
  }
  return [{ type: c.input(0).type, shape: order.map(i => x[i]) }]
}

const expand: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const target = c.content(1)
  if (target !== undefined) {
    const rank = Math.max(x.length, target.length)
    const at = (s: Dim[], i: number) => s[i - rank + s.length] ?? 1
    const shape = Array.from({ length: rank }, (_, i) => (at(x, i) === 1 ? at(target, i) : at(x, i)))
    return [{ type: c.input(0).type, shape }]
  }
  const rank = c.shape(1)[0]
  if (typeof rank !== 'number') c.fail('the rank of the result must be known before the model runs')
  return [{ type: c.input(0).type, shape: Array.from({ length: Math.max(rank, x.length) }, (_, i) => unknown(c, i)) }]
}

const pad: Infer = (c: InferContext) => {
  const x = c.shape(0)
  c.input(1)
  const pads = c.content(1)
  const axes = c.inputs[3] === undefined ? x.map((_, i) => i) : c.ints(3).map(a => c.axis(a, x.length))
  const shape = [...x]
  axes.forEach((axis, k) => {
    shape[axis] = pads === undefined ? unknown(c, axis) : addDims(addDims(x[axis], pads[k]), pads[axes.length + k])
  })
  return [{ type: c.input(0).type, shape }]
}

const flatten: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const given = intAttribute(c.node, 'axis', 1)
  const axis = given < 0 ? given + x.length : given
  return [{ type: c.input(0).type, shape: [product(x.slice(0, axis)), product(x.slice(axis))] }]
}

const constant: Infer = (c: InferContext) => {
  const t = tensorAttribute(c.node, 'value')
  if (t === undefined) c.fail('only tensor values are known')
  return [constantType(t.type, t.shape, i => elementAt(t, i))]
}

/** Type of a constant, with its elements when it is a small integer tensor. */
export function constantType(type: ValueType['type'], shape: number[], at: (i: number) => number): ValueType {
  const n = sizeOf(shape)
  if (type === 'float32' && n <= 16 && shape.length <= 1) return { type, shape, values: Array.from({ length: n }, (_, i) => at(i)) }
  if ((type !== 'int64' && type !== 'int32') || n > 256 || shape.length > 1) return { type, shape }
  return { type, shape, content: Array.from({ length: n }, (_, i) => at(i)) }
}

const tile: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const repeats = c.content(1)
  return [{ type: c.input(0).type, shape: x.map((d, i) => (repeats === undefined ? unknown(c, i) : mulDims(d, repeats[i]))) }]
}

const depthToSpace: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 4)
  const block = intAttribute(c.node, 'blocksize', 0)
  if (block < 1) c.fail('attribute blocksize must be 1 or more')
  return [{ type: c.input(0).type, shape: [x[0], divDims(x[1], block * block), mulDims(x[2], block), mulDims(x[3], block)] }]
}

const spaceToDepth: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 4)
  const block = intAttribute(c.node, 'blocksize', 0)
  if (block < 1) c.fail('attribute blocksize must be 1 or more')
  return [{ type: c.input(0).type, shape: [x[0], mulDims(x[1], block * block), divDims(x[2], block), divDims(x[3], block)] }]
}

const resize: Infer = (c: InferContext) => {
  const x = c.shape(0)
  const named = intsAttribute(c.node, 'axes')
  const axes = named === undefined ? x.map((_, i) => i) : named.map(a => c.axis(a, x.length))
  const sizes = c.content(3)
  const scales = c.inputs[2]?.values
  const shape = [...x]
  axes.forEach((axis, k) => {
    const size = shape[axis]
    if (sizes !== undefined) shape[axis] = sizes[k]
    else if (scales !== undefined && typeof size === 'number') shape[axis] = Math.floor(size * scales[k])
    else if (scales?.[k] !== 1) shape[axis] = unknown(c, axis)
  })
  return [{ type: c.input(0).type, shape }]
}

export const movement: Record<string, Infer> = {
  Reshape: reshape,
  Flatten: flatten,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Resize: resize,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: c => [{ type: c.input(0).type, shape: c.shape(1) }],
  ScatterElements: c => [{ type: c.input(0).type, shape: c.shape(0) }],
  ScatterND: c => [{ type: c.input(0).type, shape: c.shape(0) }],
  GatherND: gatherND,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  Constant: constant,
  ConstantOfShape: (c: InferContext) => {
    const value = tensorAttribute(c.node, 'value')
    const shape = c.content(0)
    if (shape !== undefined) return [{ type: value?.type ?? 'float32', shape }]
    const rank = c.shape(0)[0]
    if (typeof rank !== 'number') c.fail('the rank of the result must be known before the model runs')
    return [{ type: value?.type ?? 'float32', shape: Array.from({ length: rank }, (_, i) => unknown(c, i)) }]
  },
  Shape: (c: InferContext) => {
    const x = c.shape(0)
    const start = intAttribute(c.node, 'start', 0)
    const end = intAttribute(c.node, 'end', x.length)
    const content = x.slice(start, end)
    return [{ type: 'int64', shape: [content.length], content }]
  },
  Size: c => [{ type: 'int64', shape: [], content: [product(c.shape(0))] }],
  Range: (c: InferContext) => {
    const [start, limit, delta] = [c.content(0)?.[0], c.content(1)?.[0], c.content(2)?.[0]]
    const known = start === 0 && delta === 1 && limit !== undefined
    if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number' && delta !== 0) {
      return [{ type: c.input(0).type, shape: [Math.max(0, Math.ceil((limit - start) / delta))] }]
    }
    return [{ type: c.input(0).type, shape: [known ? limit : unknown(c, 0)] }]
  },
  NonZero: c => [{ type: 'int64', shape: [c.shape(0).length, unknown(c, 1)] }],
  OneHot: (c: InferContext) => {
    const x = c.shape(0)
    const axis = intAttribute(c.node, 'axis', -1)
    const at = axis < 0 ? axis + x.length + 1 : axis
    return [{ type: c.input(2).type, shape: [...x.slice(0, at), c.content(1)?.[0] ?? unknown(c, at), ...x.slice(at)] }]
  }
}

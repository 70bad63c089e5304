import { sizeOf } from '../../graph/tensors.ts'
import type { LayerContext, LayerRule } from './context.ts'

/* Layers that combine blobs and move elements about. */

const eltwise: LayerRule = c => {
  const p = c.layer.message('eltwise_param')
  const kind = p.string('operation')
  const factors = p.numbers('coeff')
  if (c.bottoms.length < 2) c.refuse('it takes two bottoms or more')
  if (factors.length > 0 && kind !== 'SUM') c.refuse(`'coeff' goes with operation SUM only`)
  if (factors.length > 0 && factors.length !== c.bottoms.length)
    c.refuse(`it has ${c.bottoms.length} bottoms and ${factors.length} 'coeff's`)
  c.bottoms.forEach((_, i) => {
    if (c.shape(i).join() !== c.shape().join()) c.refuse(`its bottoms differ: [${c.shape().join(', ')}] and [${c.shape(i).join(', ')}]`)
  })
  const scaled = c.bottoms.map((b, i) => ((factors[i] ?? 1) === 1 ? b : c.op('Mul', [b, c.scalar(factors[i])])))
  if (kind === 'SUM') return [scaled.length === 2 ? c.result('Add', scaled) : c.result('Sum', scaled)]
  if (kind === 'MAX') return [c.result('Max', scaled)]
  const before = scaled.slice(0, -1).reduce((a, b) => c.op('Mul', [a, b]))
  return [c.result('Mul', [before, scaled[scaled.length - 1]])]
}

/** The axis of Concat and Slice, under its present or its older name. */
function axisOf(c: LayerContext, field: string, older: string): number {
  const p = c.layer.message(field)
  if (p.has('axis') && p.has(older)) c.refuse(`it has 'axis' and '${older}'; give one of the two`)
  return c.axis(p.has(older) ? p.number(older) : p.number('axis'))
}

const slice: LayerRule = c => {
  const tops = c.layer.strings('top').length
  const axis = axisOf(c, 'slice_param', 'slice_dim')
  if (axis === 0) c.refuse('axis 0 would part the samples of a batch')
  const size = c.sizes()[axis - 1]
  const points = c.layer.message('slice_param').numbers('slice_point')
  if (tops === 1) return [c.result('Identity', [c.x])]
  if (points.length === 0 && size % tops !== 0) c.refuse(`${size} elements cannot be parted into ${tops} equal tops`)
  if (points.length > 0 && points.length !== tops - 1) c.refuse(`${tops} tops take ${tops - 1} 'slice_point's, not ${points.length}`)
  const ends = points.length > 0 ? [...points, size] : Array.from({ length: tops }, (_, i) => ((i + 1) * size) / tops)
  const sizes = ends.map((end, i) => end - (ends[i - 1] ?? 0))
  if (sizes.some(s => s < 1)) c.refuse(`'slice_point's [${points.join(', ')}] must rise within ${size} elements`)
  const names = sizes.map((_, i) => c.valueName(i))
  c.e.push({ op: 'Split', domain: '', name: names[0], inputs: [c.x, c.e.ints(sizes)], outputs: names, attributes: { axis } })
  return names
}

const flatten: LayerRule = c => {
  const p = c.layer.message('flatten_param')
  const shape = c.shape()
  const from = c.axis(p.number('axis'))
  const to = c.axis(p.number('end_axis'))
  if (to < from) c.refuse('end_axis comes before axis')
  if (from === 0 && shape.length > 1) c.refuse('axis 0 would mix the samples of a batch')
  if (from === 1 && to === shape.length - 1) return [c.result('Flatten', [c.x], { axis: 1 })]
  const sizes = c.sizes()
  const joined = sizeOf(sizes.slice(from - 1, to))
  return [c.result('Reshape', [c.x, c.e.ints([-1, ...sizes.slice(0, from - 1), joined, ...sizes.slice(to)])])]
}

const reshape: LayerRule = c => {
  const p = c.layer.message('reshape_param')
  const shape = c.shape()
  const dims = p.message('shape').numbers('dim')
  const axis = p.number('axis') < 0 ? p.number('axis') + shape.length + 1 : p.number('axis')
  const end = p.number('num_axes') === -1 ? shape.length : axis + p.number('num_axes')
  if (!(axis >= 0 && axis <= end && end <= shape.length)) c.refuse(`axis and num_axes reach beyond [${shape.join(', ')}]`)
  const middle = dims.map((d, i) => (d === 0 ? (shape[axis + i] ?? c.refuse(`dimension ${i} to copy is not there`)) : d))
  const target = [...shape.slice(0, axis), ...middle, ...shape.slice(end)]
  // The batch may have any size, so that what is left open beside it is worked out here.
  const [batch, ...rest] = target
  if (typeof batch === 'number' && batch !== -1) c.refuse(`[${target.join(', ')}] fixes the size of the batch; write 0 or -1 for it`)
  const each = sizeOf(c.sizes())
  const known = rest.filter((d): d is number => typeof d === 'number' && d !== -1)
  const final = rest.map(d => (d === -1 ? each / sizeOf(known) : (d as number)))
  if (!final.every(d => Number.isInteger(d)) || sizeOf(final) !== each) {
    c.refuse(`a sample of [${shape.slice(1).join(', ')}] cannot take the shape [${target.slice(1).join(', ')}]`)
  }
  return [c.result('Reshape', [c.x, c.e.ints([-1, ...final])])]
}

const reduction: LayerRule = c => {
  const p = c.layer.message('reduction_param')
  const axis = c.axis(p.number('axis'))
  const axes = c.e.ints(Array.from({ length: c.shape().length - axis }, (_, i) => axis + i))
  const op = { SUM: 'ReduceSum', ASUM: 'ReduceL1', SUMSQ: 'ReduceSumSquare', MEAN: 'ReduceMean' }[p.string('operation')]!
  const coefficient = p.number('coeff')
  if (coefficient === 1) return [c.result(op, [c.x, axes], { keepdims: 0 })]
  return [c.result('Mul', [c.op(op, [c.x, axes], { keepdims: 0 }), c.scalar(coefficient)])]
}

const tile: LayerRule = c => {
  const p = c.layer.message('tile_param')
  const axis = c.axis(p.number('axis'))
  if (axis === 0) c.refuse('axis 0 would repeat the samples of a batch')
  if (p.number('tiles') < 1) c.refuse("'tiles' must be 1 or more")
  return [c.result('Tile', [c.x, c.e.ints(c.shape().map((_, i) => (i === axis ? p.number('tiles') : 1)))])]
}

export const movement: Record<string, LayerRule> = {
  Eltwise: eltwise,
  Concat: c => {
    const axis = axisOf(c, 'concat_param', 'concat_dim')
    if (axis === 0) c.refuse('axis 0 would change the size of the batch')
    return [c.result('Concat', c.bottoms, { axis })]
  },
  Slice: slice,
  Split: c => c.layer.strings('top').map(() => c.x),
  Flatten: flatten,
  Reshape: reshape,
  Reduction: reduction,
  Tile: tile,
  Silence: () => []
}

import t from 'tap'
import { shuffle } from '../../common/index.ts'
import { floats } from '../../models/graph/tensors.ts'
import type { Dim } from '../../models/graph/types.ts'
import { checkGradient, ints, normal } from './reference/check.ts'
import { between, narrowed, pick, property, sizes } from './reference/property.ts'

/** The shape with symbols for some dimensions, which values then still fit. */
function open(shape: number[], some: (i: number) => boolean): Dim[] {
  return shape.map((d, i) => (some(i) ? `D${i}` : d))
}

property(t, 'Transpose', 8, async (rng, seed) => {
  const shape = sizes(rng, between(rng, 1, 4))
  const perm = shuffle(
    shape.map((_, i) => i),
    rng
  )
  await checkGradient(seed, [{ value: normal(rng, shape) }], (e, x) => e.op('Transpose', x, { perm }))
})

property(t, 'Concat of parts of known and unknown length', 12, async (rng, seed) => {
  const shape = sizes(rng, between(rng, 1, 3))
  const axis = rng.int(shape.length)
  const unknown = rng.int(2) === 0
  const inputs = Array.from({ length: between(rng, 1, 3) }, (_, k) => {
    const own = shape.map((d, i) => (i === axis ? between(rng, 1, 3) : d))
    return { value: normal(rng, own), declared: unknown ? own.map((d, i) => (i === axis ? `L${k}` : d)) : undefined }
  })
  await checkGradient(seed, inputs, (e, x) => e.op('Concat', x, { axis: axis - (rng.int(2) === 0 ? shape.length : 0) }))
})

property(t, 'Split, all or only some of its parts used', 10, async (rng, seed) => {
  const parts = sizes(rng, 3)
  const total = parts.reduce((a, b) => a + b)
  const axis = rng.int(2)
  const shape = axis === 0 ? [total, 2] : [2, total]
  await checkGradient(seed, [{ value: normal(rng, shape) }], (e, [x]) =>
    e.ops('Split', [x, e.ints(parts)], { axis }, 3).slice(0, between(rng, 1, 3))
  )
})

property(t, 'Slice by any steps, sizes known or not', 20, async (rng, seed) => {
  const shape = sizes(rng, between(rng, 1, 3), 6)
  const axes = shape.map((_, i) => i).filter(() => rng.int(3) > 0)
  const starts: number[] = []
  const ends: number[] = []
  const steps: number[] = []
  for (const a of axes) {
    const n = shape[a]
    const from = rng.int(n)
    const to = between(rng, from + 1, n)
    const step = between(rng, 1, 2)
    if (rng.int(3) === 0) {
      starts.push(to - 1)
      ends.push(from === 0 ? -n - 5 : from - 1)
      steps.push(-step)
    } else {
      starts.push(rng.int(2) === 0 ? from : from - n)
      ends.push(to === n && rng.int(2) === 0 ? 2 ** 31 : to)
      steps.push(rng.int(2) === 0 ? 1 : step)
    }
  }
  const declared = rng.int(2) === 0 ? open(shape, () => rng.int(2) === 0) : undefined
  await checkGradient(seed, [{ value: normal(rng, shape), declared }], (e, [x]) =>
    axes.length === 0 ? e.op('Identity', [x]) : e.op('Slice', [x, e.ints(starts), e.ints(ends), e.ints(axes), e.ints(steps)])
  )
})

property(t, 'Gather along any axis with any indices, repeated and negative ones too', 16, async (rng, seed) => {
  const shape = sizes(rng, between(rng, 1, 3))
  const axis = rng.int(shape.length)
  const at = sizes(rng, between(rng, 0, 2), 3)
  const n = at.reduce((a, b) => a * b, 1)
  const indices = ints(
    at,
    Array.from({ length: n }, () => rng.int(2 * shape[axis]) - shape[axis])
  )
  const type = pick(rng, ['int32', 'int64'] as const)
  const declared = rng.int(2) === 0 ? open(shape, () => rng.int(2) === 0) : undefined
  await checkGradient(
    seed,
    [
      { value: normal(rng, shape), declared },
      { value: indices, fixed: type }
    ],
    (e, x) => e.op('Gather', x, { axis })
  )
})

property(t, 'GatherElements and ScatterElements', 10, async (rng, seed) => {
  const shape = sizes(rng, 2)
  const axis = rng.int(2)
  const n = shape[0] * shape[1]
  const at = ints(
    shape,
    Array.from({ length: n }, () => rng.int(shape[axis]))
  )
  await checkGradient(seed, [{ value: normal(rng, shape) }, { value: at, fixed: 'int64' }], (e, x) => e.op('GatherElements', x, { axis }))
  // Each row of positions is an order of all: no place is written twice.
  const order = ints(shape, new Array(n).fill(0))
  const lines = axis === 0 ? shape[1] : shape[0]
  for (let line = 0; line < lines; line++) {
    const perm = shuffle(
      Array.from({ length: shape[axis] }, (_, i) => i),
      rng
    )
    perm.forEach((p, i) => {
      order.data[axis === 0 ? i * shape[1] + line : line * shape[1] + i] = p
    })
  }
  const part = axis === 0 ? [1, shape[1]] : [shape[0], 1]
  const kept = ints(
    part,
    Array.from(order.data).filter((_, i) => (axis === 0 ? i < shape[1] : i % shape[1] === 0))
  )
  const reduction = pick(rng, ['none', 'add'])
  const inputs = [{ value: normal(rng, shape) }, { value: kept, fixed: 'int64' as const }, { value: normal(rng, part) }]
  await checkGradient(seed, inputs, (e, x) => e.op('ScatterElements', x, { axis, reduction }))
})

property(t, 'Expand and Tile', 10, async (rng, seed) => {
  const shape = sizes(rng, between(rng, 1, 3))
  await checkGradient(seed, [{ value: normal(rng, narrowed(rng, shape)) }], (e, [x]) => e.op('Expand', [x, e.ints(shape)]))
  const repeats = shape.map(() => between(rng, 1, 3))
  const declared = rng.int(2) === 0 ? open(shape, () => rng.int(2) === 0) : undefined
  await checkGradient(seed, [{ value: normal(rng, shape), declared }], (e, [x]) => e.op('Tile', [x, e.ints(repeats)]))
})

property(t, 'Pad: constant (cropping too), edge, reflect, wrap', 16, async (rng, seed) => {
  const shape = sizes(rng, 2).map(d => d + 2)
  const mode = pick(rng, ['constant', 'edge', 'reflect', 'wrap'])
  const low = mode === 'constant' ? -1 : 0
  const pads = Array.from({ length: 4 }, () => between(rng, low, 2))
  await checkGradient(seed, [{ value: normal(rng, shape) }], (e, [x]) => e.op('Pad', [x, e.ints(pads), e.scalar(0.5)], { mode }))
})

property(t, 'Resize: nearest and linear, by scales and sizes', 20, async (rng, seed) => {
  const spatial = sizes(rng, between(rng, 1, 2), 4)
  const linear = rng.int(2) === 0
  const attributes = {
    mode: linear ? 'linear' : 'nearest',
    coordinate_transformation_mode: pick(rng, ['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel']),
    ...(linear ? {} : { nearest_mode: pick(rng, ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']) })
  }
  const scales = [1, 1, ...spatial.map(() => pick(rng, [1, 2, 3]))]
  const to = [2, 2, ...spatial.map(d => d + rng.int(4))]
  const value = normal(rng, [2, 2, ...spatial])
  await checkGradient(seed, [{ value, declared: ['N', 2, ...spatial] }], (e, [x]) =>
    e.op('Resize', [x, '', e.constant(floats(scales))], attributes)
  )
  await checkGradient(seed, [{ value }], (e, [x]) => e.op('Resize', [x, '', '', e.ints(to)], attributes))
})

property(t, 'Einsum as attention uses it, and sums over single letters', 12, async (rng, seed) => {
  const letters: Record<string, number> = { b: 2, h: 2, i: 3, j: 2, d: 3 }
  const equation = pick(rng, ['bhid,bhjd->bhij', 'bhij,bhjd->bhid', 'bid,dj->bij', 'ij,ij->', 'ij,jd', 'bij->ji', 'bi,jd->bd'])
  const inputs = equation
    .split('->')[0]
    .split(',')
    .map(term => ({
      value: normal(
        rng,
        [...term].map(l => letters[l])
      )
    }))
  await checkGradient(seed, inputs, (e, x) => e.op('Einsum', x, { equation }))
})

property(t, 'DepthToSpace, SpaceToDepth, CumSum, Trilu', 4, async (rng, seed) => {
  const x = { value: normal(rng, [2, 4, 2, 4]) }
  await checkGradient(seed, [x], (e, x) => e.op('DepthToSpace', x, { blocksize: 2 }))
  await checkGradient(seed, [x], (e, x) => e.op('SpaceToDepth', x, { blocksize: 2 }))
  await checkGradient(seed, [x], (e, [x]) => e.op('CumSum', [x, e.int(rng.int(4))], { exclusive: rng.int(2), reverse: rng.int(2) }))
  await checkGradient(seed, [x], (e, [x]) => e.op('Trilu', [x, e.int(between(rng, -1, 1))], { upper: rng.int(2) }))
})

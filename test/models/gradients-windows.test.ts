import t from 'tap'
import type { Rng } from '../../common/index.ts'
import { backward } from '../../models/gradients/index.ts'
import { Emitter } from '../../models/graph/emitter.ts'
import { prune } from '../../models/graph/prune.ts'
import type { Attribute, Dim } from '../../models/graph/types.ts'
import { createGraph } from '../../models/graph/types.ts'
import { assertClose, checkGradient, distinct, normal, runOrt } from './reference/check.ts'
import { between, pick, property, sizes } from './reference/property.ts'
import { ref } from './reference/tensor.ts'

/** Window attributes and a spatial shape that they fit. */
function geometry(rng: Rng, rank: number, options: { dilate: boolean; ceil?: boolean }) {
  const kernel = sizes(rng, rank, 3)
  const strides = sizes(rng, rank, 3)
  const dilations = kernel.map(() => (options.dilate ? between(rng, 1, 2) : 1))
  const reach = kernel.map((k, i) => (k - 1) * dilations[i] + 1)
  const attributes: Record<string, Attribute> = { kernel_shape: kernel, strides, dilations }
  const half = kernel.map(k => rng.int(k))
  const kind = rng.int(4)
  if (kind === 1) attributes['pads'] = [...half, ...half]
  if (kind === 2) attributes['pads'] = [...kernel.map(k => rng.int(k)), ...kernel.map(k => rng.int(k))]
  if (kind === 3 && !options.ceil) attributes['auto_pad'] = pick(rng, ['SAME_UPPER', 'SAME_LOWER', 'VALID'])
  // onnxruntime refuses dilations with automatic padding, and takes strides above the kernel for negative padding.
  if (attributes['auto_pad'] !== undefined && attributes['auto_pad'] !== 'VALID') {
    dilations.fill(1)
    for (const [i, k] of kernel.entries()) strides[i] = Math.min(strides[i], k)
  }
  if (options.ceil) attributes['ceil_mode'] = 1
  const spatial = reach.map((r, i) => r + rng.int(4) + (options.ceil ? strides[i] : 0))
  return { attributes, kernel, spatial }
}

for (const rank of [1, 2, 3]) {
  property(t, `Conv of ${rank} dimensions: groups, strides, dilations, padding`, rank === 3 ? 8 : 16, async (rng, seed) => {
    const { attributes, kernel, spatial } = geometry(rng, rank, { dilate: true })
    const group = between(rng, 1, 3)
    const [per, outputs] = [between(rng, 1, 2), group * between(rng, 1, 2)]
    const x = normal(rng, [between(rng, 1, 3), per * group, ...spatial])
    const declared: Dim[] = ['N', ...x.shape.slice(1)]
    const inputs = [{ value: x, declared }, { value: normal(rng, [outputs, per, ...kernel]) }, { value: normal(rng, [outputs]) }]
    await checkGradient(seed, rng.int(4) === 0 ? inputs.slice(0, 2) : inputs, (e, x) => e.op('Conv', x, { ...attributes, group }))
  })
}

property(t, 'Conv over large images in blocks of channels', 3, async (rng, seed) => {
  const [pad, kernel] = [[rng.int(2), rng.int(2), rng.int(2), rng.int(2)], sizes(rng, 2, 3).map(k => Math.max(2, k))]
  const inputs = [{ value: normal(rng, [1, 8, 18, 17]), declared: ['N', 8, 18, 17] }, { value: normal(rng, [8, 8, ...kernel]) }]
  await checkGradient(seed, inputs, (e, x) => e.op('Conv', x, { pads: pad }), { samples: 4 })
})

property(t, 'Conv over images of any size', 8, async (rng, seed) => {
  const x = normal(rng, [2, 2, between(rng, 5, 9), between(rng, 5, 9)])
  const attributes = { strides: sizes(rng, 2, 3), pads: [1, 1, 1, 1] }
  const inputs = [{ value: x, declared: ['N', 2, 'H', 'W'] }, { value: normal(rng, [3, 2, 3, 3]) }]
  await checkGradient(seed, inputs, (e, x) => e.op('Conv', x, attributes))
})

for (const ceil of [false, true]) {
  property(t, `MaxPool${ceil ? ' rounding up' : ''}: overlapping windows, padding`, 20, async (rng, seed) => {
    const { attributes, spatial } = geometry(rng, between(rng, 1, 2), { dilate: !ceil, ceil })
    const x = distinct(rng, [2, 2, ...spatial])
    await checkGradient(seed, [{ value: x, declared: ['N', ...x.shape.slice(1)] }], (e, x) => e.op('MaxPool', x, attributes))
  })

  property(t, `AveragePool${ceil ? ' rounding up' : ''}: overlapping windows, padding`, 20, async (rng, seed) => {
    const { attributes, spatial } = geometry(rng, between(rng, 1, 2), { dilate: false, ceil })
    delete attributes['dilations']
    const x = normal(rng, [2, 2, ...spatial])
    const count_include_pad = rng.int(2)
    await checkGradient(seed, [{ value: x, declared: ['N', ...x.shape.slice(1)] }], (e, x) =>
      e.op('AveragePool', x, { ...attributes, count_include_pad })
    )
  })
}

property(t, 'MaxPool of equal elements: the first of a window takes the gradient, the sum is kept', 4, async rng => {
  const kernel = between(rng, 1, 3)
  const graph = createGraph('ties')
  graph.inputs.push('x', 'g')
  graph.types.set('x', { type: 'float32', shape: ['N', 1, 6, 6] })
  const e = new Emitter(graph)
  const y = e.op('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [Math.max(2, kernel), 2], pads: [0, 0, 0, 0] })
  graph.types.set('g', { type: 'float32', shape: e.shape(y) })
  const scalar = e.op('ReduceSum', [e.op('Mul', [y, 'g'])], { keepdims: 0 })
  const dx = backward(e, scalar, ['x']).get('x')!
  graph.outputs = [dx, y]
  prune(graph)
  const windows = e.shape(y).slice(2) as number[]
  const g = normal(rng, [1, 1, ...windows])
  const ran = (
    await runOrt(
      graph,
      new Map([
        ['x', ref([1, 1, 6, 6])],
        ['g', g]
      ])
    )
  ).get(dx)!
  const stride = Math.max(2, kernel)
  const expected = ref([1, 1, 6, 6])
  for (let i = 0; i < windows[0]; i++)
    for (let j = 0; j < windows[1]; j++) expected.data[i * stride * 6 + 2 * j] = g.data[i * windows[1] + j]
  assertClose('gradient', ran, expected, 1e-6)
})

property(t, 'MaxPool whose windows tile the input', 8, async (rng, seed) => {
  const kernel = sizes(rng, 2, 3)
  const x = distinct(rng, [2, 2, kernel[0] * between(rng, 1, 3), kernel[1] * between(rng, 1, 3)])
  await checkGradient(seed, [{ value: x, declared: ['N', ...x.shape.slice(1)] }], (e, x) =>
    e.op('MaxPool', x, { kernel_shape: kernel, strides: kernel })
  )
})

property(t, 'ConvTranspose: groups, strides, dilations, padding, output padding', 20, async (rng, seed) => {
  const rank = between(rng, 1, 2)
  const kernel = sizes(rng, rank, 3)
  const strides = sizes(rng, rank, 3)
  const dilations = sizes(rng, rank, 2)
  // No more than leaves something of an input of three.
  const pads = kernel.map((k, i) => rng.int(Math.floor(((k - 1) * dilations[i]) / 2) + 2))
  const output_padding = strides.map(s => rng.int(s))
  const group = between(rng, 1, 2)
  const x = normal(rng, [2, group * between(rng, 1, 2), ...kernel.map(() => between(rng, 3, 4))])
  const per = between(rng, 1, 2)
  const inputs = [
    { value: x, declared: ['N', ...x.shape.slice(1)] },
    { value: normal(rng, [x.shape[1], per, ...kernel]) },
    { value: normal(rng, [per * group]) }
  ]
  await checkGradient(seed, inputs, (e, x) =>
    e.op('ConvTranspose', x, { kernel_shape: kernel, strides, dilations, pads: [...pads, ...pads], output_padding, group })
  )
})

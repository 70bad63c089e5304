import t from 'tap'
import { float } from '../../models/graph/attributes.ts'
import { checkGradient, normal, uniform } from './reference/check.ts'
import { between, property, sizes } from './reference/property.ts'

property(t, 'LayerNormalization from any axis', 8, async (rng, seed) => {
  const shape = [...sizes(rng, 2), between(rng, 2, 5)]
  const axis = between(rng, 0, 2)
  const inner = shape.slice(axis)
  const inputs = [{ value: normal(rng, shape) }, { value: normal(rng, inner) }, { value: normal(rng, inner) }]
  await checkGradient(seed, rng.int(3) === 0 ? inputs.slice(0, 2) : inputs, (e, x) =>
    e.op('LayerNormalization', x, { axis: rng.int(2) === 0 ? axis : axis - 3, epsilon: float(0.01) })
  )
})

property(t, 'InstanceNormalization and GroupNormalization', 8, async (rng, seed) => {
  const channels = 2 * between(rng, 1, 2)
  const shape = [2, channels, 3, between(rng, 1, 3)]
  const inputs = [
    { value: normal(rng, shape), declared: ['N', ...shape.slice(1)] },
    { value: normal(rng, [channels]) },
    { value: normal(rng, [channels]) }
  ]
  await checkGradient(seed, inputs, (e, x) => e.op('InstanceNormalization', x, { epsilon: float(0.01) }))
  await checkGradient(seed, inputs, (e, x) => e.op('GroupNormalization', x, { epsilon: float(0.01), num_groups: between(rng, 1, 2) }))
})

property(t, 'BatchNormalization by fixed statistics', 6, async (rng, seed) => {
  const shape = [3, 2, ...sizes(rng, between(rng, 0, 2))]
  const inputs = [
    { value: normal(rng, shape) },
    { value: normal(rng, [2]) },
    { value: normal(rng, [2]) },
    { value: normal(rng, [2]), fixed: 'float32' as const },
    { value: uniform(rng, [2], 0.5, 2), fixed: 'float32' as const }
  ]
  await checkGradient(seed, inputs, (e, x) => e.op('BatchNormalization', x, { epsilon: float(0.01) }))
})

property(t, 'LRN across channels, windows of odd size (the others onnxruntime refuses)', 8, async (rng, seed) => {
  const shape = [2, between(rng, 1, 6), 2, 2]
  const attributes = { size: 1 + 2 * rng.int(3), alpha: float(0.5), beta: float(0.75), bias: float(1.5) }
  await checkGradient(seed, [{ value: normal(rng, shape) }], (e, x) => e.op('LRN', x, attributes))
})

property(t, 'LRN within each channel, as ONNX files write it: over the mean of squares in a window', 6, async (rng, seed) => {
  const side = between(rng, 3, 6)
  const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }
  await checkGradient(seed, [{ value: normal(rng, [2, 3, side, side]) }], (e, [x]) => {
    const mean = e.op('AveragePool', [e.op('Mul', [x, x])], window)
    return e.op('Div', [x, e.op('Pow', [e.op('Add', [e.op('Mul', [mean, e.scalar(0.5)]), e.scalar(1)]), e.scalar(0.75)])])
  })
})

import t from 'tap'
import { checkGradient, distinct, normal } from './reference/check.ts'
import { between, property, sizes } from './reference/property.ts'

for (const op of ['Softmax', 'LogSoftmax']) {
  property(t, `${op} over any axis`, 8, async (rng, seed) => {
    const shape = sizes(rng, between(rng, 1, 4))
    const axis = rng.int(2 * shape.length) - shape.length
    await checkGradient(seed, [{ value: normal(rng, shape, 3) }], (e, x) => e.op(op, x, { axis }))
  })
}

for (const op of ['ReduceSum', 'ReduceMean']) {
  property(t, `${op} over any axes, sizes known or not`, 10, async (rng, seed) => {
    const shape = sizes(rng, between(rng, 1, 4))
    const axes = shape.map((_, i) => (rng.int(2) === 0 ? i : i - shape.length)).filter(() => rng.int(2) === 0)
    const keepdims = rng.int(2)
    const declared = rng.int(2) === 0 ? shape.map((_, i) => `D${i}`) : undefined
    await checkGradient(seed, [{ value: normal(rng, shape), declared }], (e, [x]) =>
      e.op(op, axes.length === 0 ? [x] : [x, e.ints(axes)], { keepdims })
    )
  })
}

for (const op of ['ReduceMax', 'ReduceMin', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare', 'ReduceLogSumExp']) {
  property(t, `${op} over any axes`, 6, async (rng, seed) => {
    const shape = sizes(rng, between(rng, 1, 4))
    const axes = shape.map((_, i) => i).filter(() => rng.int(2) === 0)
    const keepdims = rng.int(2)
    const value = distinct(rng, shape)
    // No element and no norm near 0.
    value.data.forEach((v, i) => {
      value.data[i] = Math.fround(v + (v < 0 ? -0.1 : 0.1))
    })
    await checkGradient(seed, [{ value }], (e, [x]) => e.op(op, axes.length === 0 ? [x] : [x, e.ints(axes)], { keepdims }))
  })
}

for (const op of ['GlobalAveragePool', 'GlobalMaxPool']) {
  property(t, op, 5, async (rng, seed) => {
    const shape = sizes(rng, between(rng, 3, 5))
    const declared = rng.int(2) === 0 ? shape.map((_, i) => `D${i}`) : undefined
    await checkGradient(seed, [{ value: distinct(rng, shape), declared }], (e, x) => e.op(op, x))
  })
}

property(t, 'Flatten, Reshape, Squeeze, Unsqueeze', 8, async (rng, seed) => {
  const [a, b, c] = sizes(rng, 3)
  await checkGradient(seed, [{ value: normal(rng, [a, 1, b, c]), declared: ['N', 1, b, c] }], (e, [x]) => {
    const flat = e.op('Flatten', [x], { axis: between(rng, 1, 2) })
    const thin = e.op('Squeeze', [x, e.ints([1])])
    const thick = e.op('Unsqueeze', [e.op('Reshape', [thin, e.ints([0, b * c])]), e.ints([0, -1])])
    return e.op('Mul', [e.op('Reshape', [flat, e.ints([1, -1, b * c, 1])]), thick])
  })
})

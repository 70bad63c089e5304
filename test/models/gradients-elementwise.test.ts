import t from 'tap'
import { awayFrom, checkGradient, distinct, normal } from './reference/check.ts'
import { between, narrowed, property, sizes } from './reference/property.ts'

for (const op of ['Add', 'Sub', 'Mul']) {
  property(t, `${op} with broadcasting`, 12, async (rng, seed) => {
    const shape = sizes(rng, between(rng, 1, 4))
    const [a, b] = rng.int(2) === 0 ? [shape, narrowed(rng, shape)] : [narrowed(rng, shape), shape]
    await checkGradient(seed, [{ value: normal(rng, a) }, { value: normal(rng, b) }], (e, x) => e.op(op, x))
  })
}

for (const op of ['Tanh', 'Sigmoid', 'Neg', 'Identity']) {
  property(t, op, 4, async (rng, seed) => {
    await checkGradient(seed, [{ value: normal(rng, sizes(rng, 3)) }], (e, x) => e.op(op, x))
  })
}

property(t, 'Relu away from 0', 4, async (rng, seed) => {
  await checkGradient(seed, [{ value: awayFrom(rng, sizes(rng, 3)) }], (e, x) => e.op('Relu', x))
})

property(t, 'Where and a value that is used twice', 6, async (rng, seed) => {
  const shape = sizes(rng, 3)
  await checkGradient(seed, [{ value: distinct(rng, shape) }, { value: normal(rng, narrowed(rng, shape)) }], (e, [a, b]) => {
    const condition = e.op('Greater', [a, e.scalar(0.011)])
    return e.op('Mul', [a, e.op('Where', [condition, a, b])])
  })
})

property(t, 'a broadcast that is only known at run time', 6, async (rng, seed) => {
  const shape = sizes(rng, 2, 3)
  const inputs = [
    { value: normal(rng, shape), declared: ['A', 'B'] },
    { value: normal(rng, [1, shape[1]]), declared: ['C', 'D'] }
  ]
  await checkGradient(seed, inputs, (e, x) => e.op('Add', [e.op('Mul', x), x[1]]))
})

import t from 'tap'
import { float } from '../../models/graph/attributes.ts'
import type { Attribute } from '../../models/graph/types.ts'
import { awayFrom, checkGradient, distinct, normal, uniform } from './reference/check.ts'
import { between, narrowed, pick, property, sizes } from './reference/property.ts'

for (const op of ['Add', 'Sub', 'Mul']) {
  property(t, `${op} with broadcasting`, 12, async (rng, seed) => {
    const shape = sizes(rng, between(rng, 1, 4))
    const [a, b] = rng.int(2) === 0 ? [shape, narrowed(rng, shape)] : [narrowed(rng, shape), shape]
    await checkGradient(seed, [{ value: normal(rng, a) }, { value: normal(rng, b) }], (e, x) => e.op(op, x))
  })
}

for (const op of ['Tanh', 'Sigmoid', 'Neg', 'Identity', 'Exp', 'Erf', 'Sin', 'Cos', 'Softplus', 'Softsign', 'Mish']) {
  property(t, op, 4, async (rng, seed) => {
    await checkGradient(seed, [{ value: normal(rng, sizes(rng, 3)) }], (e, x) => e.op(op, x))
  })
}

const kinked: [string, Record<string, Attribute>, number[]][] = [
  ['Relu', {}, [0]],
  ['LeakyRelu', { alpha: float(0.3) }, [0]],
  ['Elu', { alpha: float(0.7) }, [0]],
  ['Celu', { alpha: float(0.7) }, [0]],
  ['Selu', {}, [0]],
  ['ThresholdedRelu', { alpha: float(0.5) }, [0.5]],
  ['HardSigmoid', { alpha: float(0.5), beta: float(0.25) }, [-0.5, 1.5]],
  ['HardSwish', {}, [-3, 3]],
  ['Abs', {}, [0]],
  ['Gelu', {}, []],
  ['Gelu', { approximate: 'tanh' }, []]
]
for (const [op, attributes, kinks] of kinked) {
  property(t, `${op} ${JSON.stringify(attributes)}`, 5, async (rng, seed) => {
    await checkGradient(seed, [{ value: awayFrom(rng, sizes(rng, 3), kinks) }], (e, x) => e.op(op, x, attributes))
  })
}

property(t, 'Cast to double precision and back', 4, async (rng, seed) => {
  await checkGradient(seed, [{ value: normal(rng, sizes(rng, 3)) }], (e, [x]) => {
    const wide = e.op('Cast', [x], { to: 11 })
    return e.op('Cast', [e.op('Mul', [wide, wide])], { to: 1 })
  })
})

for (const op of ['Sqrt', 'Log', 'Reciprocal']) {
  property(t, op, 4, async (rng, seed) => {
    await checkGradient(seed, [{ value: uniform(rng, sizes(rng, 3), 0.3, 3) }], (e, x) => e.op(op, x))
  })
}

property(t, 'Div with broadcasting', 10, async (rng, seed) => {
  const shape = sizes(rng, 3)
  const inputs = [{ value: normal(rng, narrowed(rng, shape)) }, { value: uniform(rng, shape, 0.5, 2) }]
  await checkGradient(seed, inputs, (e, x) => e.op('Div', x))
})

property(t, 'Pow of base and exponent, and of constant exponents', 10, async (rng, seed) => {
  const shape = sizes(rng, 3)
  const base = uniform(rng, shape, 0.5, 2)
  await checkGradient(seed, [{ value: base }, { value: normal(rng, narrowed(rng, shape)) }], (e, x) => e.op('Pow', x))
  const exponent = pick(rng, [2, 3, 0.5, -1])
  await checkGradient(seed, [{ value: base }], (e, [x]) => e.op('Pow', [x, e.scalar(exponent)]))
})

for (const op of ['Min', 'Max', 'Sum', 'Mean']) {
  property(t, `${op} of several`, 6, async (rng, seed) => {
    const shape = sizes(rng, 3)
    const values = distinct(rng, [3, ...shape])
    const n = values.data.length / 3
    const inputs = [0, 1, 2].map(i => ({ value: { shape, data: values.data.slice(i * n, i * n + n) } }))
    await checkGradient(seed, inputs, (e, x) => e.op(op, x))
  })
}

property(t, 'PRelu with a slope a channel', 6, async (rng, seed) => {
  const shape = sizes(rng, 3)
  const slope = pick(rng, [[1], [shape[1], 1], shape])
  await checkGradient(seed, [{ value: awayFrom(rng, shape) }, { value: normal(rng, slope) }], (e, x) => e.op('PRelu', x))
})

property(t, 'Clip with either bound', 6, async (rng, seed) => {
  const kind = rng.int(3)
  await checkGradient(seed, [{ value: awayFrom(rng, sizes(rng, 3), [-0.5, 1]) }], (e, [x]) =>
    e.op('Clip', [x, kind === 1 ? '' : e.scalar(-0.5), ...(kind === 2 ? [] : [e.scalar(1)])])
  )
})

t.test('operators that are flat everywhere pass no gradient', async t => {
  const { differentiable } = await import('../../models/gradients/index.ts')
  for (const op of ['Floor', 'Ceil', 'Round', 'Sign']) t.ok(differentiable.includes(op))
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

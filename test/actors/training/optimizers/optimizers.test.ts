// Every optimizer against a float64 reference that knows the papers' formulas only, and what all of them have in common.
import t from 'tap'
import { createOptimizer, type OptimizerLayout, type OptimizerSpec, optimizerNames } from '../../../../actors/training/optimizers/index.ts'
import { createRng } from '../../../../common/index.ts'
import { reference } from './references.ts'

const seed = process.env['SEED'] ?? String(Math.floor(Math.random() * 2 ** 32))
t.comment('seed', seed)

/** Three tensors with unlike multipliers, the last one a bias. */
const layout: OptimizerLayout = {
  total: 76,
  parameters: [
    { offset: 0, size: 40, lrMult: 1, decayMult: 1 },
    { offset: 40, size: 33, lrMult: 2, decayMult: 1 },
    { offset: 73, size: 3, lrMult: 2, decayMult: 0 }
  ]
}

const specs: OptimizerSpec[] = [
  { name: 'sgd', momentum: 0.9, l1: 0.001 },
  { name: 'adagrad' },
  { name: 'adagrad', weightDecay: 0.01, epsilon: 1e-4 },
  { name: 'adadelta', weightDecay: 0.01 },
  { name: 'adadelta', rho: 0.5, epsilon: 1e-3, clipNorm: 1 },
  { name: 'rmsprop', l1: 0.01, epsilon: 1e-3 },
  { name: 'rmsprop', momentum: 0.9, rho: 0.8, weightDecay: 0.01, epsilon: 1e-3 },
  { name: 'adam' },
  { name: 'adam', form: 'caffe', weightDecay: 0.01, beta1: 0.8, beta2: 0.99, epsilon: 1e-4 },
  { name: 'adamw', weightDecay: 0.1, l1: 0.001, epsilon: 1e-4 },
  { name: 'adamw', form: 'caffe', weightDecay: 0.1, clipNorm: 0.5 },
  { name: 'lars', weightDecay: 0.01, trust: 0.05 },
  { name: 'lars', weightDecay: 0.01, trust: 0.05, nesterov: true, momentum: 0.5, clipNorm: 2 },
  { name: 'lars', momentum: 0 },
  { name: 'lamb', weightDecay: 0.1 },
  { name: 'lamb', beta1: 0.5, beta2: 0.9, epsilon: 1e-3, l1: 0.01 }
]

for (const spec of specs) {
  t.test(`${JSON.stringify(spec)} stays within float32 of a float64 reference for a hundred steps`, async t => {
    const rng = createRng(`${seed}/${JSON.stringify(spec)}`)
    const optimizer = createOptimizer(spec, layout)
    const parameters = Float32Array.from({ length: 80 }, () => rng.normal())
    const tail = parameters.slice(76)
    const state = new Float32Array(optimizer.stateFloats)
    const exact = reference(spec, layout, parameters)
    let worst = 0
    for (let step = 0; step < 100; step++) {
      const gradients = Float32Array.from({ length: 79 }, () => 64 * rng.normal())
      const rate = 0.02 * 0.5 ** Math.floor(step / 30)
      optimizer.apply({ parameters, gradients, state, rate, scale: 1 / 64 })
      const w = exact.step(gradients, rate, 1 / 64)
      for (let i = 0; i < 76; i++) worst = Math.max(worst, Math.abs(parameters[i]! - w[i]!) / Math.max(1, Math.abs(w[i]!)))
    }
    t.ok(worst < 3e-5, `the largest deviation is ${worst}`)
    t.same(parameters.slice(76), tail, 'what lies behind the parameters is left alone')
  })
}

t.test('every optimizer says what its state consists of', async t => {
  for (const name of optimizerNames) {
    const optimizer = createOptimizer({ name, ...(name === 'sgd' ? { momentum: 0.9 } : {}) } as OptimizerSpec, layout)
    let end = 0
    for (const { offset, size } of optimizer.stateParts) {
      t.equal(offset, end)
      end += size
    }
    t.equal(end, optimizer.stateFloats, name)
  }
  t.equal(createOptimizer({ name: 'sgd' }, layout).stateFloats, 0, 'plain SGD has none')
})

t.test('state that is copied goes on with the same bits', async t => {
  for (const spec of specs) {
    const rng = createRng(`${seed}/resume/${JSON.stringify(spec)}`)
    const gradients = Array.from({ length: 8 }, () => Float32Array.from({ length: 76 }, () => rng.normal()))
    const start = Float32Array.from({ length: 76 }, () => rng.normal())
    const run = (from: { parameters: Float32Array; state: Float32Array }, steps: Float32Array[]) => {
      const optimizer = createOptimizer(spec, layout)
      for (const g of steps) optimizer.apply({ ...from, gradients: g, rate: 0.01, scale: 0.5 })
      return from
    }
    const { stateFloats } = createOptimizer(spec, layout)
    const whole = run({ parameters: start.slice(), state: new Float32Array(stateFloats) }, gradients)
    const half = run({ parameters: start.slice(), state: new Float32Array(stateFloats) }, gradients.slice(0, 4))
    const resumed = run({ parameters: half.parameters.slice(), state: half.state.slice() }, gradients.slice(4))
    t.same(new Uint32Array(resumed.parameters.buffer), new Uint32Array(whole.parameters.buffer), JSON.stringify(spec))
    t.same(new Uint32Array(resumed.state.buffer), new Uint32Array(whole.state.buffer))
  }
})

t.test('a gradient under the limit is not clipped, one above has its norm', async t => {
  const one: OptimizerLayout = { total: 2, parameters: [{ offset: 0, size: 2, lrMult: 1, decayMult: 1 }] }
  const optimizer = createOptimizer({ name: 'sgd', clipNorm: 5 }, one)
  const step = (gradients: Float32Array) => {
    const parameters = new Float32Array(2)
    optimizer.apply({ parameters, gradients, state: new Float32Array(0), rate: 1, scale: 0.5 })
    return [...parameters]
  }
  t.same(step(Float32Array.of(6, 8)), [-3, -4], 'the mean has norm 5')
  t.same(step(Float32Array.of(12, 16)), [-3, -4])
})

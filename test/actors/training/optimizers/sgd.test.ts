import t from 'tap'
import { createOptimizer, type OptimizerLayout, type OptimizerSpec } from '../../../../actors/training/optimizers/index.ts'
import { createRng } from '../../../../common/index.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const one: OptimizerLayout = { total: 1, parameters: [{ offset: 0, size: 1, lrMult: 1, decayMult: 1 }] }

/** Weights after each of the gradients, of one parameter that begins at `w`. */
function path(spec: OptimizerSpec, w: number, steps: { gradient: number; rate: number }[]): number[] {
  const optimizer = createOptimizer(spec, one)
  const parameters = Float32Array.of(w)
  const state = new Float32Array(optimizer.stateFloats)
  return steps.map(({ gradient, rate }) => {
    optimizer.apply({ parameters, gradients: Float32Array.of(gradient), state, rate, scale: 1 })
    return parameters[0]
  })
}

t.test('both forms give the values of a calculation by hand', async t => {
  // exact in float32: w 1, gradients 2 then 4, rate 1/4 then 1/8, momentum 1/2, decay 1/2
  const steps = [
    { gradient: 2, rate: 0.25 },
    { gradient: 4, rate: 0.125 }
  ]
  const settings = { name: 'sgd', momentum: 0.5, weightDecay: 0.5 } as const
  // g' 2.5, v 0.625, w 0.375; g' 4.1875, v 0.3125 + 0.5234375
  t.same(path({ ...settings, form: 'caffe' }, 1, steps), [0.375, 0.375 - 0.8359375])
  // v 2.5, w 0.375; g' 4.1875, v 5.4375
  t.same(path({ ...settings, form: 'pytorch' }, 1, steps), [0.375, 0.375 - 0.6796875])
  // caffe: 1.5 v; g' 2.5, v 0.625, w 1 - 0.9375; g' 4.03125, v 0.3125 + 0.50390625, w - (1.5 v - 0.3125)
  t.same(path({ ...settings, form: 'caffe', nesterov: true }, 1, steps), [0.0625, 0.0625 - (1.5 * 0.81640625 - 0.3125)])
  // pytorch: v 2.5, step 2.5 + 1.25; g' 4.03125, v 5.28125, step 4.03125 + 2.640625
  t.same(path({ ...settings, form: 'pytorch', nesterov: true }, 1, steps), [0.0625, 0.0625 - 0.125 * 6.671875])
  t.same(path({ name: 'sgd', weightDecay: 0.5 }, 1, steps), [0.375, 0.375 - 0.125 * 4.1875])
})

t.test('a hundred steps stay within float32 of a float64 reference, with multipliers', async t => {
  for (const form of ['caffe', 'pytorch'] as const) {
    for (const nesterov of [false, true]) {
      const rng = createRng(`${seed}/${form}/${nesterov}`)
      const layout: OptimizerLayout = {
        total: 60,
        parameters: [
          { offset: 0, size: 40, lrMult: 1, decayMult: 1 },
          { offset: 40, size: 20, lrMult: 2, decayMult: 0 }
        ]
      }
      const [m, wd, scale] = [0.9, 0.004, 1 / 64]
      const optimizer = createOptimizer({ name: 'sgd', form, nesterov, momentum: m, weightDecay: wd }, layout)
      const parameters = Float32Array.from({ length: 60 }, () => rng.normal())
      const state = new Float32Array(optimizer.stateFloats)
      const w = Float64Array.from(parameters)
      const v = new Float64Array(60)
      for (let step = 0; step < 100; step++) {
        const gradients = Float32Array.from({ length: 63 }, () => 64 * rng.normal())
        const rate = 0.05 * 0.5 ** Math.floor(step / 30)
        optimizer.apply({ parameters, gradients, state, rate, scale })
        for (let i = 0; i < 60; i++) {
          const { lrMult, decayMult } = layout.parameters[i < 40 ? 0 : 1]
          const g = gradients[i] * scale + wd * decayMult * w[i]
          const old = v[i]
          if (form === 'caffe') {
            v[i] = m * v[i] + rate * lrMult * g
            w[i] -= nesterov ? (1 + m) * v[i] - m * old : v[i]
          } else {
            v[i] = m * v[i] + g
            w[i] -= rate * lrMult * (nesterov ? g + m * v[i] : v[i])
          }
        }
      }
      for (let i = 0; i < 60; i++) t.ok(Math.abs(parameters[i] - w[i]) < 1e-5 * Math.max(1, Math.abs(w[i])), `${form} ${i}`)
    }
  }
})

t.test('nothing counted changes nothing but what momentum and decay do', async t => {
  const optimizer = createOptimizer({ name: 'sgd' }, one)
  const parameters = Float32Array.of(3)
  optimizer.apply({ parameters, gradients: Float32Array.of(0), state: new Float32Array(0), rate: 0.1, scale: 0 })
  t.equal(parameters[0], 3)
  t.throws(
    () => optimizer.apply({ parameters, gradients: Float32Array.of(0), state: new Float32Array(0), rate: 0.1, scale: 1 / 0 }),
    RangeError
  )
  t.throws(
    () => optimizer.apply({ parameters, gradients: new Float32Array(0), state: new Float32Array(0), rate: 0.1, scale: 1 }),
    RangeError
  )
})

t.test('wrong settings are refused by name', async t => {
  const cases: [object, RegExp][] = [
    [{ name: 'adom' }, /adom.*sgd, adagrad/],
    [{}, /undefined/],
    [{ name: 'adam', momentum: 0.9 }, /'momentum'.*beta1/],
    [{ name: 'adamw', beta2: 1 }, /'beta2'.*below 1/],
    [{ name: 'lamb', clipNorm: 0 }, /'clipNorm'.*above 0/],
    [{ name: 'sgd', toString: 1 }, /toString/],
    [{ name: 'sgd', form: 'torch' }, /torch/],
    [{ name: 'sgd', momentum: 1 }, /momentum/],
    [{ name: 'sgd', momentum: '0.9' }, /momentum/],
    [{ name: 'sgd', weightDecay: -1 }, /weightDecay/],
    [{ name: 'sgd', nesterov: true }, /nesterov/],
    [{ name: 'sgd', nesterov: 1 }, /nesterov/]
  ]
  for (const [spec, message] of cases)
    t.throws(() => createOptimizer(spec as OptimizerSpec, one), { name: 'InvalidParametersError', message })
})

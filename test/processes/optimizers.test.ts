// starts processes
// Where PyTorch is installed: our optimizers take torch.optim's steps.
import { spawn } from 'node:child_process'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createOptimizer, type OptimizerSpec } from '../../actors/training/optimizers/index.ts'
import { createRng } from '../../common/index.ts'
import { pythonWithTorch } from '../models/pytorch/python.ts'

const seed = process.env['SEED'] ?? String(Math.floor(Math.random() * 2 ** 32))
t.comment('seed', seed)

const cases: [spec: OptimizerSpec, optimizer: string, options: object][] = [
  [{ name: 'sgd', momentum: 0.9, weightDecay: 0.01 }, 'SGD', { momentum: 0.9, weight_decay: 0.01 }],
  [{ name: 'sgd', momentum: 0.9, nesterov: true, clipNorm: 2 }, 'SGD', { momentum: 0.9, nesterov: true }],
  [{ name: 'adagrad', weightDecay: 0.01 }, 'Adagrad', { weight_decay: 0.01 }],
  [{ name: 'adadelta', rho: 0.8 }, 'Adadelta', { rho: 0.8 }],
  [{ name: 'rmsprop', epsilon: 1e-4 }, 'RMSprop', { eps: 1e-4 }],
  [{ name: 'rmsprop', momentum: 0.9, weightDecay: 0.01, epsilon: 1e-4 }, 'RMSprop', { momentum: 0.9, weight_decay: 0.01, eps: 1e-4 }],
  [{ name: 'adam', weightDecay: 0.01, epsilon: 1e-5 }, 'Adam', { weight_decay: 0.01, eps: 1e-5 }],
  [
    { name: 'adamw', beta1: 0.8, beta2: 0.99, weightDecay: 0.1, epsilon: 1e-5 },
    'AdamW',
    { betas: [0.8, 0.99], weight_decay: 0.1, eps: 1e-5 }
  ],
  [{ name: 'adamw', weightDecay: 0.1, epsilon: 1e-5, clipNorm: 1 }, 'AdamW', { weight_decay: 0.1, eps: 1e-5 }]
]

const found = await pythonWithTorch()

t.test('fifty steps end where those of torch.optim end, within float32', { skip: 'reason' in found && found.reason }, async t => {
  const rng = createRng(seed)
  const draw = () => Array.from({ length: 40 }, () => Math.fround(rng.normal()))
  const given = cases.map(([spec, optimizer, options]) => ({
    ...{ optimizer, options, clip: spec.clipNorm ?? null, start: draw() },
    ...{ gradients: Array.from({ length: 50 }, draw), rates: Array.from({ length: 50 }, (_, i) => 0.02 * 0.5 ** Math.floor(i / 20)) }
  }))
  const python = spawn((found as { python: string }).python, [fileURLToPath(new URL('./optimizers.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  python.stdin.end(JSON.stringify(given))
  const expected = (await json(python.stdout)) as number[][]
  for (const [i, [spec]] of cases.entries()) {
    const { start, gradients, rates } = given[i]!
    const optimizer = createOptimizer(spec, { total: 40, parameters: [{ offset: 0, size: 40, lrMult: 1, decayMult: 1 }] })
    const parameters = Float32Array.from(start)
    const state = new Float32Array(optimizer.stateFloats)
    for (const [k, g] of gradients.entries())
      optimizer.apply({ parameters, gradients: Float32Array.from(g), state, rate: rates[k]!, scale: 1 })
    const worst = Math.max(...parameters.map((x, j) => Math.abs(x - expected[i]![j]!)))
    t.ok(worst < 2e-5, `${JSON.stringify(spec)}: the largest difference is ${worst}`)
  }
})

import t from 'tap'
import { buildModel } from '../../models/index.ts'
import { descend } from './descend.ts'

const pictures = { shape: [3, 32, 32], classes: 10 }
const text = { shape: [16], classes: 20 }

/** The models that are small enough to train here: `npm run bench -- zoo` takes the large ones. */
const small = {
  mlp: { input: { shape: [1, 28, 28], classes: 10 }, rate: 0.002 },
  lenet: { input: { shape: [1, 28, 28], classes: 10 }, rate: 0.002 },
  'cifar10-quick': { input: pictures, rate: 0.05 },
  'cifar10-full': { input: pictures, rate: 0.5 },
  resnet20: { input: pictures, rate: 0.05 },
  'char-lstm': { input: text, rate: 1 },
  'gpt-nano': { input: text, rate: 0.03 }
}

for (const [name, { input, rate }] of Object.entries(small)) {
  t.test(`${name}: the loss of one batch falls`, async t => {
    const losses = await descend(buildModel(name, input), { batch: 4, steps: 5, rate, seed: 1 })
    t.comment(losses.map(l => l.toFixed(5)).join(' '))
    t.ok(losses.every(Number.isFinite))
    losses.slice(1).forEach((loss, i) => {
      t.ok(loss < losses[i]!, `step ${i + 1}`)
    })
  })
}

t.test('a model of small pictures with every other kind of layer descends, too', async t => {
  const { layers } = await import('../../models/index.ts')
  const graph = layers('all', [2, 8, 8])
    .convolution('c1', { outputs: 4, kernel: 3, pad: 'same', stride: 2, activation: 'leakyRelu' })
    .layer('prelu', 'p1', {})
    .layer('deconvolution', 'd1', { outputs: 4, kernel: 2, stride: 2, activation: 'swish' })
    .lrn('n1', { size: 3 })
    .lrn('n2', { size: 3, region: 'within' })
    .layer('batchNorm', 'b1', { activation: 'relu6' })
    .layer('transpose', 't1', { order: [2, 3, 1] })
    .layer('reshape', 'r1', { shape: [-1, 64] })
    .layerNorm('n3')
    .layer('gru', 'g1', { size: 6, direction: 'bidirectional' })
    .layer('lstm', 'l1', { size: 6, last: true })
    .layer('affine', 'a1', { scale: 2, shift: 0.5 })
    .layer('multiply', 'm1', { inputs: ['a1', 'a1', 'l1'] })
    .layer('maximum', 'x1', { inputs: ['m1', 'l1'] })
    .concat('k1', { inputs: ['x1', 'l1'] })
    .dropout('o1', { ratio: 0.3 })
    .innerProduct('i1', { outputs: 5 })
    .build('logits')
  const losses = await descend(graph, { batch: 4, steps: 4, rate: 0.05, seed: 1 })
  t.comment(losses.map(l => l.toFixed(5)).join(' '))
  t.ok(losses.every((l, i) => Number.isFinite(l) && (i === 0 || l < losses[i - 1]!)))
})

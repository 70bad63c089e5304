import t from 'tap'
import { createRng } from '../../common/index.ts'
import type { Graph } from '../../models/graph/types.ts'
import { layers, trainingGraph } from '../../models/index.ts'
import { type LossName, losses } from '../../models/losses/index.ts'
import { trainingParts } from '../../models/training.ts'
import { assertClose, normal, runOrt, uniform } from './reference/check.ts'
import { evaluate } from './reference/evaluate.ts'
import { type Ref, ref } from './reference/tensor.ts'

const batch = 4
const width = 3

function line(): Graph {
  return layers('line', [5]).innerProduct('ip', { outputs: width }).build('scores')
}

function feeds(loss: LossName): Map<string, Ref> {
  const rng = createRng(9)
  const labels = losses[loss].labels.each === 'sample' ? ref([batch], [0, 2, 1, 1]) : uniform(rng, [batch, width], 0, 1)
  return new Map([
    ['data', normal(rng, [batch, 5])],
    ['ip.weight', normal(rng, [width, 5])],
    ['ip.bias', normal(rng, [width])],
    ['labels', labels]
  ])
}

/** Each sample's loss, written down once more. */
const plain: Partial<Record<LossName, (x: number[], t: number[]) => number>> = {
  'soft-cross-entropy': (x, t) => {
    const log = Math.log(x.reduce((s, v) => s + Math.exp(v), 0))
    return -x.reduce((s, v, i) => s + t[i] * (v - log), 0)
  },
  'binary-cross-entropy': (x, t) =>
    x.reduce((s, v, i) => s - t[i] * Math.log(1 / (1 + Math.exp(-v))) - (1 - t[i]) * Math.log(1 - 1 / (1 + Math.exp(-v))), 0) / width,
  mse: (x, t) => x.reduce((s, v, i) => s + (v - t[i]) ** 2, 0) / width,
  l1: (x, t) => x.reduce((s, v, i) => s + Math.abs(v - t[i]), 0) / width,
  huber: (x, t) => x.reduce((s, v, i) => s + (Math.abs(v - t[i]) < 1 ? 0.5 * (v - t[i]) ** 2 : Math.abs(v - t[i]) - 0.5), 0) / width
}

for (const loss of Object.keys(losses) as LossName[]) {
  t.test(`${loss}: its value, its gradient, the same in onnxruntime`, async t => {
    const { train, outputs } = trainingParts(line(), { loss })
    const given = feeds(loss)
    const values = evaluate(train, given)
    const ran = await runOrt(train, given)
    for (const output of train.outputs) assertClose(output, ran.get(output)!, values.get(output)!, 1e-4)
    t.equal(values.get('denominator')!.data[0], batch)
    const f = plain[loss]
    if (f !== undefined) {
      const scores = values.get('scores')!.data
      const labels = given.get('labels')!.data
      let sum = 0
      for (let i = 0; i < batch; i++) sum += f([...scores.slice(i * width, (i + 1) * width)], [...labels.slice(i * width, (i + 1) * width)])
      t.ok(Math.abs(values.get('lossSum')!.data[0] - sum) < 1e-9 * Math.max(1, sum), `${values.get('lossSum')!.data[0]} is ${sum}`)
    }
    for (const [name, at] of [
      ['ip.weight', 7],
      ['ip.bias', 1]
    ] as const) {
      const value = (d: number) => {
        const moved = ref(given.get(name)!.shape, given.get(name)!.data.slice())
        moved.data[at] += d
        return evaluate(train, new Map(given).set(name, moved)).get('lossSum')!.data[0]
      }
      const gradient = values.get(outputs.gradients[name === 'ip.weight' ? 0 : 1])!.data[at]
      t.ok(Math.abs((value(1e-5) - value(-1e-5)) / 2e-5 - gradient) < 1e-6 * Math.max(1, Math.abs(gradient)), `${name}: ${gradient}`)
    }
  })
}

t.test('labels are announced with their type and shape', async t => {
  t.strictSame(trainingGraph(line()).inputs.labels, { name: 'labels', type: 'int32', shape: [] })
  t.strictSame(trainingGraph(line(), { loss: 'mse' }).inputs.labels, { name: 'labels', type: 'float32', shape: [width] })
})

t.test('binary cross-entropy is finite for logits of any size, and counts samples that are right everywhere', async t => {
  const { train } = trainingParts(layers('one', [2]).innerProduct('ip', { outputs: 2, bias: false }).build('x'), {
    loss: 'binary-cross-entropy'
  })
  const given = new Map([
    ['data', ref([3, 2], [1e4, -1e4, 5, 5, 0, 3])],
    ['labels', ref([3, 2], [1, 0, 1, 0, 1, 1])],
    ['ip.weight', ref([2, 2], [1, 0, 0, 1])]
  ])
  const ran = await runOrt(train, given)
  t.equal(ran.get('correct')!.data[0], 1)
  t.ok(Number.isFinite(ran.get('lossSum')!.data[0]))
})

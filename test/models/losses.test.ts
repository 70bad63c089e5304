import t from 'tap'
import { createRng } from '../../common/index.ts'
import { Emitter } from '../../models/graph/emitter.ts'
import { createGraph, type Graph } from '../../models/graph/types.ts'
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
  const labels = loss === 'softmax-ce' ? ref([batch], [0, 2, 1, 1]) : uniform(rng, [batch, width], 0, 1)
  return new Map([
    ['data', normal(rng, [batch, 5])],
    ['ip.weight', normal(rng, [width, 5])],
    ['ip.bias', normal(rng, [width])],
    ['labels', labels]
  ])
}

/** Each sample's loss, written down once more. */
const plain: Partial<Record<LossName, (x: number[], t: number[]) => number>> = {
  'soft-ce': (x, t) => {
    const log = Math.log(x.reduce((s, v) => s + Math.exp(v), 0))
    return -x.reduce((s, v, i) => s + t[i] * (v - log), 0)
  },
  bce: (x, t) =>
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

/** A model whose parameter is added to the data, so that its scores have any shape. */
function shifted(shape: number[]): Graph {
  const graph = createGraph('shifted')
  graph.inputs.push('data')
  graph.types.set('data', { type: 'float32', shape: ['N', ...shape] })
  graph.parameters.set('shift', { name: 'shift', shape, lrMult: 1, decayMult: 1, filler: { type: 'constant', value: 0 } })
  graph.types.set('shift', { type: 'float32', shape })
  graph.outputs = [new Emitter(graph).op('Add', ['data', 'shift'], {}, 'scores')]
  return graph
}

for (const [shape, labelShape, axis] of [
  [[5, width], [5], 2],
  [[width, 2, 3], [2, 3], 1]
] as const) {
  t.test(`softmax cross-entropy of a class for each position of [N, ${shape.join(', ')}]`, async t => {
    const rng = createRng(4)
    const positions = labelShape.reduce((a, b) => a * b, 1)
    const labels = Array.from({ length: 2 * positions }, (_, i) => (i === 3 ? -1 : i % width))
    const data = normal(rng, [2, ...shape])
    const given = new Map([
      ['data', data],
      ['labels', ref([2, ...labelShape], labels)],
      ['shift', ref([...shape], new Array(width * positions).fill(0))]
    ])
    const { train, outputs } = trainingParts(shifted([...shape]))
    t.strictSame(trainingGraph(shifted([...shape])).inputs.labels, { name: 'labels', type: 'int32', shape: [...labelShape] })
    const ran = await runOrt(train, given)
    const values = evaluate(train, given)
    for (const output of train.outputs) assertClose(output, ran.get(output)!, values.get(output)!, 1e-4)

    let sum = 0
    let correct = 0
    const gradient = new Float64Array(width * positions)
    const at = (n: number, p: number, c: number) => n * width * positions + (axis === 2 ? p * width + c : c * positions + p)
    for (let n = 0; n < 2; n++) {
      for (let p = 0; p < positions; p++) {
        const label = labels[n * positions + p]
        if (label < 0) continue
        const row = Array.from({ length: width }, (_, c) => data.data[at(n, p, c)])
        const total = row.reduce((a, x) => a + Math.exp(x), 0)
        sum += Math.log(total) - row[label]
        if (row.every((x, c) => c === label || x < row[label])) correct++
        for (let c = 0; c < width; c++) gradient[at(0, p, c)] += Math.exp(row[c]) / total - (c === label ? 1 : 0)
      }
    }
    t.ok(Math.abs(values.get('lossSum')!.data[0] - sum) < 1e-9, `${values.get('lossSum')!.data[0]} is ${sum}`)
    t.equal(values.get('correct')!.data[0], correct)
    t.equal(values.get('denominator')!.data[0], 2 * positions - 1, 'a label that is no class does not count')
    assertClose('gradient', values.get(outputs.gradients[0])!, ref([...shape], gradient), 1e-9)
  })
}

t.test('a model that ends in its own loss trains on that output and reads the labels itself', async t => {
  const graph = shifted([width])
  const e = new Emitter(graph)
  graph.inputs.push('target')
  graph.types.set('target', { type: 'int64', shape: ['N'] })
  const logs = e.op('LogSoftmax', ['scores'], { axis: 1 })
  const own = e.op('GatherElements', [logs, e.op('Unsqueeze', ['target', e.ints([1])])], { axis: 1 })
  e.op('Neg', [e.op('ReduceMean', [own], { keepdims: 0 })], {}, 'loss')
  e.op('Neg', [own], {}, 'losses')
  graph.outputs.push('loss', 'losses')
  const rng = createRng(6)
  const data = normal(rng, [batch, width])
  const given = (labels: string) =>
    new Map([
      ['data', data],
      [labels, ref([batch], [0, 2, 1, 1])],
      ['shift', ref([width], [0, 0, 0])]
    ])
  const expected = await runOrt(trainingParts(shifted([width])).train, given('labels'))
  for (const loss of ['output:loss', 'output:losses'] as const) {
    const { train, labels, outputs } = trainingParts(graph, { loss })
    t.equal(labels, 'target')
    t.ok(outputs.counts, 'the scores beside the loss tell hits')
    const ran = await runOrt(train, given('target'))
    for (const output of train.outputs) assertClose(output, ran.get(output)!, expected.get(output)!, 1e-5)
  }
  const wrong = { name: 'InvalidParametersError' }
  t.throws(() => trainingParts(graph, { loss: 'output:nothing' }), { ...wrong, message: /'nothing'.*scores, loss, losses/ })
  t.throws(() => trainingParts(graph, { loss: 'output:scores' }), { ...wrong, message: /'scores' is float32 \[N, 3\]/ })
  t.throws(() => trainingParts(graph, { loss: 'mse' }), { ...wrong, message: /'data', 'target'.*output:NAME/ })
})

t.test('labels are announced with their type and shape', async t => {
  t.strictSame(trainingGraph(line()).inputs.labels, { name: 'labels', type: 'int32', shape: [] })
  t.strictSame(trainingGraph(line(), { loss: 'mse' }).inputs.labels, { name: 'labels', type: 'float32', shape: [width] })
})

t.test('binary cross-entropy is finite for logits of any size, and counts samples that are right everywhere', async t => {
  const { train } = trainingParts(layers('one', [2]).innerProduct('ip', { outputs: 2, bias: false }).build('x'), {
    loss: 'bce'
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

import { InferenceSession, Tensor } from 'onnxruntime-node'
import t from 'tap'
import { createRng } from '../../common/index.ts'
import { Emitter } from '../../models/graph/emitter.ts'
import { copyGraph, type Graph } from '../../models/graph/types.ts'
import { buildModel, exportModel, initialise, layers, trainingGraph } from '../../models/index.ts'
import { trainingParts } from '../../models/training.ts'
import { assertClose, normal, runOrt } from './reference/check.ts'
import { evaluate } from './reference/evaluate.ts'
import { type Ref, ref } from './reference/tensor.ts'

/** Everything that a graph of training wants fed, with random data; labels cycle. */
function feedsOf(graph: Graph, batch: number, classes: number, seed: number, scale = 1): Map<string, Ref> {
  const { layout } = trainingParts(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, seed, arena)
  const rng = createRng(seed)
  const shape = graph.types.get('data')!.shape.slice(1) as number[]
  const feeds = new Map<string, Ref>([
    ['data', normal(rng, [batch, ...shape])],
    [
      'labels',
      ref(
        [batch],
        Array.from({ length: batch }, (_, i) => (3 * i + 1) % classes)
      )
    ]
  ])
  for (const p of layout.parameters)
    feeds.set(
      p.name,
      ref(
        p.shape,
        Array.from(arena.subarray(p.offset, p.offset + p.size), v => Math.fround(scale * v))
      )
    )
  return feeds
}

const small: [string, Graph, number][] = [
  ['lenet', buildModel('lenet', { shape: [1, 16, 16], classes: 4 }), 1],
  ['mlp', buildModel('mlp', { shape: [1, 4, 4], classes: 3 }, { hidden: [8, 6] }), 1],
  ['mlp with tanh', buildModel('mlp', { shape: [1, 4, 4], classes: 3 }, { activation: 'tanh', hidden: [8, 6] }), 1],
  ['cifar10-quick', buildModel('cifar10-quick', { shape: [3, 12, 12], classes: 5 }), 20]
]

for (const [name, graph, scale] of small) {
  t.test(`${name}: onnxruntime's loss, hits and gradients are the reference's`, async t => {
    const { train, evaluate: forward, outputs, layout } = trainingParts(graph)
    const classes = graph.types.get('logits')!.shape[1] as number
    for (const batch of [1, 3]) {
      const feeds = feedsOf(graph, batch, classes, 5, scale)
      const expected = evaluate(train, feeds)
      const ran = await runOrt(train, feeds)
      for (const output of train.outputs) assertClose(output, ran.get(output)!, expected.get(output)!, 1e-4)
      const passed = await runOrt(forward, feeds)
      for (const output of forward.outputs) assertClose(output, passed.get(output)!, expected.get(output)!, 1e-4)
      t.equal(ran.get('denominator')!.data[0], batch)
    }
    const feeds = feedsOf(graph, 2, classes, 5, scale)
    const values = evaluate(train, feeds)
    const rng = createRng(2)
    layout.parameters.forEach((p, i) => {
      const gradient = values.get(outputs.gradients[i])!
      const bound = 1e-6 * Math.max(1, ...gradient.data.map(Math.abs))
      for (let k = 0; k < 3; k++) {
        const at = rng.int(p.size)
        const loss = (v: number) => {
          const moved = ref(p.shape, feeds.get(p.name)!.data.slice())
          moved.data[at] += v
          return evaluate(forward, new Map(feeds).set(p.name, moved)).get('lossSum')!.data[0]
        }
        const difference = (loss(1e-6) - loss(-1e-6)) / 2e-6
        if (!(Math.abs(difference - gradient.data[at]) <= bound)) {
          t.fail(`${p.name}[${at}] is ${gradient.data[at]}, finite differences give ${difference}`)
        }
      }
    })
  })
}

t.test('gradients are outputs of the names that are announced, last layer first', async t => {
  const training = trainingGraph(buildModel('lenet', { shape: [1, 28, 28], classes: 10 }))
  const session = await InferenceSession.create(training.train, { intraOpNumThreads: 1 })
  t.strictSame([...session.inputNames], ['data', 'labels', ...training.layout.parameters.map(p => p.name)])
  t.strictSame([...session.outputNames], ['lossSum', 'denominator', 'correct', ...[...training.outputs.gradients].reverse()])
  await session.release()
  const evaluation = await InferenceSession.create(training.evaluate, { intraOpNumThreads: 1 })
  t.strictSame([...evaluation.outputNames], ['lossSum', 'denominator', 'correct'])
  await evaluation.release()
})

t.test('what no parameter needs is never built', async t => {
  const { train } = trainingParts(buildModel('lenet', { shape: [1, 28, 28], classes: 10 }))
  t.equal(train.nodes.filter(n => n.op === 'ConvTranspose').length, 1, 'only the second convolution passes a gradient on')
})

t.test('ties count against the model, and a label outside the classes counts for nothing', async t => {
  const graph = layers('line', [3]).innerProduct('ip', { outputs: 3, bias: false }).build('logits')
  const { train, outputs } = trainingParts(graph)
  const eye = ref([3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1])
  const data = ref([5, 3], [5, 1, 1, 2, 2, 1, 0, 0, 0, 1, 9, 1, 1, 2, 3])
  const ran = await runOrt(
    train,
    new Map([
      ['data', data],
      ['labels', ref([5], [0, 0, 1, -1, 7])],
      ['ip.weight', eye]
    ])
  )
  t.equal(ran.get('correct')!.data[0], 1)
  t.equal(ran.get('denominator')!.data[0], 3)
  const counted = await runOrt(
    train,
    new Map([
      ['data', ref([3, 3], data.data.slice(0, 9))],
      ['labels', ref([3], [0, 0, 1])],
      ['ip.weight', eye]
    ])
  )
  assertClose('gradient', ran.get(outputs.gradients[0])!, counted.get(outputs.gradients[0])!, 1e-6)
  assertClose('loss', ran.get('lossSum')!, counted.get('lossSum')!, 1e-6)
})

t.test('scores of any size give a finite loss', async t => {
  const graph = layers('line', [2]).innerProduct('ip', { outputs: 2, bias: false }).build('logits')
  const { train } = trainingParts(graph)
  const feeds = new Map([
    ['data', ref([1, 2], [1e30, -1e30])],
    ['labels', ref([1], [1])],
    ['ip.weight', ref([2, 2], [1, 0, 0, 1])]
  ])
  const ran = await runOrt(train, feeds)
  t.ok(Number.isFinite(ran.get('lossSum')!.data[0]))
  t.ok([...ran.get('gradient/ip.weight')!.data].every(Number.isFinite))
})

t.test('an operator without a rule on a gradient’s path is refused with its node and what to freeze', async t => {
  const graph = copyGraph(layers('odd', [4]).innerProduct('ip', { outputs: 3 }).build('scores'))
  const e = new Emitter(graph)
  graph.outputs = [e.op('Hardmax', ['scores'], {}, 'sharp')]
  t.throws(() => trainingGraph(graph), { name: 'InvalidParametersError', message: /Hardmax 'sharp'.*freeze.*'ip.weight'/ })
})

t.test('what is computed in half precision is refused, not taken for constant', async t => {
  const graph = copyGraph(layers('halves', [4]).innerProduct('ip', { outputs: 3 }).build('scores'))
  const e = new Emitter(graph)
  graph.outputs = [e.op('Cast', [e.op('Cast', ['scores'], { to: 10 }, 'small')], { to: 1 }, 'back')]
  t.throws(() => trainingGraph(graph), { name: 'InvalidParametersError', message: /Cast 'small' computes in float16/ })
})

t.test('unknown losses and outputs that do not fit a loss are refused', async t => {
  const graph = buildModel('mlp', { shape: [1, 4, 4], classes: 3 }, { hidden: [4] })
  t.throws(() => trainingGraph(graph, { loss: 'hinges' as any }), { name: 'InvalidParametersError', message: /'hinges'/ })
  const single = copyGraph(layers('single', [4]).innerProduct('ip', { outputs: 3 }).build('scores'))
  const e = new Emitter(single)
  single.outputs = [e.op('ReduceSum', ['scores', e.ints([1])], { keepdims: 0 }, 'one')]
  t.throws(() => trainingGraph(single), { name: 'InvalidParametersError', message: /'one' is \[N\]/ })
})

t.test('the exported model opens in onnxruntime and scores what the training graph counted', async t => {
  const graph = buildModel('lenet', { shape: [1, 28, 28], classes: 10 })
  const training = trainingGraph(graph)
  const arena = new Float32Array(training.layout.total)
  initialise(training.layout, 11, arena)
  const batch = 37
  const rng = createRng(4)
  const data = normal(rng, [batch, 1, 28, 28])
  const labels = Int32Array.from({ length: batch }, () => rng.int(10))
  const feeds: Record<string, Tensor> = {
    data: new Tensor('float32', Float32Array.from(data.data), data.shape),
    labels: new Tensor('int32', labels, [batch])
  }
  const file = exportModel(graph, training.layout, arena, { job: 'test' })
  const model = await InferenceSession.create(file, { intraOpNumThreads: 1 })
  t.strictSame([...model.inputNames], ['data'])
  const { logits } = await model.run({ data: feeds['data'] })
  await model.release()
  let hits = 0
  labels.forEach((label, i) => {
    const scores = (logits.data as Float32Array).subarray(10 * i, 10 * i + 10)
    if (scores.every((s, k) => k === label || s < scores[label])) hits++
  })
  for (const p of training.layout.parameters) feeds[p.name] = new Tensor('float32', arena.subarray(p.offset, p.offset + p.size), p.shape)
  const evaluation = await InferenceSession.create(training.evaluate, { intraOpNumThreads: 1 })
  const { correct } = await evaluation.run(feeds)
  await evaluation.release()
  t.equal((correct.data as Float32Array)[0], hits)
  t.throws(() => exportModel(graph, training.layout, arena.subarray(1)), { name: 'InvalidParametersError' })
})

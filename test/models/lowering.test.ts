import t, { type Test } from 'tap'
import { createRng, type Rng } from '../../common/index.ts'
import { float } from '../../models/graph/attributes.ts'
import { Emitter } from '../../models/graph/emitter.ts'
import { floats } from '../../models/graph/tensors.ts'
import { type Attribute, createGraph, type Dim, type Graph, type Parameter } from '../../models/graph/types.ts'
import { exportModel, initialise, loadOnnx, parameterLayout, stateLayout, trainingGraph } from '../../models/index.ts'
import { type TrainingParts, trainingParts } from '../../models/training.ts'
import { assertClose, normal, runOrt, uniform } from './reference/check.ts'
import { evaluate } from './reference/evaluate.ts'
import { type Ref, ref } from './reference/tensor.ts'

function given(name: string, value: Ref): Parameter {
  return { name, shape: value.shape, lrMult: 1, decayMult: 1, filler: { type: 'given', values: Float32Array.from(value.data) } }
}

/** A graph over [N, …sample] with the given parameters and states. */
function start(sample: number[], parameters: Record<string, Ref>, states: Record<string, Ref> = {}): { graph: Graph; e: Emitter } {
  const graph = createGraph('lowered')
  graph.inputs.push('data')
  graph.types.set('data', { type: 'float32', shape: ['N', ...sample] as Dim[] })
  for (const [into, tensors] of [
    [graph.parameters, parameters],
    [graph.states, states]
  ] as const) {
    for (const [name, value] of Object.entries(tensors)) {
      into.set(name, given(name, value))
      graph.types.set(name, { type: 'float32', shape: value.shape })
    }
  }
  return { graph, e: new Emitter(graph) }
}

function feedsOf(graph: Graph, rng: Rng, batch: number): Map<string, Ref> {
  const sample = graph.types.get('data')!.shape.slice(1) as number[]
  const feeds = new Map<string, Ref>([['data', normal(rng, [batch, ...sample])]])
  for (const p of [...graph.parameters.values(), ...graph.states.values()]) {
    if (p.filler.type === 'given') feeds.set(p.name, ref(p.shape, Float64Array.from(p.filler.values)))
  }
  feeds.set('labels', normal(rng, [batch, ...(graph.types.get(graph.outputs[0])!.shape.slice(1) as number[])]))
  feeds.set(
    'samples',
    ref(
      [batch],
      Array.from({ length: batch }, () => rng.int(2 ** 31))
    )
  )
  return feeds
}

/** The training graph's gradients are those of its own loss, in the reference and in onnxruntime. */
async function check(t: Test, graph: Graph, feeds: Map<string, Ref>): Promise<TrainingParts> {
  const parts = trainingParts(graph, { loss: 'mse' })
  const values = evaluate(parts.train, feeds)
  const ran = await runOrt(parts.train, feeds)
  for (const output of parts.train.outputs) assertClose(output, ran.get(output)!, values.get(output)!, 1e-4)
  const rng = createRng(3)
  parts.layout.parameters.forEach((p, i) => {
    const gradient = values.get(parts.outputs.gradients[i])!
    const bound = 1e-6 * Math.max(1, ...gradient.data.map(Math.abs))
    for (let k = 0; k < 6; k++) {
      const at = rng.int(p.size)
      const loss = (d: number) => {
        const moved = ref(p.shape, feeds.get(p.name)!.data.slice())
        moved.data[at] += d
        return evaluate(parts.train, new Map(feeds).set(p.name, moved)).get('lossSum')!.data[0]
      }
      const difference = (loss(1e-5) - loss(-1e-5)) / 2e-5
      t.ok(Math.abs(difference - gradient.data[at]) <= bound, `${p.name}[${at}]: ${gradient.data[at]} is ${difference}`)
    }
  })
  return parts
}

function normalised(rng: Rng): Graph {
  const { graph, e } = start(
    [3, 4, 4],
    { w: normal(rng, [2, 3, 3, 3]), scale: normal(rng, [2]), bias: normal(rng, [2]) },
    { mean: normal(rng, [2]), variance: uniform(rng, [2], 0.5, 2) }
  )
  const y = e.op('Conv', ['data', 'w'])
  graph.outputs = [e.op('BatchNormalization', [y, 'scale', 'bias', 'mean', 'variance'], { momentum: float(0.75) }, 'y')]
  return graph
}

t.test('batch normalisation trains by the batch and moves its statistics; evaluation uses them', async t => {
  const rng = createRng(5)
  const graph = normalised(rng)
  const feeds = feedsOf(graph, rng, 4)
  const { train, evaluate: forward, state, outputs } = await check(t, graph, feeds)
  t.strictSame(
    state.parameters.map(p => p.name),
    ['mean', 'variance']
  )
  const values = evaluate(train, feeds)
  const conv = values.get(graph.nodes[0].outputs[0])!
  for (const channel of [0, 1]) {
    const own = [...conv.data].filter((_, i) => Math.floor(i / 4) % 2 === channel)
    const mean = own.reduce((a, b) => a + b) / own.length
    const variance = own.reduce((s, v) => s + (v - mean) ** 2, 0) / (own.length - 1)
    const old = (name: string) => feeds.get(name)!.data[channel]
    t.ok(Math.abs(values.get(outputs.states[0])!.data[channel] - (0.75 * old('mean') + 0.25 * mean)) < 1e-9)
    t.ok(Math.abs(values.get(outputs.states[1])!.data[channel] - (0.75 * old('variance') + 0.25 * variance)) < 1e-9)
  }
  assertClose('evaluation', (await runOrt(forward, feeds)).get('lossSum')!, evaluate(forward, feeds).get('lossSum')!, 1e-4)
  const layout = parameterLayout(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 0, arena)
  const back = loadOnnx(exportModel(graph, layout, arena, {}, { layout: stateLayout(graph), values: Float32Array.of(1, 2, 3, 4) }))
  t.strictSame([...back.states.keys()], ['mean', 'variance'])
  t.strictSame(back.states.get('variance')!.filler, { type: 'given', values: Float32Array.of(3, 4) })
})

t.test('a frozen batch normalisation keeps to its statistics', async t => {
  const rng = createRng(6)
  const graph = normalised(rng)
  const { train } = trainingParts(graph, { loss: 'mse', freeze: ['scale', 'bias'] })
  t.ok(train.nodes.some(n => n.op === 'BatchNormalization'))
  const feeds = feedsOf(graph, rng, 2)
  const ran = await runOrt(train, feeds)
  t.strictSame(ran.get('state/mean')!.data, feeds.get('mean')!.data)
})

t.test('dropout depends on the sample’s number alone, keeps its share, and is the identity in evaluation', async t => {
  const rng = createRng(7)
  const { graph, e } = start([64], { w: normal(rng, [64]) })
  const scaled = e.op('Mul', ['data', 'w'])
  graph.outputs = [e.op('Dropout', [scaled, e.constant(floats([0.25], []))], {}, 'y')]
  t.strictSame(trainingGraph(graph, { loss: 'mse' }).inputs.samples, { name: 'samples', type: 'int32' })
  const feeds = feedsOf(graph, rng, 50)
  const { train, evaluate: forward } = await check(t, graph, feeds)
  t.notOk(forward.inputs.includes('samples'))
  const seen: Graph = { ...train, outputs: ['y'] }
  const all = (await runOrt(seen, feeds)).get('y')!
  const kept = all.data.reduce((n, v) => n + (v === 0 ? 0 : 1), 0) / all.data.length
  t.ok(Math.abs(kept - 0.75) < 0.03, `${kept} of 0.75 are kept`)
  for (let place = 0; place < 64; place++) {
    let n = 0
    for (let i = 0; i < 50; i++) if (all.data[64 * i + place] !== 0) n++
    t.ok(n > 20 && n < 50, `place ${place} is kept ${n} times of 50`)
  }
  const alone = new Map(feeds)
  for (const name of ['data', 'samples', 'labels']) {
    const x = feeds.get(name)!
    const each = x.data.length / 50
    alone.set(name, ref([1, ...x.shape.slice(1)], x.data.slice(17 * each, 18 * each)))
  }
  t.strictSame((await runOrt(seen, alone)).get('y')!.data, all.data.slice(17 * 64, 18 * 64), 'whatever the batch')
})

for (const [op, gates] of [
  ['LSTM', 4],
  ['GRU', 3]
] as const) {
  for (const direction of ['forward', 'reverse', 'bidirectional']) {
    for (const linear_before_reset of op === 'GRU' ? [0, 1] : [0]) {
      t.test(`${op} ${direction} ${linear_before_reset}: unrolled it is what onnxruntime's own is`, async t => {
        const rng = createRng(8)
        const [steps, width, hidden] = [3, 2, 2]
        const d = direction === 'bidirectional' ? 2 : 1
        const { graph, e } = start([steps, width], {
          w: normal(rng, [d, gates * hidden, width]),
          r: normal(rng, [d, gates * hidden, hidden]),
          b: normal(rng, [d, 2 * gates * hidden])
        })
        const x = e.op('Transpose', ['data'], { perm: [1, 0, 2] })
        const attributes: Record<string, Attribute> = { hidden_size: hidden, direction }
        if (op === 'GRU') attributes['linear_before_reset'] = linear_before_reset
        const [y, last] = e.ops(op, [x, 'w', 'r', 'b'], attributes, op === 'LSTM' ? 3 : 2)
        const sum = e.op('ReduceSum', [last, e.ints([0])], { keepdims: 0 })
        graph.outputs = [e.op('Add', [e.op('ReduceSum', [y, e.ints([0, 1])], { keepdims: 0 }), sum], {}, 'y')]
        const feeds = feedsOf(graph, rng, 2)
        const { train, evaluate: forward } = await check(t, graph, feeds)
        assertClose('loss', (await runOrt(train, feeds)).get('lossSum')!, (await runOrt(forward, feeds)).get('lossSum')!, 1e-5)
      })
    }
  }
}

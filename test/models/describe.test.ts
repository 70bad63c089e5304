import t from 'tap'
import { buildDescription } from '../../models/description/index.ts'
import type { Graph } from '../../models/graph/types.ts'
import {
  buildModel,
  caffeModel,
  describeGraph,
  describeModel,
  exportModel,
  initialise,
  layers,
  loadOnnx,
  type Model,
  modelInput,
  netOf,
  parameterLayout,
  parseNet,
  printText,
  summarise
} from '../../models/index.ts'

/** Operators that compute, in order. */
const operators = (graph: Graph) => graph.nodes.map(n => n.op).filter(op => op !== 'Identity')
const parameters = (graph: Graph) =>
  parameterLayout(graph).parameters.map(({ name, shape, lrMult, decayMult, filler }) => ({ name, shape, lrMult, decayMult, filler }))

const plain = ['lenet', 'mlp', 'cifar10-quick', 'alexnet', 'googlenet', 'resnet20', 'resnet18', 'resnet50', 'mobilenet-v2']

t.test('a graph is described by the layers that build it: operators, names, fillers and rates', async t => {
  for (const name of plain) {
    const graph = buildModel(name, modelInput(name))
    const again = buildDescription(describeGraph(graph))
    t.strictSame(operators(again), operators(graph), name)
    t.strictSame(parameters(again), parameters(graph), name)
    t.strictSame(again.outputs, graph.outputs, name)
    t.strictSame([...again.auxiliary], [...graph.auxiliary], name)
  }
})

t.test('an ONNX file is described likewise, but for the values of its parameters', async t => {
  for (const name of ['lenet', 'resnet20', 'mobilenet-v2']) {
    const graph = buildModel(name, modelInput(name))
    const layout = parameterLayout(graph)
    const arena = new Float32Array(layout.total)
    initialise(layout, 1, arena)
    const loaded = loadOnnx(exportModel(graph, layout, arena))
    const again = buildDescription(describeGraph(loaded))
    t.strictSame(
      parameters(again).map(p => [p.name, p.shape]),
      parameters(loaded).map(p => [p.name, p.shape]),
      name
    )
    t.equal(summarise(again).multiplyAdds, summarise(loaded).multiplyAdds)
  }
})

t.test('sequences, embeddings and biases that are added after a product are layers, too', async t => {
  const graph = layers('text', [5])
    .layer('embedding', 'tokens', { vocabulary: 7, size: 6 })
    .layer('positionalEmbedding', 'places', {})
    .layerNorm('norm')
    .innerProduct('wide', { outputs: 8, axis: 2, activation: 'gelu' })
    .layer('affine', 'scaled', { scale: 3 })
    .innerProduct('scores', { outputs: 7, axis: 2, bias: false })
    .build('logits')
  const again = buildDescription(describeGraph(graph))
  t.strictSame(operators(again), operators(graph))
  t.strictSame(parameters(again), parameters(graph))
})

t.test('what is no layer is refused by its node', async t => {
  t.throws(() => describeGraph(buildModel('gpt-nano', { shape: [4], classes: 5 })), {
    message: /node \w+ 'block1\.attention\..*' cannot be described/
  })
  t.throws(() => describeGraph(buildModel('cifar10-full', modelInput('cifar10-full'))), {
    message: /node Pow 'norm1\..*no layer stands for/
  })
})

t.test('a net of Caffe’s says the same as the description that it was written from', async t => {
  const more: [string, Model][] = [
    [
      'all',
      layers('all', [2, 9, 9])
        .convolution('c1', { outputs: 4, kernel: [3, 5], pad: [1, 2], stride: [2, 1], lrMult: 0.5, activation: 'leakyRelu' })
        .layer('prelu', 'p1', { weight: { filler: { type: 'constant', value: 0.1 } } })
        .layer('deconvolution', 'd1', { outputs: 4, kernel: 3, stride: 2, bias: false, weight: { filler: { type: 'bilinear' } } })
        .lrn('n1', { size: 3, alpha: 0.1, k: 2 })
        .lrn('n2', { size: 3, region: 'within' })
        .averagePool('a1', { kernel: 3, stride: 2, pad: 1 })
        .maxPool('m1', { kernel: 2, stride: 1, ceil: false })
        .layer('multiply', 'e1', { inputs: ['m1', 'm1'], activation: 'tanh' })
        .concat('k1', { inputs: ['e1', 'm1'] })
        .layer('affine', 'f1', { scale: 2, shift: 1 })
        .layer('elu', 'u1', { alpha: 0.5 })
        .innerProduct('i1', { outputs: 5, weight: { decayMult: 3 } })
        .describe()
    ]
  ]
  for (const name of ['lenet', 'cifar10-quick', 'cifar10-full', 'alexnet', 'googlenet'])
    more.push([name, describeModel(name, modelInput(name))])
  for (const [name, model] of more) {
    const graph = buildDescription(model)
    const text = printText(netOf(model))
    const { graph: test, train } = caffeModel(parseNet(text, name), { shape: model.input as number[] })
    const sizes = (g: Graph) =>
      parameterLayout(g)
        .parameters.map(p => [p.shape.filter(d => d > 1).join(), p.lrMult, p.decayMult, p.filler.type].join(' '))
        .sort()
    t.strictSame(sizes(train.graph), sizes(graph), name)
    t.equal(summarise(train.graph).multiplyAdds, summarise(graph).multiplyAdds, name)
    t.strictSame(
      test.outputs.map(o => test.types.get(o)!.shape),
      graph.outputs.map(o => graph.types.get(o)!.shape),
      name
    )
    t.strictSame([...test.auxiliary.values()], [...graph.auxiliary.values()], name)
    t.equal(printText(parseNet(text, name)), text, name)
  }
})

t.test('what Caffe cannot express is refused by the layer’s name', async t => {
  const wrong: [Model, RegExp][] = [
    [describeModel('gpt-nano', modelInput('gpt-nano')), /layer 'tokens' \(embedding\) .*no such layer/],
    [describeModel('resnet20', modelInput('resnet20')), /layer 'stage2\.1\.every' \(subsample\)/],
    [{ input: [4], layers: [{ type: 'innerProduct', name: 'a', outputs: 3, activation: 'gelu' }] }, /'a' .*no activation 'gelu'/],
    [{ input: [4], layers: [{ type: 'innerProduct', name: 'a', outputs: 'classes' }] }, /'a' .*say how many/],
    [{ layers: [{ type: 'relu' }] }, /give the description an input/]
  ]
  for (const [model, message] of wrong) t.throws(() => netOf(model), { name: 'InvalidParametersError', message })
})

t.test('multiply-adds are the published ones', async t => {
  const counts = { alexnet: 724_406_816, resnet18: 1_814_073_344, resnet50: 4_089_184_256, 'mobilenet-v2': 300_774_272, lenet: 2_293_000 }
  for (const [name, count] of Object.entries(counts)) t.equal(summarise(buildModel(name, modelInput(name))).multiplyAdds, count, name)
})

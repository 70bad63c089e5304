import t from 'tap'
import { buildModel, initialise, modelInput, modelNames, parameterLayout } from '../../models/index.ts'

const mnist = { shape: [1, 28, 28], classes: 10 }
const cifar = { shape: [3, 32, 32], classes: 10 }

/** Published counts: of Caffe's model files, He 2015 (0.27 million), PyTorch's model zoo, char-rnn's log, minGPT (0.09 million without the head). */
const counts: Record<string, number> = {
  lenet: 431_080,
  mlp: 784 * 1024 + 1024 + 1024 * 1024 + 1024 + 10 * 1024 + 10,
  'cifar10-quick': 145_578,
  'cifar10-full': 89_578,
  alexnet: 60_965_224,
  googlenet: 13_378_280,
  resnet20: 269_722,
  resnet18: 11_689_512,
  resnet50: 25_557_032,
  'mobilenet-v2': 3_504_872,
  'char-lstm': 240_321,
  'gpt-nano': 3 * (12 * 48 * 48 + 13 * 48) + 2 * 48 + 64 * 48 + 2 * 65 * 48
}

t.test('models have the parameters that their descriptions count', async t => {
  t.strictSame(Object.keys(counts).sort(), [...modelNames].sort())
  for (const name of modelNames) t.equal(parameterLayout(buildModel(name, modelInput(name))).total, counts[name], name)
})

t.test(
  'without its head gpt-nano for three tokens and eleven positions has the 85,584 parameters that minGPT prints as 0.09 million',
  async t => {
    const { total, parameters } = parameterLayout(buildModel('gpt-nano', { shape: [11], classes: 3 }))
    t.equal(total - parameters.find(p => p.name === 'head.weight')!.size, 85_584)
  }
)

t.test('auxiliary classifiers are outputs with a weight', async t => {
  const graph = buildModel('googlenet', modelInput('googlenet'))
  t.strictSame(graph.outputs, ['logits', 'loss1/classifier', 'loss2/classifier'])
  t.strictSame(
    [...graph.auxiliary],
    [
      ['loss1/classifier', 0.3],
      ['loss2/classifier', 0.3]
    ]
  )
})

t.test('a layout lists parameters in the order of the forward graph, without gaps', async t => {
  const { parameters, total } = parameterLayout(buildModel('lenet', mnist))
  t.strictSame(
    parameters.map(p => p.name),
    ['conv1', 'conv2', 'ip1', 'ip2'].flatMap(l => [`${l}.weight`, `${l}.bias`])
  )
  let offset = 0
  for (const p of parameters) {
    t.equal(p.offset, offset)
    offset += p.size
  }
  t.equal(offset, total)
  t.strictSame(
    parameters.map(p => p.lrMult),
    [1, 2, 1, 2, 1, 2, 1, 2]
  )
  t.ok(parameters.every(p => p.decayMult === 1))
})

t.test('models take other samples and numbers of classes', async t => {
  for (const name of modelNames) {
    const { shape } = modelInput(name)
    const graph = buildModel(name, { shape, classes: 7 })
    t.strictSame(graph.types.get(graph.outputs[0])?.shape, shape.length === 1 ? ['N', ...shape, 7] : ['N', 7], name)
    if (shape.length === 1) continue
    const larger = buildModel(name, { shape: [3, 256, 240], classes: 7 })
    t.strictSame(larger.types.get(larger.outputs[0])?.shape, ['N', 7], name)
  }
  const tanh = buildModel('mlp', { shape: [2, 3, 1], classes: 4 }, { activation: 'tanh', hidden: [5] })
  t.equal(parameterLayout(tanh).total, 6 * 5 + 5 + 5 * 4 + 4)
  t.ok(tanh.nodes.some(n => n.op === 'Tanh'))
})

t.test('pooling of CIFAR-10 quick rounds up: 32, 16, 8, 4', async t => {
  const graph = buildModel('cifar10-quick', cifar)
  const pools = graph.nodes.filter(n => n.op.endsWith('Pool')).map(n => graph.types.get(n.outputs[0])!.shape.slice(2))
  t.strictSame(pools, [
    [16, 16],
    [8, 8],
    [4, 4]
  ])
})

t.test('unknown models, impossible samples and classes are refused by name', async t => {
  t.throws(() => buildModel('lenet5', mnist), { name: 'InvalidParametersError', message: /'lenet5'.*lenet, mlp/ })
  t.throws(() => buildModel('lenet', { shape: [1, 8, 8], classes: 10 }), { name: 'InvalidParametersError', message: /lenet.*\[1, 8, 8\]/ })
  t.throws(() => buildModel('mlp', { shape: [1, 8, 8], classes: 1 }), { name: 'InvalidParametersError' })
  t.throws(() => buildModel('mlp', { shape: [0, 8, 8], classes: 2 }), { name: 'InvalidParametersError' })
})

t.test('first values depend on the seed and the name of the parameter only', async t => {
  const layout = parameterLayout(buildModel('lenet', mnist))
  const [a, b, c] = [1, 1, 2].map(seed => {
    const arena = new Float32Array(layout.total)
    initialise(layout, seed, arena)
    return arena
  })
  t.strictSame(a, b)
  t.notSame(a.subarray(0, 20), c.subarray(0, 20))
  const wider = parameterLayout(buildModel('lenet', { shape: [1, 28, 28], classes: 20 }))
  const other = new Float32Array(wider.total)
  initialise(wider, 1, other)
  t.strictSame(other.subarray(0, 500), a.subarray(0, 500), 'conv1 is the same in a model with another head')
  t.throws(() => initialise(layout, 1, new Float32Array(10)), { name: 'InvalidParametersError' })
})

t.test('fillers give the distributions that Caffe gives', async t => {
  const layout = parameterLayout(buildModel('cifar10-quick', cifar))
  const arena = new Float32Array(layout.total)
  initialise(layout, 3, arena)
  const of = (name: string) => {
    const p = layout.parameters.find(p => p.name === name)!
    return arena.subarray(p.offset, p.offset + p.size)
  }
  const std = (x: Float32Array) => Math.sqrt(x.reduce((s, v) => s + v * v, 0) / x.length)
  t.ok(Math.abs(std(of('conv2.weight')) / 0.01 - 1) < 0.05)
  t.ok(Math.abs(std(of('ip1.weight')) / 0.1 - 1) < 0.05)
  t.ok(of('conv1.bias').every(v => v === 0))
  const lenet = parameterLayout(buildModel('lenet', mnist))
  const values = new Float32Array(lenet.total)
  initialise(lenet, 3, values)
  const conv1 = values.subarray(0, 500)
  const bound = Math.sqrt(3 / 25)
  t.ok(conv1.every(v => Math.abs(v) <= bound))
  t.ok(Math.max(...conv1) > 0.95 * bound)
})

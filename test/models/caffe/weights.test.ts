import t from 'tap'
import { createRng } from '../../../common/index.ts'
import { caffeModel, parseNet } from '../../../models/caffe/index.ts'
import { message } from '../../../models/caffe/message.ts'
import { learnable, readSolverState, readWeights, useWeights, writeSolverState, writeWeights } from '../../../models/caffe/weights.ts'
import { encodeMessage } from '../../../models/caffe/wire.ts'
import { initialise, parameterLayout, stateLayout } from '../../../models/parameters.ts'
import { trainingGraph } from '../../../models/training.ts'
import { conv, data, ip, layer, softmaxLoss } from './nets.ts'

const text = [
  data(),
  conv('c', 'data', 4, 3, 'group: 1'),
  layer('b', 'BatchNorm', 'c', 'c'),
  layer('s', 'Scale', 'c', 'c', 'scale_param { bias_term: true }'),
  ip('x', 'c', 3),
  layer('twin', 'InnerProduct', 'c', 'y', 'param { name: "w" } param { name: "v" } inner_product_param { num_output: 3 }'),
  softmaxLoss('loss', 'x'),
  softmaxLoss('other', 'y', 0.1)
].join('')
const model = () => caffeModel(parseNet(text, 'net.prototxt'), { shape: [2, 6, 6] })

const seed = 3
const rng = createRng(seed)
const values = new Map<string, Float32Array>()
const value = (net: ReturnType<typeof model>) => (name: string) => {
  const { shape } = net.train.graph.parameters.get(name) ?? net.train.graph.states.get(name)!
  if (!values.has(name))
    values.set(
      name,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal())
    )
  return { shape, data: values.get(name)! }
}

t.test('weights that are written read back, in Caffe’s order of layers and blobs', async t => {
  const net = model()
  const bytes = Buffer.concat(writeWeights('small', net.train, value(net)))
  const read = readWeights(bytes, 'small.caffemodel')
  t.strictSame(
    [...read].map(([name, blobs]) => [name, blobs.map(b => b.shape)]),
    [
      ['c', [[4, 2, 3, 3], [4]]],
      ['b', [[4], [4], [1]]],
      ['s', [[4], [4]]],
      ['x', [[3, 64], [3]]],
      ['twin', [[3, 64], [3]]]
    ]
  )
  t.same(read.get('c')![0].data, values.get('c.weight'))
  t.same(learnable(net.train).slice(0, 5), ['c.weight', 'c.bias', 'b.mean', 'b.variance', 'b.factor'])

  const fresh = model()
  useWeights(fresh.train, [fresh.train.graph, fresh.graph], read, 'small.caffemodel')
  for (const [graph, layout] of [
    [fresh.train.graph, parameterLayout(fresh.train.graph)],
    [fresh.train.graph, stateLayout(fresh.train.graph)],
    [fresh.graph, stateLayout(fresh.graph)]
  ] as const) {
    const arena = new Float32Array(layout.total)
    initialise(layout, 1, arena)
    for (const p of layout.parameters) t.same(arena.subarray(p.offset, p.offset + p.size), values.get(p.name), `${p.name} of ${graph.name}`)
  }
  const frozen = trainingGraph(fresh.train.graph, { ...fresh.training, freeze: ['c.*'] })
  t.notOk(
    frozen.layout.parameters.some(p => p.name.startsWith('c.')),
    'what has values can be frozen'
  )
})

t.test('older files: four dimensions, V1 layers, doubles', async t => {
  const blob = (shape: number[], n: number) => {
    const [num, channels, height, width] = shape
    return message('BlobProto')
      .set('num', num)
      .set('channels', channels)
      .set('height', height)
      .set('width', width)
      .set('data', new Float32Array(n).fill(2))
  }
  const ipLayer = message('V1LayerParameter').set('name', 'x').set('type', 'INNER_PRODUCT')
  const net = message('NetParameter').set('layers', [ipLayer.set('blobs', [blob([1, 1, 3, 64], 192), blob([1, 1, 1, 3], 3)])])
  const fresh = model()
  useWeights(fresh.train, [fresh.train.graph], readWeights(Buffer.concat(encodeMessage(net)), 'old'), 'old')
  t.equal(fresh.train.graph.parameters.get('x.weight')!.filler.type, 'given')
  t.equal(fresh.train.graph.parameters.get('c.weight')!.filler.type, 'xavier', 'other layers keep their fillers')
  const doubles = message('BlobProto')
    .set('shape', message('BlobShape').set('dim', [2]))
    .set('double_data', [1.5, 2.5])
  const other = message('NetParameter').set('layer', [message('LayerParameter').set('name', 'd').set('blobs', [doubles])])
  t.same([...readWeights(Buffer.concat(encodeMessage(other)), 'd').get('d')![0].data], [1.5, 2.5])
})

t.test('weights that do not fit are refused by name', async t => {
  const layerOf = (name: string, shapes: number[][]) => {
    const blobs = shapes.map(shape =>
      message('BlobProto')
        .set('shape', message('BlobShape').set('dim', shape))
        .set('data', new Float32Array(shape.reduce((a, b) => a * b, 1)))
    )
    return Buffer.concat(
      encodeMessage(message('NetParameter').set('layer', [message('LayerParameter').set('name', name).set('blobs', blobs)]))
    )
  }
  const refused = (bytes: Uint8Array, expected: RegExp) => {
    const fresh = model()
    t.throws(() => useWeights(fresh.train, [fresh.train.graph], readWeights(bytes, 'w.caffemodel'), 'w.caffemodel'), {
      exitCode: 2,
      message: expected
    })
  }
  refused(layerOf('x', [[3, 63], [3]]), /^w\.caffemodel: blob 0 of layer 'x' is \[3, 63\] and the net's \[3, 64\]/)
  refused(layerOf('x', [[3, 64]]), /layer 'x' has 1 blobs there and 2 in the net/)
  refused(layerOf('z', [[3, 64]]), /none of its layers is in the net/)
  refused(new Uint8Array(0), /holds no layer with weights/)
  refused(Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d), /is an HDF5 file; have Caffe write it with snapshot_format: BINARYPROTO/)
  const short = message('BlobProto')
    .set('shape', message('BlobShape').set('dim', [1e9, 1e9]))
    .set('data', new Float32Array(3))
  refused(
    Buffer.concat(encodeMessage(message('NetParameter').set('layer', [message('LayerParameter').set('name', 'x').set('blobs', [short])]))),
    /blob 0 of layer 'x' has the shape .* and 3 values/
  )
})

t.test('a solver’s state reads back', async t => {
  const state = {
    iter: 4000,
    learnedNet: 'quick_iter_4000.caffemodel',
    currentStep: 2,
    history: [{ shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }]
  }
  t.same(readSolverState(Buffer.concat(writeSolverState(state)), 's'), state)
  t.throws(() => readSolverState(Buffer.from('0a', 'hex'), 's'), { name: 'MalformedError', message: /^s: / })
  t.throws(() => readSolverState(new Uint8Array(0), 's.solverstate'), {
    name: 'MalformedError',
    message: /^s\.solverstate names no iteration/
  })
})

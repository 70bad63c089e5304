import t from 'tap'
import { createRng, GradmeshError } from '../../../common/index.ts'
import { type CaffeInput, caffeModel, parseNet } from '../../../models/caffe/index.ts'
import { layerTypes } from '../../../models/caffe/layers/index.ts'
import { parameterLayout } from '../../../models/parameters.ts'
import { trainingGraph, trainingParts } from '../../../models/training.ts'
import { buildModel } from '../../../models/zoo/index.ts'
import { assertClose, normal, runOrt } from '../reference/check.ts'
import { ref } from '../reference/tensor.ts'
import { blobOf, prepare } from './check.ts'
import { caffeFile, needsCaffeFiles } from './files.ts'
import { alexnet, conv, data, googlenet, ip, layer, lenet, quick, softmaxLoss } from './nets.ts'

const seed = 60
const total = (text: string, input: CaffeInput) => parameterLayout(caffeModel(parseNet(text, 'net.prototxt'), input).train.graph).total
const grey = { shape: [1, 28, 28] }
const small = { shape: [3, 32, 32], mean: () => new Float32Array(3 * 32 * 32) }
const large = { shape: [3, 256, 256], mean: () => new Float32Array(3 * 256 * 256) }

t.test('nets have as many parameters as Caffe gives them', async t => {
  t.equal(total(lenet(), grey), 431_080)
  t.equal(total(quick(), small), 145_578)
  t.equal(total(alexnet(), large), 60_965_224)
  t.equal(total(googlenet(), large), 13_378_280)
})

t.test("Caffe's own nets have as many, and as many layers in each phase", needsCaffeFiles, async t => {
  t.equal(total(caffeFile('mnist/lenet_train_test.prototxt'), grey), 431_080)
  t.equal(total(caffeFile('cifar10/cifar10_quick_train_test.prototxt'), small), 145_578)
  t.equal(total(caffeFile('bvlc_alexnet/train_val.prototxt'), large), 60_965_224)
  const google = caffeModel(parseNet(caffeFile('bvlc_googlenet/train_val.prototxt'), 'googlenet'), large)
  t.equal(parameterLayout(google.train.graph).total, 13_378_280)
  t.strictSame(google.graph.outputs, ['loss3/classifier', 'loss2/classifier', 'loss1/classifier'])
  t.equal(google.test.layers.length - google.train.layers.length, 6, 'three heads, two accuracies each')
})

t.test("LeNet from Caffe's net is the LeNet of the zoo", needsCaffeFiles, async t => {
  const ours = buildModel('lenet', { shape: [1, 28, 28], classes: 10 })
  const theirs = caffeModel(parseNet(caffeFile('mnist/lenet_train_test.prototxt'), 'lenet'), {
    ...grey,
    scaling: { mean: [0], scale: 1 / 256 }
  })
  t.strictSame(
    theirs.train.graph.nodes.map(n => n.op),
    ours.nodes.map(n => n.op)
  )
  const strip = (graph: typeof ours) => parameterLayout(graph).parameters.map(({ filler, ...rest }) => ({ ...rest, filler: filler.type }))
  t.same(strip(theirs.train.graph), strip(ours))
})

t.test('factors of rate and decay are 1 where nothing is said, for biases too', async t => {
  const text =
    data() +
    layer('x', 'InnerProduct', 'data', 'x', 'param { decay_mult: 0 } inner_product_param { num_output: 2 }') +
    softmaxLoss('loss', 'x')
  const { parameters } = parameterLayout(caffeModel(parseNet(text, 'n'), { shape: [4] }).train.graph)
  t.strictSame(
    parameters.map(p => [p.name, p.lrMult, p.decayMult, p.filler]),
    [
      ['x.weight', 1, 0, { type: 'constant', value: 0 }],
      ['x.bias', 1, 1, { type: 'constant', value: 0 }]
    ]
  )
})

t.test('fillers', async t => {
  const filler = (text: string) => {
    const net =
      data() +
      layer('x', 'InnerProduct', 'data', 'x', `inner_product_param { num_output: 2 weight_filler { ${text} } }`) +
      softmaxLoss('loss', 'x')
    return parameterLayout(caffeModel(parseNet(net, 'net.prototxt'), { shape: [4] }).train.graph).parameters[0].filler
  }
  t.strictSame(filler(''), { type: 'constant', value: 0 })
  t.strictSame(filler('type: "gaussian"'), { type: 'gaussian', mean: 0, std: 1 })
  t.strictSame(filler('type: "gaussian" std: 0.5 sparse: 3'), { type: 'gaussian', mean: 0, std: 0.5, sparse: 3 })
  t.strictSame(filler('type: "xavier" variance_norm: AVERAGE'), { type: 'xavier', norm: 'average' })
  t.strictSame(filler('type: "uniform" min: -1'), { type: 'uniform', min: -1, max: 1 })
  t.throws(() => filler('type: "orthogonal"'), {
    name: 'InvalidParametersError',
    message: /^net\.prototxt:\d+:\d+: there is no filler 'orthogonal'/
  })
})

t.test('what cannot be trained is refused by place, layer and reason', async t => {
  const refused = (text: string, message: RegExp, shape = [3, 8, 8]) =>
    t.throws(() => trainingOf(text, shape), { message, exitCode: 2 }, text.slice(0, 120))
  const trainingOf = (text: string, shape: number[]) => {
    const model = caffeModel(parseNet(text, 'net.prototxt'), { shape })
    return trainingGraph(model.train.graph, model.training)
  }
  const end = ip('x', 'y', 3) + softmaxLoss('loss', 'x')
  const with_ = (type: string, rest = '', bottom = 'data') => data() + layer('y', type, bottom, 'y', rest) + end
  refused(with_('SPP'), /^net\.prototxt:2:7: layer 'y' is of type 'SPP', which cannot be trained; known are .*Convolution/)
  refused(with_('ReLU', '', 'conv9'), /layer 'y' reads 'conv9', which no layer before it makes in phase TRAIN/)
  refused(with_('Convolution'), /^net\.prototxt:2:7: layer 'y' of type Convolution: 'kernel_size' is missing/)
  refused(with_('Convolution', 'convolution_param { kernel_size: 3 }'), /'num_output' must be 1 or more/)
  refused(
    with_('Convolution', 'convolution_param { num_output: 2 kernel_size: 3 group: 2 }'),
    /3 channels and 2 outputs cannot be parted into 2 groups/
  )
  refused(with_('Convolution', 'convolution_param { num_output: 2 kernel_size: 3 kernel_h: 3 }'), /'kernel_size' and 'kernel_h'/)
  refused(with_('Convolution', 'convolution_param { num_output: 2 kernel_size: 9 }'), /larger than the input/)
  refused(with_('Pooling', 'pooling_param { pool: STOCHASTIC kernel_size: 2 }'), /stochastic/)
  refused(with_('Pooling', 'pooling_param { kernel_size: 2 pad: 2 }'), /pad 2 must be smaller/)
  refused(with_('Pooling', 'pooling_param { kernel_size: 1 stride: 5 }'), /would begin behind/)
  refused(with_('LRN', 'lrn_param { local_size: 4 }'), /local_size must be odd/)
  refused(with_('Dropout', 'dropout_param { dropout_ratio: 1 }'), /dropout_ratio/)
  refused(with_('Concat', 'concat_param { axis: 0 }'), /the size of the batch/)
  refused(with_('Concat', 'concat_param { axis: 4 }'), /axis 4/)
  refused(with_('Slice', 'slice_param { axis: 0 }'), /samples of a batch/)
  refused(with_('Reshape', 'reshape_param { shape { dim: 64 dim: -1 } }'), /fixes the size of the batch/)
  refused(with_('Reshape', 'reshape_param { shape { dim: -1 dim: 7 } }'), /a sample of \[3, 8, 8\] cannot take the shape \[7\]/)
  refused(with_('Eltwise'), /of type Eltwise has 1 bottoms and takes 2 or more/)
  refused(data() + ip('x', 'data', 3) + ip('x', 'x', 4) + softmaxLoss('loss', 'x'), /another layer of this phase has its name/)
  refused(
    data() + layer('y', 'Eltwise', ['data', 'label'], 'y') + ip('x', 'y', 2) + softmaxLoss('loss', 'x'),
    /computes nothing that a loss/
  )
  refused(
    data() + ip('z', 'data', 2) + softmaxLoss('z', 'z') + layer('y', 'PReLU', 'label', 'y', 'prelu_param { channel_shared: true }'),
    /depends on the labels/
  )
  refused(ip('x', 'data', 2), /no layer brings data in phase TRAIN/)
  refused(data() + layer('more', 'Data', [], 'more') + end, /'more' is a third input/)
  const share = (spec: string) => `param { name: "w" ${spec} } inner_product_param { num_output: 3 bias_term: false }`
  const twice = (spec: string) =>
    data() +
    layer('a', 'InnerProduct', 'data', 'a', share('')) +
    layer('b', 'InnerProduct', 'a', 'b', share(spec)) +
    softmaxLoss('loss', 'b')
  refused(twice(''), /shares 'w' of shape \[3, 192\] and needs \[3, 3\]/)
  refused(twice('share_mode: PERMISSIVE'), /shares 'w'/)
  refused(data() + conv('y', 'data', 3, 3, 'axis: 2') + end, /only axis 1/)
  refused(data() + conv('x', 'data', 3, 3) + softmaxLoss('loss', 'x'), /a label an element is not known/)
})

t.test('damaged nets are refused by a known error or converted, never anything else', async t => {
  const random = createRng(seed)
  const pick = <T>(list: readonly T[]): T => list[random.int(list.length)]
  const whole = [lenet(), quick(), alexnet().replace('crop_size: 227', 'crop_size: 20')]
  const numbers = ['0', '1', '2', '-1', '3', '7', '65536', '999999999', '2147483648', '4503599627370496', '0.5', 'nan', 'inf']
  const words = [...layerTypes.map(type => `"${type}"`), '"data"', '"label"', '"c1"', '"p1"', '"f1"', '"x"']
  let refused = 0
  for (let i = 0; i < 150; i++) {
    let text = pick(whole)
    for (let k = random.int(3); k >= 0; k--) {
      const at = random.int(3)
      const pattern = at === 0 ? /(?<=: )-?[\d.]+/g : at === 1 ? /(?<=: )"[^"]*"/g : /[a-z_]+(?=[:{ ])/g
      const places = [...text.matchAll(pattern)]
      const place = pick(places)
      const swap = at === 0 ? pick(numbers) : at === 1 ? pick(words) : pick(places)[0]
      text = text.slice(0, place.index) + swap + text.slice(place.index + place[0].length)
    }
    try {
      const model = caffeModel(parseNet(text, 'fuzz'), { shape: [3, 32, 32] })
      if (parameterLayout(model.train.graph).total < 1e6) trainingParts(model.train.graph, model.training)
    } catch (error) {
      refused++
      if (!(error instanceof GradmeshError) || error.message.includes('\n')) t.fail(`seed ${seed}, case ${i}: ${error}`, { text })
    }
  }
  t.ok(refused > 50, `seed ${seed}: ${refused} of 150 refused`)
})

t.test('a parameter that only the tested net has is refused', async t => {
  const extra = layer('t', 'InnerProduct', 'x', 'x', 'include { phase: TEST } inner_product_param { num_output: 3 }')
  const model = caffeModel(parseNet(data() + ip('x', 'data', 3) + extra + softmaxLoss('loss', 'x'), 'n'), { shape: [4] })
  t.throws(() => trainingGraph(model.train.graph, model.training), {
    message: /parameter 't.weight' of the graph that scores the test data/
  })
})

t.test('a data layer transforms bytes: mean, scale, and a crop from the middle in TEST', async t => {
  const x = normal(createRng(seed), [2, 3, 5, 6], 50)
  const end = ip('x', 'data', 2) + softmaxLoss('loss', 'x')
  const scaling = { mean: [10, 20, 30], scale: 1 / 32 }
  const input = { shape: [3, 5, 6], scaling, mean: () => Float32Array.from({ length: 90 }, (_, i) => i) }
  const run = async (transform: string) => {
    const { graph } = caffeModel(parseNet(data(transform) + end, 'n'), input)
    const last = graph.nodes.find(n => n.op === 'Flatten')?.inputs[0] ?? 'data'
    if (last === 'data') return x
    return (await runOrt({ ...graph, outputs: [last] }, new Map([...prepareValues(graph), ['data', x]]))).get(last)!
  }
  const prepareValues = (graph: ReturnType<typeof caffeModel>['graph']) =>
    [...graph.parameters.values()].map(p => [p.name, ref(p.shape)] as const)
  const byte = (n: number, c: number, i: number, j: number) => x.data[((n * 3 + c) * 5 + i) * 6 + j] * 32 + scaling.mean[c]
  const expected = (size: [number, number], value: (n: number, c: number, i: number, j: number) => number) => {
    const y = ref([2, 3, ...size])
    let at = 0
    for (let n = 0; n < 2; n++)
      for (let c = 0; c < 3; c++) for (let i = 0; i < size[0]; i++) for (let j = 0; j < size[1]; j++) y.data[at++] = value(n, c, i, j)
    return y
  }
  const means = [104, 117, 123]
  const values = means.map(m => `mean_value: ${m}`).join(' ')
  assertClose(
    'mean values',
    await run(values),
    expected([5, 6], (n, c, i, j) => byte(n, c, i, j) - means[c]),
    1e-4
  )
  assertClose(
    'one mean, scale',
    await run('mean_value: 7 scale: 0.5'),
    expected([5, 6], (n, c, i, j) => (byte(n, c, i, j) - 7) / 2),
    1e-4
  )
  const file = (c: number, i: number, j: number) => (c * 5 + i) * 6 + j
  const cropped = expected([3, 3], (n, c, i, j) => byte(n, c, i + 1, j + 1) - file(c, i + 1, j + 1))
  assertClose('mean file at uncropped places', await run('mean_file: "m" crop_size: 3'), cropped, 1e-4)
  const { graph } = caffeModel(parseNet(data('mean_value: [10, 20, 30] scale: 0.03125') + end, 'n'), input)
  t.equal(graph.nodes[0].op, 'Flatten', 'what the data does already is not done again')
})

t.test('in training crops and mirror images are drawn for each sample, whatever its batch', async t => {
  const x = ref(
    [4, 1, 4, 4],
    Array.from({ length: 64 }, (_, i) => i)
  )
  const net = data('crop_size: 3 mirror: true').replace('top: "label"', 'top: "label" include { phase: TRAIN }')
  const test = data('crop_size: 3').replace('top: "label"', 'top: "label" include { phase: TEST }')
  const text = net + test + layer('y', 'Split', 'data', 'y') + ip('x', 'y', 2) + softmaxLoss('loss', 'x')
  const seen = new Set<string>()
  let alone: number[] = []
  for (let s = 0; s < 40; s++) {
    const { model, feeds } = prepare({ net: text, data: x, labels: [0, 0, 0, 0], seed: s })
    const graph = model.train.graph
    const name = graph.nodes.find(n => n.op === 'Flatten')!.inputs[0]
    const y = (await runOrt({ ...graph, outputs: [name] }, feeds)).get(name)!
    for (let n = 0; n < 4; n++) {
      const own = [...y.data.subarray(9 * n, 9 * n + 9)].map(v => v - 16 * n)
      const mirrored = own[1] < own[0]
      const rows = [0, 1, 2].map(i => own.slice(3 * i, 3 * i + 3)).map(r => (mirrored ? r.reverse() : r))
      const corner = rows[0][0]
      t.strictSame(
        rows.flat(),
        [0, 1, 2].flatMap(i => [0, 1, 2].map(j => corner + 4 * i + j)),
        `seed ${s}, sample ${n}`
      )
      seen.add(`${corner} ${mirrored}`)
    }
    if (s === 0) alone = [...y.data.subarray(18, 27)].map(v => v - 32)
  }
  t.equal(seen.size, 8, 'four corners, each of both kinds')
  const one = prepare({ net: text, data: ref([1, 1, 4, 4], x.data.subarray(0, 16)), labels: [0], seed: 0 })
  one.feeds.set('samples', ref([1], [14]))
  const graph = one.model.train.graph
  const name = graph.nodes.find(n => n.op === 'Flatten')!.inputs[0]
  t.strictSame([...(await runOrt({ ...graph, outputs: [name] }, one.feeds)).get(name)!.data], alone, 'the third sample by itself')
})

t.test('a transformation that does not fit is refused by name', async t => {
  const refused = (transform: string, message: RegExp, input: CaffeInput = { shape: [3, 8, 8] }) =>
    t.throws(() => caffeModel(parseNet(data(transform) + ip('x', 'data', 2) + softmaxLoss('loss', 'x'), 'net.prototxt'), input), {
      name: 'InvalidParametersError',
      message
    })
  refused('crop_size: 9', /^net\.prototxt:1:7: layer 'data': crop_size 9 is larger than the samples of 3×8×8/)
  refused('mean_file: "m.binaryproto"', /mean_file 'm.binaryproto' is not there/)
  refused('mean_file: "m" mean_value: 1', /give one of the two/)
  refused('mean_value: 1 mean_value: 2', /2 'mean_value's do not go with 3 channels/)
  refused('mirror: true', /mirror in phase TEST/)
  refused('force_gray: true', /force_gray/)
  refused('force_color: true', /force_color/, { shape: [1, 8, 8] })
  const memory = layer(
    'data',
    'MemoryData',
    [],
    ['data', 'label'],
    'source_class: "com.yahoo.ml.caffe.LMDB" memory_data_param { source: "s" batch_size: 2 channels: 1 height: 28 width: 28 share_in_parallel: false }'
  )
  const net = parseNet(memory + ip('x', 'data', 2) + softmaxLoss('loss', 'x'), 'net.prototxt')
  t.throws(() => caffeModel(net, { shape: [3, 8, 8] }), { message: /declares samples of 1×28×28 and the data gives 3×8×8/ })
  t.doesNotThrow(() => caffeModel(net, grey))
})

t.test('an older net with Input and a net with states', async t => {
  const old =
    'name: "old" input: "img" input_dim: 10 input_dim: 1 input_dim: 4 input_dim: 4 layers { name: "x" type: INNER_PRODUCT bottom: "img" top: "x" inner_product_param { num_output: 3 } }'
  const { train } = caffeModel(parseNet(old, 'old'), { shape: [1, 4, 4] })
  t.strictSame([train.graph.inputs, train.graph.outputs], [['img'], ['x']])
  t.equal(parameterLayout(train.graph).total, 51)
  const staged = `state { level: 1 } ${data()}${layer('x', 'InnerProduct', 'data', 'x', 'include { min_level: 1 } inner_product_param { num_output: 2 }')}${softmaxLoss('loss', 'x')}`
  t.equal(parameterLayout(caffeModel(parseNet(staged, 'n'), { shape: [3] }).train.graph).total, 8)
})

t.test('blobs are named as in the net, values written in place after their layer', async t => {
  const { model } = prepare({ net: lenet(), data: ref([1, 1, 28, 28]) })
  t.ok(['c1', 'p1', 'f1', 'f1/relu/f1', 'f2'].every(name => model.graph.types.has(name)))
  t.strictSame(
    [...model.train.blobs],
    ['c1', 'c2', 'f1', 'f2'].map(l => [l, [`${l}.weight`, `${l}.bias`]])
  )
  t.strictSame((await blobOf({ net: lenet(), data: ref([2, 1, 28, 28]) }, 'f2')).shape, [2, 10])
})

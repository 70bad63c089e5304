import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  checkModel,
  modelNotes,
  modelSettings,
  openModel,
  prepareModel,
  type TrainedState
} from '../../../../actors/training/model/index.ts'
import { writeRestored } from '../../../../actors/training/model/restore.ts'
import type { OptimizerSpec } from '../../../../actors/training/optimizers/index.ts'
import { readSafetensors } from '../../../../actors/training/trainer/safetensors.ts'
import type { Split } from '../../../../datasets/index.ts'
import { initialise, readSolverState } from '../../../../models/index.ts'

const data = { shape: [1, 6, 6], classes: 3, scaling: { mean: [0], scale: 1 / 256 } }

const source = (phase: string, batch: number, transform: string) => `layer { name: "data" type: "Data" top: "data" top: "label"
  include { phase: ${phase} } transform_param { ${transform} } data_param { source: "some/lmdb" batch_size: ${batch} } }`
const rest = `layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }`
const net = (transform = '') => `${source('TRAIN', 16, transform)}\n${source('TEST', 50, transform)}\n${rest}`

const solver = `net: "examples/small/net.prototxt" test_iter: 4 test_interval: 10 base_lr: 0.1 momentum: 0.9 weight_decay: 0.004
lr_policy: "multistep" gamma: 0.1 stepvalue: 20 max_iter: 30 display: 5 snapshot: 15 iter_size: 2 clip_gradients: 8 random_seed: 7`

async function folder(t: Test, files: Record<string, string>): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'gradmesh-caffe-'))
  t.teardown(() => rm(made, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(made, name, '..'), { recursive: true })
    await writeFile(join(made, name), text)
  }
  return made
}

t.test('a solver says how a job is trained, iterations being steps', async t => {
  const path = await folder(t, { 'examples/small/net.prototxt': net(), 'examples/small/solver.prototxt': solver })
  t.same(await modelSettings(join(path, 'examples/small/solver.prototxt')), {
    batch: 16,
    epochs: 1_000_000,
    steps: 30,
    lr: 0.1,
    optimizer: { name: 'sgd', form: 'caffe', momentum: 0.9, weightDecay: 0.004, clipNorm: 4 },
    schedule: { policy: 'multistep', gamma: 0.1, stepValues: [20] },
    accumulate: 2,
    logEvery: 5,
    checkpointEvery: 15,
    evaluateEvery: 10,
    evaluateFirst: true,
    evaluateSamples: 200,
    seed: 7
  })
  t.same(await modelSettings(join(path, 'examples/small/net.prototxt')), { batch: 16 }, 'a net alone says its batch')
})

t.test('every solver type becomes an optimizer', async t => {
  const optimizer = async (text: string) => {
    const path = await folder(t, {
      'net.prototxt': net(),
      's.prototxt': `net: "net.prototxt" base_lr: 1 max_iter: 9 lr_policy: "fixed" ${text}`
    })
    return (await modelSettings(join(path, 's.prototxt'))).optimizer
  }
  t.same(await optimizer('type: "Nesterov" momentum: 0.5'), { name: 'sgd', form: 'caffe', momentum: 0.5, nesterov: true })
  t.same(await optimizer('weight_decay: 0.1 regularization_type: "L1"'), { name: 'sgd', form: 'caffe', momentum: 0, l1: 0.1 })
  t.same(await optimizer('type: "AdaGrad" delta: 1e-3'), { name: 'adagrad', epsilon: 1e-3 })
  t.same(await optimizer('type: "RMSProp" rms_decay: 0.5'), { name: 'rmsprop', rho: 0.5, epsilon: 1e-8 })
  t.same(await optimizer('type: "AdaDelta" momentum: 0.95'), { name: 'adadelta', rho: 0.95, epsilon: 1e-8 })
  t.same(await optimizer('type: "Adam" momentum: 0.8'), { name: 'adam', form: 'caffe', beta1: 0.8, beta2: 0.999, epsilon: 1e-8 })
})

t.test('a solver and its net travel together and open on any node', async t => {
  const path = await folder(t, { 'a/net.prototxt': net('scale: 0.00390625'), 'a/my solver.prototxt': solver })
  const spec = { model: join(path, 'a/my solver.prototxt') }
  const into = join(path, 'job', 'model')
  t.strictSame(await prepareModel({ spec, data }, into), ['my_solver.prototxt', 'net.prototxt'])
  t.strictSame((await readdir(into)).sort(), ['my_solver.prototxt', 'net.prototxt'])
  const { graph, training } = await openModel({ spec: { model: 'my_solver.prototxt' }, data }, into)
  t.strictSame(graph.outputs, ['ip'])
  t.equal(training.layout.total, 3 * 36 + 3)
  t.same(await modelNotes(spec.model), ["source 'some/lmdb': the data of --data takes its place"])
})

t.test('a mean file that is not there is the mean of the data', async t => {
  const path = await folder(t, { 'net.prototxt': net('mean_file: "mean.binaryproto"') })
  const train: Split = {
    count: 3,
    read(ids, into) {
      for (let i = 0; i < ids.length; i++) for (let k = 0; k < 36; k++) into[36 * i + k] = (k + 10 * ids[i]!) / 256
    }
  }
  const { graph } = await openModel({ spec: { model: 'net.prototxt' }, data: { ...data, train } }, path)
  const shift = [...graph.constants.values()].find(c => c.shape.join() === '1,1,6,6')!
  t.same(
    Array.from(shift.data as Float32Array),
    Array.from({ length: 36 }, (_, k) => -(k + 10))
  )
  t.match(await modelNotes(join(path, 'net.prototxt')), [/source/, /mean_file 'mean.binaryproto': the mean of that data/])
})

t.test('what is wrong is named by file, line and column', async t => {
  const refused = async (files: Record<string, string>, model: string, message: RegExp) => {
    const path = await folder(t, files)
    const spec = { model: join(path, model) }
    const opened = checkModel(spec).then(() => openModel({ spec: { model }, data }, path))
    await t.rejects(opened, { exitCode: 2, message })
  }
  await refused({ 'n.prototxt': `${net()}\nlayer {` }, 'n.prototxt', /n\.prototxt:7:7: the file ends before the '}'/)
  await refused(
    { 'n.prototxt': net('scales: 1') },
    'n.prototxt',
    /n\.prototxt:2:46: TransformationParameter has no field 'scales'; did you mean 'scale'/
  )
  await refused(
    { 'n.prototxt': net().replace('phase: TEST', 'phase: TSET') },
    'n.prototxt',
    /n\.prototxt:4:20: 'phase' takes one of TRAIN, TEST/
  )
  await refused({ 's.prototxt': solver }, 's.prototxt', /s\.prototxt:1:1: the net 'examples\/small\/net\.prototxt' is not there/)
  await refused(
    { 's.prototxt': solver, 'net.prototxt': 'layer { nam: "x" }' },
    's.prototxt',
    /net\.prototxt:1:9: LayerParameter has no field 'nam'/
  )
  await refused(
    { 's.prototxt': solver, 'net.prototxt': net().replace('InnerProduct', 'Python') },
    's.prototxt',
    /net\.prototxt:5:7: layer 'ip' is of type 'Python'/
  )
  await refused(
    { 'n.prototxt': net().replace('num_output: 3', 'num_output: 2') },
    'n.prototxt',
    /'ip' tells 2 classes apart and the data has 3/
  )
})

t.test('weights travel with their net, fill it, and come out of a checkpoint again', async t => {
  const path = await folder(t, {
    'net.prototxt': net(),
    's.prototxt': `${solver.replace('examples/small/', '')} snapshot_prefix: "out/small" weights: "first.caffemodel"`
  })
  const values = { 'ip.weight': new Float32Array(108).fill(2), 'ip.bias': Float32Array.of(1, 2, 3) }
  const value = (name: string) => values[name as keyof typeof values]
  const state: TrainedState = { step: 25, value, optimizer: [name => value(name).map(v => v / 2)] }
  const plain = await openModel({ spec: { model: 'net.prototxt' }, data }, path)
  t.strictSame(
    plain.snapshot!(state).map(f => f.name),
    ['net_iter_25.caffemodel', 'net_iter_25.solverstate']
  )
  await writeFile(join(path, 'first.caffemodel'), Buffer.concat(plain.snapshot!(state)[0]!.parts))

  const model = join(path, 's.prototxt')
  const { weights } = await modelSettings(model)
  t.equal(weights, join(path, 'first.caffemodel'))
  const into = join(path, 'job', 'model')
  t.strictSame(await prepareModel({ spec: { model, weights: weights! }, data }, into), ['s.prototxt', 'net.prototxt', 'weights.caffemodel'])
  const opened = await openModel({ spec: { model, weights: weights! }, data }, into)
  const arena = new Float32Array(opened.training.layout.total)
  initialise(opened.training.layout, 1, arena)
  t.same([...arena], [...values['ip.weight'], ...values['ip.bias']])
  const [caffemodel, solverstate] = opened.snapshot!(state)
  t.equal(caffemodel!.name, 'small_iter_25.caffemodel')
  t.match(readSolverState(Buffer.concat(solverstate!.parts), 's'), {
    iter: 25,
    learnedNet: 'small_iter_25.caffemodel',
    currentStep: 1,
    history: [{ shape: [3, 36] }, { shape: [3], data: Float32Array.of(0.5, 1, 1.5) }]
  })
  await t.rejects(checkModel({ model: 'lenet', weights: 'x' }), {
    name: 'InvalidParametersError',
    message: /--weights goes with a net of Caffe's/
  })
})

t.test('a snapshot of Caffe becomes a checkpoint, and one of another optimizer is refused', async t => {
  const path = await folder(t, { 'net.prototxt': net() })
  const values = { 'ip.weight': Float32Array.from({ length: 108 }, (_, i) => i), 'ip.bias': Float32Array.of(1, 2, 3) }
  const value = (name: string) => values[name as keyof typeof values]
  const { snapshot } = await openModel({ spec: { model: 'net.prototxt' }, data }, path)
  for (const { name, parts } of snapshot!({ step: 25, value, optimizer: [name => value(name).map(v => v / 2)] })) {
    await writeFile(join(path, name), Buffer.concat(parts))
  }
  const opened = await openModel({ spec: { model: 'net.prototxt' }, data }, path)
  const request = { path: join(path, 'net_iter_25.solverstate'), folder: join(path, 'made'), seed: 1, samples: 32, count: 100 }
  await writeRestored({ ...request, optimizer: { name: 'sgd', form: 'caffe', momentum: 0.9 } }, opened)
  const { tensors } = await readSafetensors(join(path, 'made', 'state.safetensors'))
  t.same(tensors.get('ip.weight')!.data, values['ip.weight'])
  t.same([...tensors.get('@optimizer')!.data].slice(108), [0.5, 1, 1.5])
  t.match(JSON.parse(await readFile(join(path, 'made', 'manifest.json'), 'utf8')), { step: 25, epoch: 6, position: 32 })
  const refused = (optimizer: OptimizerSpec, message: RegExp) =>
    t.rejects(writeRestored({ ...request, optimizer }, opened), { exitCode: 2, message })
  await refused({ name: 'adam' }, /another optimizer than adam: 1 tensors a parameter, not 2/)
  await refused({ name: 'sgd', momentum: 0.9 }, /take --optimizer-form caffe/)
  await rm(join(path, 'net_iter_25.caffemodel'))
  await refused({ name: 'sgd', form: 'caffe', momentum: 0.9 }, /the weights 'net_iter_25\.caffemodel' that it names are not there/)
})

t.test('another loss and frozen parameters', async t => {
  const path = await folder(t, { 'net.prototxt': net() })
  const { training } = await openModel({ spec: { model: 'net.prototxt', loss: 'mse' }, data }, path)
  t.same(training.inputs.labels, { name: 'labels', type: 'float32', shape: [3] })
  await t.rejects(openModel({ spec: { model: 'net.prototxt', freeze: ['ip.*'] }, data }, path), { message: /no values/ })
})

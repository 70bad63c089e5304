import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import {
  checkModel,
  labelsFor,
  type ModelContext,
  modelFileName,
  openModel,
  prepareModel,
  sourceOf
} from '../../../../actors/training/model/index.ts'
import { buildModel, exportModel, initialise, layers, loadOnnx, parameterLayout } from '../../../../models/index.ts'
import { ModelProtoSchema, StringStringEntryProtoSchema } from '../../../../models/onnx/pb/onnx_pb.ts'

const wrong = { name: 'InvalidParametersError', exitCode: 2 }
const data = { shape: [1, 8, 8], classes: 4 }

function file(classes = 4): Uint8Array {
  const graph = layers('net', [1, 8, 8])
    .convolution('conv', { outputs: 2, kernel: 3 })
    .relu('relu')
    .innerProduct('ip', { outputs: classes })
    .build('y')
  const layout = parameterLayout(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 1, arena)
  return exportModel(graph, layout, arena)
}

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'gradmesh-model-'))
  t.teardown(() => rm(made, { recursive: true }))
  return made
}

async function context(t: Test, bytes: Uint8Array, spec: Partial<ModelContext['spec']> = {}): Promise<ModelContext> {
  const path = join(await folder(t), 'my net.onnx')
  await writeFile(path, bytes)
  return { spec: { model: path, ...spec }, data }
}

t.test('a model file becomes a file of the job, from which any node opens the same model', async t => {
  const from = await context(t, file())
  const into = join(await folder(t), 'model')
  t.strictSame(await prepareModel(from, into), ['my_net.onnx'])
  t.strictSame(await readdir(into), ['my_net.onnx'])
  const carried: ModelContext = { ...from, spec: { ...from.spec, model: modelFileName(from.spec.model) } }
  const { graph, training } = await openModel(carried, into)
  t.strictSame([...graph.parameters.keys()], ['conv.weight', 'conv.bias', 'ip.weight', 'ip.bias'])
  t.equal(training.inputs.labels.type, 'int32')
})

t.test('external data travels inside the file', async t => {
  const model = fromBinary(ModelProtoSchema, file())
  const weights = model.graph!.initializer.find(i => i.name === 'ip.weight')!
  const raw = weights.rawData!
  const from = await context(t, new Uint8Array())
  await writeFile(join(from.spec.model, '..', 'weights.bin'), Buffer.concat([Buffer.alloc(16), raw]))
  weights.dataLocation = 1
  weights.rawData = undefined
  const entries = { location: 'weights.bin', offset: '16', length: String(raw.byteLength) }
  weights.externalData = Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }))
  await writeFile(from.spec.model, toBinary(ModelProtoSchema, model))
  const into = join(await folder(t), 'model')
  const [name] = await prepareModel(from, into)
  const graph = loadOnnx(await readFile(join(into, name!)))
  t.same(graph.parameters.get('ip.weight')!.filler, loadOnnx(file()).parameters.get('ip.weight')!.filler)
})

t.test('a model that does not fit its data, its loss or what is frozen is refused by the name the user gave', async t => {
  const refused = async (bytes: Uint8Array, spec: Partial<ModelContext['spec']>, message: RegExp, given = data) => {
    const from = await context(t, bytes, spec)
    await t.rejects(prepareModel({ ...from, data: given }, join(await folder(t), 'model')), { ...wrong, message })
  }
  await refused(file(), {}, /takes samples of \[1, 8, 8\] and the data has \[3, 8, 8\]/, { ...data, shape: [3, 8, 8] })
  await refused(file(3), {}, /tells 3 classes apart and the data has 4/)
  await refused(file(3), { loss: 'mse' }, /labels are float32 \[N, 3\]/)
  await refused(file(), { loss: 'hinge' }, /no loss is called 'hinge'/)
  await refused(file(), { loss: 'output:nothing' }, /no output 'nothing'; there are y/)
  await refused(file(), { freeze: ['nothing*'] }, /'nothing\*' matches no parameter/)
})

t.test('what is frozen is no parameter, and keeps its values in the exported model', async t => {
  const from = await context(t, file(), { freeze: ['conv.*'] })
  const into = join(await folder(t), 'model')
  await prepareModel(from, into)
  const { graph, training } = await openModel(from, into)
  t.strictSame(
    training.layout.parameters.map(p => p.name),
    ['ip.weight', 'ip.bias']
  )
  const trained = loadOnnx(exportModel(graph, training.layout, new Float32Array(training.layout.total)))
  t.same(trained.parameters.get('conv.weight')!.filler, loadOnnx(file()).parameters.get('conv.weight')!.filler)
  t.same(trained.parameters.get('ip.bias')!.filler, { type: 'given', values: new Float32Array(4) })
})

t.test('a sample may be flat, or have dimensions of 1 more or less', async t => {
  const flat = layers('flat', [64]).innerProduct('ip', { outputs: 4 }).build('y')
  const bytes = exportModel(flat, parameterLayout(flat), new Float32Array(260))
  const from = await context(t, bytes)
  await t.resolves(prepareModel(from, join(await folder(t), 'model')))
  await t.resolves(prepareModel({ ...from, data: { ...data, shape: [8, 8] } }, join(await folder(t), 'model')))
})

t.test('classes become the labels that a loss asks for', async t => {
  const labels = Int32Array.of(2, 0)
  const write = (type: 'int32' | 'int64' | 'float32', shape: number[]) => {
    const writer = labelsFor({ name: 'labels', type, shape }, data)
    const into = writer.allocate(2).fill(7)
    writer.write(labels, into)
    return into
  }
  t.same(write('int32', []), labels)
  t.same(write('int64', [1]), labels)
  t.same(write('float32', [4]), Float32Array.of(0, 0, 1, 0, 1, 0, 0, 0))
  t.same(write('float32', [1]), Float32Array.of(2, 0))
  t.throws(() => write('int32', [5]), wrong)
})

t.test('a description travels as it is, and takes the shape and the classes of the data', async t => {
  const path = join(await folder(t), 'net.yaml')
  await writeFile(
    path,
    'layers: [{type: convolution, outputs: 2, kernel: 3, weight: {filler: msra}}, {type: innerProduct, outputs: classes}]'
  )
  const from: ModelContext = { spec: { model: path }, data }
  const into = join(await folder(t), 'model')
  t.strictSame(await prepareModel(from, into), ['net.yaml'])
  const { graph } = await openModel(from, into)
  t.strictSame(graph.types.get('logits')?.shape, ['N', 4])
  t.equal(graph.parameters.get('convolution1.weight')?.filler.type, 'msra')
  await writeFile(path, 'layers:\n  - {type: convolution, outputs: 2, kernel: 9}')
  const message = new RegExp(`^${path}:2:5: layer 'convolution1' does not fit its input: .*window`)
  await t.rejects(prepareModel(from, join(await folder(t), 'model')), { ...wrong, message })
})

t.test('names of the zoo are no files, and a wrong name or file is told before anything starts', async t => {
  t.equal(sourceOf('lenet'), undefined)
  t.not(sourceOf('dir/Net.ONNX'), undefined)
  t.equal(modelFileName('/a b/..net (1).onnx'), '_.net__1_.onnx')
  await t.resolves(checkModel({ model: 'mlp?hidden=8' }))
  await t.rejects(checkModel({ model: 'nothing' }), { ...wrong, message: /'nothing'.*a model's file/ })
  await t.rejects(checkModel({ model: 'lenet', loss: 'hinge' }), wrong)
  await t.rejects(checkModel({ model: '/nowhere/net.onnx' }), { ...wrong, message: /\/nowhere\/net.onnx cannot be read/ })
  const { spec } = await context(t, file().subarray(0, 500))
  await t.rejects(checkModel(spec), {
    name: 'MalformedError',
    exitCode: 2,
    message: new RegExp(`^${spec.model}: .*cut off after 500 bytes`)
  })
  const { graph } = await openModel({ spec: { model: 'lenet' }, data: { shape: [1, 28, 28], classes: 10 } }, '')
  t.same([...graph.parameters.keys()], [...buildModel('lenet', { shape: [1, 28, 28], classes: 10 }).parameters.keys()])
})

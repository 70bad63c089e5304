// What a user sees of models' files: of one that is no sound model, one line that names the file and the place, and exit code 2.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import { jobSpec } from '../../cli/job-spec.ts'
import { AttributeProtoSchema, type ModelProto, ModelProtoSchema, StringStringEntryProtoSchema } from '../../models/onnx/pb/onnx_pb.ts'
import { network } from '../actors/training/model/network.ts'
import { embedder, goodFiles, goodRun } from './fake-node.ts'
import { TestWorld } from './world.ts'

const sound = network()

function damaged(change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, sound)
  change(model)
  return toBinary(ModelProtoSchema, model)
}

/** The weights of the convolution in another file. */
function external(location: string): Uint8Array {
  return damaged(model => {
    const tensor = model.graph!.initializer.find(i => i.name === 'conv.w')!
    tensor.rawData = undefined
    tensor.dataLocation = 1
    tensor.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: location })]
  })
}

async function refused(t: Test, bytes: Uint8Array, message: RegExp, flags: string[] = []): Promise<void> {
  const w = new TestWorld()
  t.teardown(() => w.close())
  mkdirSync(join(w.folder, 'models'))
  const path = join(w.folder, 'models', 'net.onnx')
  writeFileSync(path, bytes)
  writeFileSync(join(w.folder, 'outside.bin'), new Uint8Array(400))
  t.equal(await w.mesh('train', '--model', path, '--data', 'digits', ...flags), 2)
  const { lines } = w.stderr
  t.equal(lines.length, 1, lines.join('\n'))
  t.match(lines[0], message)
  t.ok(lines[0]!.includes(path), `names the file: ${lines[0]}`)
}

t.test('truncated', async t => {
  for (const length of [0, 20, 700]) await refused(t, sound.subarray(0, length), /cut off|no graph/)
})

t.test('another kind of file', async t => {
  await refused(t, Buffer.from('<html>moved</html>'), /not an ONNX file/)
})

t.test('cyclic', async t => {
  const bytes = damaged(model => {
    model.graph!.node[0]!.input[0] = model.graph!.node[1]!.output[0]!
  })
  await refused(t, bytes, /cycle through or before node Conv/)
})

t.test('wrong types', async t => {
  const bytes = damaged(model => {
    const tensor = model.graph!.initializer.find(i => i.name === 'ip.w')!
    tensor.dataType = 7
    tensor.rawData = new Uint8Array(8 * 2560)
  })
  await refused(t, bytes, /node MatMul.*one element type, not float32 and int64/)
})

t.test('wrong shapes', async t => {
  const bytes = damaged(model => {
    model.graph!.initializer.find(i => i.name === 'ip.w')!.dims = [128n, 20n]
  })
  await refused(t, bytes, /node MatMul .*'.*\[/)
})

t.test('missing initializers', async t => {
  const bytes = damaged(model => {
    model.graph!.initializer = model.graph!.initializer.filter(i => i.name !== 'conv.w')
  })
  await refused(t, bytes, /node Conv 'Conv_0' reads 'conv.w', which no input, initializer or node gives/)
})

t.test('external data absent or outside the folder of the model', async t => {
  await refused(t, external('weights.bin'), /data file 'weights.bin' of tensor 'conv.w' is not there/)
  await refused(t, external('../outside.bin'), /data file '..\/outside.bin' of tensor 'conv.w' lies outside/)
  await refused(t, external('/etc/hostname'), /data file '\/etc\/hostname' of tensor 'conv.w' must be a path inside/)
})

t.test('operators, operator sets and control flow that are not known', async t => {
  const changed = (change: (model: ModelProto) => void) => damaged(change)
  await refused(
    t,
    changed(model => {
      model.graph!.node[1]!.opType = 'Whatever'
    }),
    /operator Whatever '.*' is not known/
  )
  await refused(
    t,
    changed(model => {
      model.opsetImport[0]!.version = 7n
    }),
    /operator set 7 is not one of 13 to 22/
  )
  await refused(
    t,
    changed(model => {
      model.graph!.node[1]!.attribute.push(create(AttributeProtoSchema, { name: 'then_branch', type: 5 }))
    }),
    /node Relu '.*': attribute 'then_branch'/
  )
})

t.test('a file that is not there, and a loss that does not exist', async t => {
  const w = new TestWorld()
  t.teardown(() => w.close())
  t.equal(await w.mesh('train', '--model', 'absent.onnx', '--data', 'digits'), 2)
  t.equal(await w.mesh('train', '--model', 'lenet', '--data', 'digits', '--loss', 'hinge'), 2)
  t.equal(w.stderr.lines.length, 2)
  t.match(w.stderr.lines, [/absent\.onnx cannot be read \(ENOENT\)/, /no loss is called 'hinge'; there are softmax-ce/])
})

t.test('a run goes on from its own copy of the model, whatever became of the file', async t => {
  const w = new TestWorld()
  t.teardown(() => w.close())
  const { started, startEmbedded } = embedder(w.folder, { events: goodRun(), files: goodFiles })
  w.startEmbedded = startEmbedded
  const run = join(w.folder, 'run')
  mkdirSync(join(run, 'checkpoints', '00000020'), { recursive: true })
  mkdirSync(join(run, 'model'))
  writeFileSync(join(run, 'checkpoints', '00000020', 'manifest.json'), '{}')
  const spec = jobSpec({ model: join(w.folder, 'gone', 'my net.onnx'), data: 'digits', trainers: 1 }, w.folder)
  writeFileSync(join(run, 'config.json'), JSON.stringify({ job: 'j', spec }))
  t.equal(await w.mesh('train', '--resume', run), 2, 'without the copy there is no model')
  t.match(w.stderr.lines, [/gone.my net\.onnx cannot be read/])
  writeFileSync(join(run, 'model', 'my_net.onnx'), sound)
  t.equal(await w.mesh('train', '--resume', run), 0, w.stderr.text)
  t.equal(started[0]?.node.submitted[0]?.model, join(run, 'model', 'my_net.onnx'))
})

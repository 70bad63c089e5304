import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createRng, GradmeshError } from '../../common/index.ts'
import { Emitter } from '../../models/graph/emitter.ts'
import { createGraph } from '../../models/graph/types.ts'
import {
  buildModel,
  exportModel,
  freezeParameters,
  initialise,
  layers,
  loadOnnx,
  openOnnx,
  parameterLayout,
  trainingGraph
} from '../../models/index.ts'
import { encodeGraph } from '../../models/onnx/encode.ts'
import { AttributeProtoSchema, type ModelProto, ModelProtoSchema, StringStringEntryProtoSchema } from '../../models/onnx/pb/onnx_pb.ts'
import { trainingParts } from '../../models/training.ts'
import { assertClose, normal, runOrt } from './reference/check.ts'
import { ref } from './reference/tensor.ts'

function exported(): { bytes: Uint8Array; arena: Float32Array } {
  const graph = layers('small', [1, 6, 6])
    .convolution('conv', { outputs: 2, kernel: 3 })
    .maxPool('pool', { kernel: 2 })
    .relu('relu')
    .innerProduct('ip', { outputs: 3 })
    .build('logits')
  const layout = parameterLayout(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 1, arena)
  return { bytes: exportModel(graph, layout, arena), arena }
}

/** The exported model with something changed in the file. */
function changed(change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, exported().bytes)
  change(model)
  return toBinary(ModelProtoSchema, model)
}

function refused(t: Test, change: (model: ModelProto) => void, message: RegExp, name = 'MalformedError'): void {
  t.throws(() => loadOnnx(changed(change), { name: 'x.onnx' }), { name, message })
}

t.test('what exporters leave behind for training goes, and shared weights are read under their own name', async t => {
  const graph = createGraph('exported for training')
  graph.inputs.push('data')
  graph.types.set('data', { type: 'float32', shape: [5, 2, 3, 3] })
  for (const [name, value] of [
    ['scale', 1],
    ['shift', 0],
    ['mean', 0],
    ['variance', 1]
  ] as const) {
    graph.parameters.set(name, { name, shape: [2], lrMult: 1, decayMult: 1, filler: { type: 'constant', value } })
    graph.types.set(name, { type: 'float32', shape: [2] })
  }
  const e = new Emitter(graph)
  const shared = e.op('Identity', ['scale'], {}, 'same')
  const [y] = e.ops('BatchNormalization', ['data', shared, 'shift', 'mean', 'variance'], {}, 1, 'normed')
  const ratio = e.constant({ type: 'float32', shape: [], data: Float32Array.of(0.25) })
  e.constant({ type: 'bool', shape: [], data: Uint8Array.of(1) }, 'on')
  graph.outputs = [e.op('Dropout', [y, ratio, 'on'], {}, 'out')]
  const layout = parameterLayout(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 1, arena)
  const model = fromBinary(ModelProtoSchema, exportModel(graph, layout, arena))
  const [, batch, dropout] = model.graph!.node
  batch.attribute.push(create(AttributeProtoSchema, { name: 'training_mode', type: 2, i: 1n }))
  batch.output.push('new mean', 'new variance')
  dropout.output.push('mask')
  const loaded = loadOnnx(toBinary(ModelProtoSchema, model))
  t.strictSame(
    loaded.nodes.map(n => [n.op, n.inputs.length, n.outputs, Object.keys(n.attributes)]),
    [
      ['BatchNormalization', 5, ['normed'], []],
      ['Dropout', 2, ['out'], []]
    ]
  )
  t.strictSame([loaded.nodes[0].inputs[1], [...loaded.states.keys()]], ['scale', ['mean', 'variance']])
  t.strictSame(loaded.types.get('out')!.shape, ['N', 2, 3, 3], 'the batch is open, whatever the example had')
  model.graph!.output[0].name = 'new mean'
  t.throws(() => loadOnnx(toBinary(ModelProtoSchema, model)), { name: 'InvalidParametersError', message: /'normed'.*new statistics/ })
})

t.test('what was exported loads with its values and trains the same', async t => {
  const { bytes, arena } = exported()
  const graph = loadOnnx(bytes)
  const layout = parameterLayout(graph)
  t.strictSame(
    layout.parameters.map(p => p.name),
    ['conv.weight', 'conv.bias', 'ip.weight', 'ip.bias']
  )
  const values = new Float32Array(layout.total)
  initialise(layout, 'any', values)
  t.strictSame(values, arena)
  const { train } = trainingParts(graph)
  const feeds = new Map([
    ['data', normal(createRng(1), [3, 1, 6, 6])],
    ['labels', ref([3], [0, 1, 2])]
  ])
  for (const p of layout.parameters) feeds.set(p.name, ref(p.shape, Float64Array.from(values.subarray(p.offset, p.offset + p.size))))
  const loaded = await runOrt(train, feeds)
  const original = layers('small', [1, 6, 6])
    .convolution('conv', { outputs: 2, kernel: 3 })
    .maxPool('pool', { kernel: 2 })
    .relu('relu')
    .innerProduct('ip', { outputs: 3 })
    .build('logits')
  const built = await runOrt(trainingParts(original).train, feeds)
  for (const [name, value] of built) assertClose(name, loaded.get(name)!, value, 1e-6)
})

t.test('frozen parameters are constants, and a pattern that matches nothing is refused', async t => {
  const { bytes } = exported()
  const graph = loadOnnx(bytes, { freeze: ['conv.*'] })
  t.strictSame([...graph.parameters.keys()], ['ip.weight', 'ip.bias'])
  const training = trainingGraph(graph)
  t.strictSame(training.outputs.gradients, ['gradient/ip.weight', 'gradient/ip.bias'])
  t.notOk(trainingParts(graph).train.nodes.some(n => n.op === 'ConvTranspose' || n.op === 'FusedMatMul'))
  t.throws(() => loadOnnx(bytes, { freeze: ['nothing*'] }), { name: 'InvalidParametersError', message: /'nothing\*' matches no parameter/ })
  t.throws(() => loadOnnx(bytes, { freeze: ['*'] }), { name: 'InvalidParametersError', message: /leave one/ })
  t.throws(() => freezeParameters(buildModel('mlp', { shape: [4], classes: 2 }), ['ip1.bias']), { name: 'InvalidParametersError' })
})

t.test('older operator sets are brought up', async _t => {
  const graph = createGraph('old')
  graph.inputs.push('data')
  graph.types.set('data', { type: 'float32', shape: ['N', 4, 6] })
  const e = new Emitter(graph)
  const mean = e.op('ReduceMean', ['data', e.ints([1])], { keepdims: 0 })
  const [a, b] = e.ops('Split', [mean], { axis: 1, num_outputs: 2 }, 2)
  graph.outputs = [e.op('Mul', [a, b], {}, 'product')]
  const model = fromBinary(ModelProtoSchema, encodeGraph(graph))
  model.opsetImport[0].version = 13n
  for (const node of model.graph!.node) {
    if (node.opType === 'Split') node.attribute = node.attribute.filter(a => a.name !== 'num_outputs')
    if (node.opType !== 'ReduceMean') continue
    node.input = [node.input[0]]
    node.attribute.push({ ...structuredClone(node.attribute[0]), name: 'axes', type: 7, ints: [1n], i: undefined })
  }
  const loaded = loadOnnx(toBinary(ModelProtoSchema, model))
  const feeds = new Map([['data', normal(createRng(3), [2, 4, 6])]])
  assertClose('product', (await runOrt(loaded, feeds)).get('product')!, (await runOrt(graph, feeds)).get('product')!, 1e-6)
})

t.test('nodes in any order load; a cycle does not', async t => {
  const shuffled = changed(m => {
    m.graph!.node.reverse()
  })
  t.equal(loadOnnx(shuffled).nodes[0].op, 'Conv')
  refused(
    t,
    m => {
      m.graph!.node[0].input[0] = 'logits'
    },
    /^x\.onnx: the graph has a cycle .*node Conv 'conv'/
  )
})

t.test('each unsound model gives one line that names the file and the place', async t => {
  const { bytes } = exported()
  for (const cut of [0, 1, 10, 100, bytes.length - 1]) {
    t.throws(() => loadOnnx(bytes.subarray(0, cut), { name: 'x.onnx' }), { name: 'MalformedError', message: /^x\.onnx: [^\n]*$/ })
  }
  t.throws(() => loadOnnx(Buffer.from('<html>not a model</html>'), { name: 'x.onnx' }), { name: 'MalformedError', message: /^x\.onnx: / })
  const graphOf = (m: ModelProto) => m.graph!
  refused(
    t,
    m => {
      graphOf(m).initializer.shift()
    },
    /node Conv 'conv' reads 'conv\.weight'/
  )
  refused(
    t,
    m => {
      graphOf(m).initializer[0].dims = [2n, 1n, 3n, 4n]
    },
    /initializer 'conv\.weight'.*needs 96 bytes and has 72/
  )
  refused(
    t,
    m => {
      graphOf(m).initializer[0].dims = [2n ** 40n, 2n ** 40n]
    },
    /initializer 'conv\.weight'/
  )
  refused(
    t,
    m => {
      graphOf(m).initializer[0].dims = [-1n]
    },
    /initializer 'conv\.weight'/
  )
  refused(
    t,
    m => {
      graphOf(m).initializer[0].dataType = 99
    },
    /initializer 'conv\.weight': element type 99/
  )
  refused(
    t,
    m => {
      graphOf(m).input[0].type!.value = { case: undefined }
    },
    /input 'data' is no tensor/
  )
  refused(
    t,
    m => {
      ;(graphOf(m).input[0].type!.value.value as any).elemType = 7
    },
    /node Conv 'conv'.*type/
  )
  refused(
    t,
    m => {
      graphOf(m).node[3].output.push('extra')
    },
    /'?extra|outputs/
  )
  refused(
    t,
    m => {
      graphOf(m).node[1].output[0] = 'conv'
    },
    /'conv' is assigned twice/
  )
  refused(
    t,
    m => {
      graphOf(m).output[0].name = 'other'
    },
    /output 'other'/
  )
  refused(
    t,
    m => {
      m.graph = undefined
    },
    /no graph/
  )
  refused(
    t,
    m => {
      graphOf(m).node[1].attribute[0].type = 1
    },
    /node MaxPool 'pool': attribute 'kernel_shape'/
  )
  refused(
    t,
    m => {
      m.opsetImport[0].version = 7n
    },
    /operator set 7/,
    'InvalidParametersError'
  )
  refused(
    t,
    m => {
      graphOf(m).node[2].opType = 'Loop'
    },
    /operator Loop 'relu' is not known/,
    'InvalidParametersError'
  )
  refused(
    t,
    m => {
      m.functions.push(new Uint8Array(1))
    },
    /functions/,
    'InvalidParametersError'
  )
  refused(
    t,
    m => {
      graphOf(m).initializer[0].dataLocation = 1
    },
    /external data names no file/
  )
})

t.test('changed bytes never do more than be refused', async t => {
  const seed = Number(process.env['GRADMESH_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.comment('seed', seed)
  const { bytes } = exported()
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(bytes.length),
      (edits, cut) => {
        const hurt = bytes.slice(0, cut < bytes.length / 8 ? cut : bytes.length)
        for (const [at, value] of edits) if (at < hurt.length) hurt[at] = value
        try {
          trainingGraph(loadOnnx(hurt))
        } catch (error) {
          if (!(error instanceof GradmeshError) || error.message.includes('\n')) throw error
        }
      }
    ),
    { numRuns: 400, seed }
  )
  t.pass()
})

t.test('weights in a file of their own load from the model’s folder only', async t => {
  const root = await mkdtemp(join(tmpdir(), 'gradmesh-onnx-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const folder = join(root, 'model')
  await mkdir(folder)
  const outside = (location: string, length = '72', offset = '8') =>
    changed(m => {
      const w = m.graph!.initializer[0]
      w.rawData = undefined
      w.dataLocation = 1
      const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value })
      w.externalData = [entry('location', location), entry('offset', offset), entry('length', length)]
    })
  const { arena, bytes } = exported()
  const data = new Uint8Array(80)
  data.set(new Uint8Array(arena.buffer, 0, 72), 8)
  await writeFile(join(folder, 'weights.bin'), data)
  await writeFile(join(root, 'secret.bin'), data)
  await symlink(join(root, 'secret.bin'), join(folder, 'link.bin'))
  const path = join(folder, 'x.onnx')
  const open = async (model: Uint8Array) => {
    await writeFile(path, model)
    return openOnnx(path)
  }
  t.strictSame((await open(bytes)).parameters.get('conv.weight'), (await open(outside('weights.bin'))).parameters.get('conv.weight'))
  for (const [location, why] of [
    ['../secret.bin', /outside/],
    ['link.bin', /outside/],
    [join(root, 'secret.bin'), /inside the model/],
    ['absent.bin', /'absent\.bin'.*is not there/],
    ['', /inside the model/]
  ] as const) {
    await t.rejects(open(outside(location)), { name: 'MalformedError', message: why })
  }
  await t.rejects(open(outside('weights.bin', '72', '9')), { name: 'MalformedError', message: /'weights\.bin', which has 80/ })
  await t.rejects(open(outside('weights.bin', '60', '0')), { name: 'MalformedError', message: /72 bytes/ })
  await t.rejects(openOnnx(join(folder, 'none.onnx')), { name: 'InvalidParametersError', message: /none\.onnx/ })
  await t.rejects(openOnnx(folder), { name: 'InvalidParametersError' })
  await t.rejects(openOnnx(path, { signal: AbortSignal.abort() }), { name: 'AbortedError' })
})

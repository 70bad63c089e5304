// Models whose structure is damaged: each is refused in one line that names the file, or is a model after all. GRADMESH_FUZZ_RUNS=5000 for a long run.
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import t from 'tap'
import { createRng, GradmeshError, type Rng } from '../../common/index.ts'
import { differentiable } from '../../models/gradients/table.ts'
import { buildModel, exportModel, loadOnnx, type ModelName, parameterLayout, trainingGraph } from '../../models/index.ts'
import { type GraphProto, ModelProtoSchema } from '../../models/onnx/pb/onnx_pb.ts'

const seed = process.env['GRADMESH_TEST_SEED'] ?? String(Math.floor(Math.random() * 2 ** 31))
const runs = Number(process.env['GRADMESH_FUZZ_RUNS'] ?? 150)
t.comment('seed', seed)

const ODD = [0n, 1n, -1n, 2n, -2n, 3n, 7n, 65_536n, 2n ** 31n, -(2n ** 31n), 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)]

function model(name: ModelName, shape: number[], classes: number): Uint8Array {
  const graph = buildModel(name, { shape, classes })
  const layout = parameterLayout(graph)
  return exportModel(graph, layout, new Float32Array(layout.total))
}

/** One thing gone wrong. */
function damage(graph: GraphProto, rng: Rng): void {
  const pick = <T>(list: T[]): T => list[rng.int(list.length)]
  const node = pick(graph.node)
  const values = [...graph.initializer.map(i => i.name), ...graph.node.flatMap(n => n.output), 'data', '']
  const some = <T>(list: T[], act: (at: number) => void) => list.length > 0 && act(rng.int(list.length))
  const kinds = [
    () =>
      some(node.attribute, at => {
        const a = node.attribute[at]
        if (a.ints.length > 0) a.ints[rng.int(a.ints.length)] = pick(ODD)
        else if (a.i !== undefined) a.i = pick(ODD)
        else if (a.f !== undefined) a.f = pick([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e30])
        else if (a.t !== undefined) a.t.dims = [pick(ODD)]
      }),
    () => {
      node.opType = pick(rng.int(2) === 0 ? [...differentiable] : graph.node.map(n => n.opType))
    },
    () =>
      some(node.input, at => {
        node.input[at] = pick(values)
      }),
    () => some(node.input, at => node.input.splice(at, 1)),
    () => some(node.attribute, at => node.attribute.splice(at, 1)),
    () => node.output.push(`${pick(values)}x`),
    () => graph.node.splice(rng.int(graph.node.length), 1),
    () =>
      some(graph.initializer, at => {
        const { dims } = graph.initializer[at]
        if (dims.length > 0) dims[rng.int(dims.length)] = pick(ODD)
      }),
    () => {
      const numbers = graph.initializer.filter(i => i.dataType === 7 && (i.rawData?.byteLength ?? 0) >= 8)
      some(numbers, at => {
        const raw = numbers[at].rawData!
        new DataView(raw.buffer, raw.byteOffset).setBigInt64(8 * rng.int(raw.byteLength >> 3), pick(ODD), true)
      })
    },
    () => {
      const type = graph.input[0].type?.value
      if (type?.case === 'tensorType') type.value.shape?.dim.splice(rng.int(4), 1)
    }
  ]
  pick(kinds)()
}

t.test('a damaged model is refused in one line that names it, and never hangs or crashes', async t => {
  const whole = [model('gpt-nano', [16], 8), model('char-lstm', [4], 8), model('resnet20', [3, 8, 8], 4)]
  const rng = createRng(seed)
  let sound = 0
  let slowest = 0
  for (let run = 0; run < runs; run++) {
    const file = fromBinary(ModelProtoSchema, whole[run % whole.length])
    for (let wounds = 1 + rng.int(2); wounds > 0; wounds--) damage(file.graph!, rng)
    let graph: ReturnType<typeof loadOnnx>
    const start = performance.now()
    try {
      graph = loadOnnx(toBinary(ModelProtoSchema, file), { name: 'x.onnx' })
    } catch (error) {
      if (!(error instanceof GradmeshError) || !/^x\.onnx: [^\n]+$/.test(error.message)) throw error
      continue
    }
    try {
      trainingGraph(graph)
      sound++
    } catch (error) {
      if (!(error instanceof GradmeshError) || error.message.includes('\n')) throw error
    }
    slowest = Math.max(slowest, performance.now() - start)
  }
  t.comment(`${sound} of ${runs} are models after all; the slowest took ${Math.round(slowest)} ms`)
  t.pass()
})

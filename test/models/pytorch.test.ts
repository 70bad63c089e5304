// Whole models against PyTorch's autograd, on the files that PyTorch exports. Optional: without PyTorch it says so and passes.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import t from 'tap'
import { initialise, openOnnx, type TrainingGraph, trainingGraph } from '../../models/index.ts'
import { pythonWithTorch, runPython } from './pytorch/python.ts'

interface Expected {
  shape: number[]
  data: number[]
  labels: number[]
  loss: number
  gradients: Record<string, number[]>
}

async function step(training: TrainingGraph, given: Expected): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
  const { inputs, outputs, layout, state } = training
  const [batch] = given.shape
  const { data, labels } = inputs
  const feeds: Record<string, Tensor> = {
    [data.name]:
      data.type === 'int64'
        ? new Tensor('int64', BigInt64Array.from(given.data, BigInt), given.shape)
        : new Tensor('float32', Float32Array.from(given.data), given.shape),
    [labels.name]: new Tensor('int32', Int32Array.from(given.labels), [batch, ...labels.shape])
  }
  for (const part of [layout, state]) {
    const arena = new Float32Array(part.total)
    initialise(part, 0, arena)
    for (const p of part.parameters) feeds[p.name] = new Tensor('float32', arena.subarray(p.offset, p.offset + p.size), p.shape)
  }
  const session = await InferenceSession.create(training.train, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  const results = await session.run(feeds)
  await session.release()
  const values = (name: string) => results[name].data as Float32Array
  return { loss: values(outputs.lossSum)[0], gradients: new Map(layout.parameters.map((p, i) => [p.name, values(outputs.gradients[i])])) }
}

const found = await pythonWithTorch()
const skip = 'reason' in found ? found.reason : false

t.test('losses and gradients of whole models are those of PyTorch', { skip, timeout: 600_000 }, async t => {
  if ('reason' in found) return
  const folder = await mkdtemp(join(tmpdir(), 'gradmesh-pytorch-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await runPython(found.python, new URL('./pytorch/models.py', import.meta.url), [folder])
  for (const name of ['resnet', 'transformer', 'lstm', 'gru', 'mobile', 'classic']) {
    const given = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Expected
    const graph = await openOnnx(join(folder, `${name}.onnx`), { sample: given.shape.slice(1) })
    const { loss, gradients } = await step(trainingGraph(graph), given)
    t.ok(Math.abs(loss - given.loss) <= 1e-5 * Math.abs(given.loss), `${name}: loss ${loss} is ${given.loss}`)
    for (const [parameter, expected] of Object.entries(given.gradients)) {
      const gradient = gradients.get(parameter)
      if (gradient === undefined) {
        t.fail(`${name}: '${parameter}' is no parameter of ${[...gradients.keys()].join(', ')}`)
        continue
      }
      const scale = Math.max(1, ...expected.map(Math.abs))
      let worst = 0
      expected.forEach((value, i) => {
        worst = Math.max(worst, Math.abs(gradient[i] - value))
      })
      t.ok(gradient.length === expected.length && worst <= 1e-4 * scale, `${name}, ${parameter}: ${worst} of ${scale}`)
    }
  }
})

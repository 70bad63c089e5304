// Started by the doctor with the name of an execution provider: runs one small session on it, or says in one line why not.
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { buildModel, exportModel, initialise, parameterLayout } from '../../models/index.ts'

const name = process.argv[2] ?? 'cpu'
try {
  const graph = buildModel('mlp', { shape: [1, 2, 2], classes: 2 })
  const layout = parameterLayout(graph)
  const parameters = new Float32Array(layout.total)
  initialise(layout, 1, parameters)
  const session = await InferenceSession.create(exportModel(graph, layout, parameters), {
    executionProviders: [name],
    logSeverityLevel: 3
  })
  await session.run({ [session.inputNames[0] as string]: new Tensor('float32', new Float32Array(4), [1, 1, 2, 2]) })
  process.exit(0)
} catch (error) {
  console.error((error as Error).message.split('\n')[0])
  process.exit(1)
}

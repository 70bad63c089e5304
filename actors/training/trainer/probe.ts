import * as ort from 'onnxruntime-node'
import { exportModel, layers, parameterLayout } from '../../../models/index.ts'

/**
 * Execution providers on which a session really runs here. Listing them is not enough: onnxruntime names providers whose libraries
 * or drivers are missing.
 */
export async function workingProviders(kind: 'cpu' | 'gpu'): Promise<string[]> {
  const graph = layers('probe', [1, 2, 2]).innerProduct('product', { outputs: 2 }).build('logits')
  const layout = parameterLayout(graph)
  const model = exportModel(graph, layout, new Float32Array(layout.total))
  const working: string[] = []
  for (const provider of kind === 'cpu' ? ['cpu'] : ['cuda', 'webgpu']) {
    try {
      const session = await ort.InferenceSession.create(model, { executionProviders: [provider], logSeverityLevel: 4 })
      await session.run({ [session.inputNames[0]!]: new ort.Tensor('float32', new Float32Array(4), [1, 1, 2, 2]) })
      working.push(provider)
      await session.release()
    } catch {
      // Not on this machine.
    }
  }
  return working
}

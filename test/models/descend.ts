import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createRng } from '../../common/index.ts'
import { type Graph, initialise, trainingGraph } from '../../models/index.ts'

/** Losses a sample (or position) of plain gradient descent on one random batch, in onnxruntime; text models get random tokens. */
export async function descend(graph: Graph, options: { batch: number; steps: number; rate: number; seed: number }): Promise<number[]> {
  const { batch, steps, rate, seed } = options
  const { train, inputs, outputs, layout, state } = trainingGraph(graph)
  const session = await InferenceSession.create(train, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const rng = createRng(seed)
  const classes = graph.types.get(graph.outputs[0]!)!.shape.at(-1) as number
  const arena = new Float32Array(layout.total)
  initialise(layout, seed, arena)
  const statistics = new Float32Array(state.total)
  initialise(state, seed, statistics)
  const size = (shape: number[]) => shape.reduce((a, b) => a * b, batch)
  const text = inputs.labels.shape.length > 0
  const data = Float32Array.from({ length: size(inputs.data.shape) }, () => (text ? rng.int(classes) : rng.normal()))
  const labels = Int32Array.from({ length: size(inputs.labels.shape) }, () => rng.int(classes))
  const feeds: Record<string, Tensor> = {
    [inputs.data.name]: new Tensor('float32', data, [batch, ...inputs.data.shape]),
    [inputs.labels.name]: new Tensor('int32', labels, [batch, ...inputs.labels.shape])
  }
  if (inputs.samples !== undefined)
    feeds[inputs.samples.name] = new Tensor(
      'int32',
      Int32Array.from({ length: batch }, (_, i) => i),
      [batch]
    )
  for (const p of layout.parameters) feeds[p.name] = new Tensor('float32', arena.subarray(p.offset, p.offset + p.size), p.shape)
  for (const p of state.parameters) feeds[p.name] = new Tensor('float32', statistics.subarray(p.offset, p.offset + p.size), p.shape)
  const losses: number[] = []
  try {
    for (let step = 0; step < steps; step++) {
      const results = await session.run(feeds)
      const denominator = results[outputs.denominator]!.data[0] as number
      losses.push((results[outputs.lossSum]!.data[0] as number) / denominator)
      layout.parameters.forEach((p, i) => {
        const gradient = results[outputs.gradients[i]!]!.data as Float32Array
        for (let k = 0; k < p.size; k++) arena[p.offset + k]! -= ((rate * p.lrMult) / denominator) * gradient[k]!
      })
      state.parameters.forEach((p, i) => {
        statistics.set(results[outputs.states[i]!]!.data as Float32Array, p.offset)
      })
    }
  } finally {
    await session.release()
  }
  return losses
}

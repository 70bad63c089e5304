// Caffe's large nets: time to read one and build its training graph, and a few steps of SGD on one batch of random images.
// npm run bench -- caffe [googlenet|alexnet|FILE.prototxt] [--batch N] [--steps N] [--size SIDE] [--threads N] [--rate R]
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createOptimizer } from '../actors/training/optimizers/index.ts'
import { createRng } from '../common/index.ts'
import { caffeModel, initialise, parseNet, trainingGraph } from '../models/index.ts'
import { alexnet, googlenet } from '../test/models/caffe/nets.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string' },
    steps: { type: 'string', default: '5' },
    size: { type: 'string' },
    threads: { type: 'string', default: '1' },
    rate: { type: 'string', default: '0.001' }
  }
})
const known: Record<string, { text: () => string; batch: number; size: number }> = {
  googlenet: { text: googlenet, batch: 32, size: 224 },
  alexnet: { text: alexnet, batch: 64, size: 227 }
}
const name = positionals[0] ?? 'googlenet'
const net = known[name] ?? { text: () => readFileSync(name, 'utf8'), batch: 32, size: 224 }
const [batch, side, steps] = [Number(values.batch ?? net.batch), Number(values.size ?? net.size), Number(values.steps)]
const shape = [3, side, side]
const size = shape.reduce((a, b) => a * b)

const text = net.text()
const start = performance.now()
const model = caffeModel(parseNet(text, name), { shape, mean: () => new Float32Array(size).fill(118) })
const { train, layout, state, inputs, outputs } = trainingGraph(model.train.graph, model.training)
console.log(
  `${name}: ${layout.total} parameters; training graph of ${train.length} bytes built in ${(performance.now() - start).toFixed(0)} ms`
)
if (steps === 0) process.exit()

const session = await InferenceSession.create(train, { intraOpNumThreads: Number(values.threads), executionMode: 'sequential' })
const rng = createRng(1)
const parameters = new Float32Array(layout.total)
const statistics = new Float32Array(state.total)
const gradients = new Float32Array(layout.total)
initialise(layout, 1, parameters)
initialise(state, 1, statistics)
const data = Float32Array.from({ length: batch * size }, () => rng.int(256))
const feeds: Record<string, Tensor> = {
  [inputs.data.name]: new Tensor('float32', data, [batch, ...shape]),
  [inputs.labels.name]: new Tensor(
    'int32',
    Int32Array.from({ length: batch }, () => rng.int(1000)),
    [batch]
  )
}
if (inputs.samples !== undefined)
  feeds[inputs.samples.name] = new Tensor(
    'int32',
    Int32Array.from({ length: batch }, (_, i) => i),
    [batch]
  )
const fetches: Record<string, Tensor> = {}
for (const [i, p] of layout.parameters.entries()) {
  feeds[p.name] = new Tensor('float32', parameters.subarray(p.offset, p.offset + p.size), p.shape)
  fetches[outputs.gradients[i]!] = new Tensor('float32', gradients.subarray(p.offset, p.offset + p.size), p.shape)
}
for (const p of state.parameters) feeds[p.name] = new Tensor('float32', statistics.subarray(p.offset, p.offset + p.size), p.shape)
const scalars = { [outputs.lossSum]: new Float32Array(1), [outputs.denominator]: new Float32Array(1) }
for (const [output, value] of Object.entries(scalars)) fetches[output] = new Tensor('float32', value, [])

const optimizer = createOptimizer({ name: 'sgd', form: 'caffe', momentum: 0.9, weightDecay: 0.0002 }, layout)
const momentum = new Float32Array(optimizer.stateFloats)
for (let step = 1; step <= steps; step++) {
  const begun = performance.now()
  await session.run(feeds, fetches)
  const denominator = scalars[outputs.denominator]![0]!
  const loss = scalars[outputs.lossSum]![0]! / denominator
  optimizer.apply({ parameters, gradients, state: momentum, rate: Number(values.rate), scale: 1 / denominator })
  const peak = (process.resourceUsage().maxRSS / 1024 ** 2).toFixed(2)
  console.log(`step ${step}: loss ${loss.toFixed(4)}, ${((performance.now() - begun) / 1000).toFixed(2)} s, peak ${peak} GiB`)
}

/**
 * One run of step.ts: `step-run.ts MODEL THREADS BATCH STEPS WARM_UP LR` trains a model of the zoo on one fixed batch and prints a line of JSON.
 */
import { createOptimizer } from '../actors/training/optimizers/index.ts'
import { createArenas, TAIL } from '../actors/training/trainer/arenas.ts'
import { type Batch, createEngine } from '../actors/training/trainer/engine.ts'
import { createRng } from '../common/index.ts'
import { buildModel, initialise, modelInput, trainingGraph } from '../models/index.ts'

const [name = 'lenet', ...numbers] = process.argv.slice(2)
const [threads = 1, count = 64, steps = 40, warmUp = 10, rate = 0.001] = numbers.map(Number)
const began = performance.now()
const input = modelInput(name)
const graph = trainingGraph(buildModel(name, input))
const build = performance.now() - began
const optimizer = createOptimizer({ name: 'sgd', form: 'pytorch', momentum: 0.9 }, graph.layout)
const arenas = createArenas({ parameters: graph.layout.total, statistics: graph.state.total, optimizer: optimizer.stateFloats })
initialise(graph.layout, 1, arenas.parameters)
initialise(graph.state, 1, arenas.parameters.subarray(graph.layout.total))
const engine = await createEngine({ graph, provider: 'cpu', threads, parameters: arenas.parameters, gradients: arenas.gradients })

const rng = createRng(1)
const sized = (shape: number[]) => shape.reduce((a, b) => a * b, count)
const text = graph.inputs.labels.shape.length > 0
const pick = () => rng.int(input.classes)
let batch: Batch = {
  data: Float32Array.from({ length: sized(graph.inputs.data.shape) }, () => (text ? pick() : rng.float())),
  labels: Int32Array.from({ length: sized(graph.inputs.labels.shape) }, pick),
  ...(graph.inputs.samples === undefined ? {} : { samples: Int32Array.from({ length: count }, (_, i) => i) }),
  count
}

const times = { step: [] as number[], run: [] as number[], update: [] as number[] }
const losses: number[] = []
for (let i = 0; i < warmUp + steps; i++) {
  const start = performance.now()
  const outcome = await engine.forwardBackward(batch)
  batch = outcome.batch
  const end = graph.layout.total + graph.state.total
  const [lossSum, denominator] = arenas.gradients.subarray(end, end + TAIL)
  const applied = performance.now()
  optimizer.apply({
    parameters: arenas.parameters,
    gradients: arenas.gradients,
    state: arenas.optimizer,
    rate,
    scale: 1 / denominator!
  })
  for (let k = graph.layout.total; k < end; k++) arenas.parameters[k]! += arenas.gradients[k]! / denominator!
  const now = performance.now()
  losses.push(lossSum! / denominator!)
  if (i < warmUp) continue
  times.step.push(now - start)
  times.run.push(outcome.computeMs)
  times.update.push(now - applied)
}
await engine.close()
const median = (all: number[]) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]
console.log(
  JSON.stringify({
    step: median(times.step),
    run: median(times.run),
    update: median(times.update),
    build,
    memory: process.resourceUsage().maxRSS * 1024,
    first: losses[0],
    last: losses.at(-1)
  })
)

// `npm run bench -- simulation [--messages N] [--batch N] [--samples N] [--strategy NAME]`: what simulated training costs. 1,000 trainers with
// modelled gradients until so many messages have been sent, and 64 trainers with a real MLP: which share of the time the engine has.
import { parseArgs } from 'node:util'
import { strategyNamed } from '../actors/training/exchange/index.ts'
import { modelledWorkload, parseDelay, parseNetwork, realWorkload, rememberSamples, simulate } from '../actors/training/simulation/index.ts'
import { openDataset } from '../datasets/index.ts'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    batch: { type: 'string', default: '256' },
    samples: { type: 'string', default: '65536' },
    strategy: { type: 'string', default: 'gossip' }
  }
})

const strategy = strategyNamed(values.strategy)
const common = { seed: 1, delay: parseDelay('lognormal:0.5'), network: parseNetwork('10gbe'), strategy }

{
  const trainers = 1000
  // a gossip step sends a share, its offer, an acknowledgement and a confirmation
  const budget = Math.ceil(Number(values.messages) / 4) * 32
  const workload = modelledWorkload({ size: 1_000_000, samples: budget })
  const start = performance.now()
  const cpu = process.cpuUsage()
  const { messages, events, time } = await simulate({ ...common, trainers, workload, batch: 32, budget, computeMs: 50 })
  const { user, system } = process.cpuUsage(cpu)
  console.log(
    `modelled: ${trainers} trainers, ${messages} messages, ${events} events, ${(time / 1000).toFixed(1)} virtual s in ` +
      `${((performance.now() - start) / 1000).toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} s of CPU)`
  )
}

{
  const trainers = 64
  const batch = Number(values.batch)
  const data = 'digits?train=20000&test=1000'
  const dataset = rememberSamples(await openDataset(data))
  // drawing the samples is no part of what is measured
  const ids = Array.from({ length: dataset.train.count }, (_, i) => i)
  const size = dataset.shape.reduce((a, b) => a * b, 1)
  dataset.train.read(ids, new Float32Array(ids.length * size), new Int32Array(ids.length))
  const workload = await realWorkload({
    model: 'mlp?hidden=256,256',
    data,
    dataset,
    seed: 1,
    optimizer: { name: 'sgd', momentum: 0.9 },
    lr: 0.01
  })
  const start = performance.now()
  const { updates } = await simulate({ ...common, trainers, workload, batch, budget: Number(values.samples), computeMs: 10 })
  const wall = performance.now() - start
  console.log(
    `real: ${trainers} trainers, MLP of ${workload.size} parameters, batch ${batch}: ${updates} updates in ${(wall / 1000).toFixed(1)} s, ` +
      `${((100 * workload.engineMs) / wall).toFixed(0)} % of it in the engine`
  )
  await workload.close()
}

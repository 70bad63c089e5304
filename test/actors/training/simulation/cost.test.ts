import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { byteTime, modelledWorkload, type NetworkSpec, simulate } from '../../../../actors/training/simulation/index.ts'

const SIZE = 9_600_000 - 3
const network: NetworkSpec = { name: 'test', latency: [0.15, 0.15], gbps: 10, framing: false }
/** GB/s of additions. */
const ARITHMETIC = 8

for (const world of [2, 4, 6, 8, 32]) {
  t.test(`virtual time of a ring allreduce over ${world} ranks is the cost model's, and so are its bytes`, async t => {
    const steps: { trainer: string; step: number; time: number }[] = []
    const result = await simulate({
      strategy: strategyNamed('allreduce'),
      options: { algorithm: 'ring', segment: 2 ** 24 },
      trainers: world,
      workload: modelledWorkload({ size: SIZE, samples: 1_000_000 }),
      batch: 8,
      budget: 8 * world,
      computeMs: 10,
      seed: 1,
      network,
      arithmetic: ARITHMETIC,
      onStep: step => steps.push(step)
    })
    const bytes = 4 * (SIZE + 3)
    const a = 0.15
    const b = byteTime(10)
    const c = 1 / (ARITHMETIC * 1e6)
    const expected = 10 + 2 * (world - 1) * a + ((2 * (world - 1)) / world) * bytes * b + ((world - 1) / world) * bytes * c
    t.equal(steps.length, world)
    for (const { time } of steps) t.ok(Math.abs(time - expected) <= 1e-9 * expected, `${time} is ${expected}`)
    t.equal(result.payload, world * ((2 * (world - 1)) / world) * bytes)
    t.equal(result.wire, result.payload)
    t.equal(result.messages, 2 * (world - 1) * world)
  })
}

t.test('halving-doubling takes 2·log₂p latencies', async t => {
  const world = 16
  const times: number[] = []
  await simulate({
    strategy: strategyNamed('allreduce'),
    options: { algorithm: 'halving-doubling', segment: 2 ** 24 },
    trainers: world,
    workload: modelledWorkload({ size: 16_000 - 3, samples: 1_000_000 }),
    batch: 1,
    budget: world,
    computeMs: 10,
    seed: 1,
    network: { name: 'far', latency: [5, 5], gbps: Number.POSITIVE_INFINITY, framing: false },
    onStep: step => times.push(step.time)
  })
  const expected = 10 + 2 * Math.log2(world) * 5
  t.ok(
    times.every(time => Math.abs(time - expected) < 1e-9 * expected),
    `${times[0]} is ${expected}`
  )
})

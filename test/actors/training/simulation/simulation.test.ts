import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import {
  modelledWorkload,
  parseDelay,
  parseNetwork,
  realWorkload,
  type SimulationInit,
  type SimulationResult,
  simulate
} from '../../../../actors/training/simulation/index.ts'

const modelled = (strategy: string, more: Partial<SimulationInit> = {}): Promise<SimulationResult> =>
  simulate({
    strategy: strategyNamed(strategy),
    trainers: 8,
    workload: modelledWorkload({ size: 100_000, samples: 50_000 }),
    batch: 32,
    budget: 6400,
    maxTime: 600_000,
    computeMs: 10,
    seed: 7,
    network: parseNetwork('10gbe'),
    ...more
  })

const real = (lr = 0.02) =>
  realWorkload({
    model: 'mlp?hidden=16',
    data: 'digits?train=600&test=100',
    seed: 3,
    optimizer: { name: 'sgd', momentum: 0.9 },
    lr
  })

/** One of each kind: collectives, rounds, shares, meetings; what each algorithm promises is tested beside it. */
const kinds = ['allreduce', 'local-sgd', 'diloco', 'gossip', 'sgp', 'osgp', 'ad-psgd']

for (const name of kinds) {
  t.test(`${name}: a run is a function of its seed`, async t => {
    const delay = parseDelay('lognormal:0.5')
    const [a, b, other] = await Promise.all([modelled(name, { delay }), modelled(name, { delay }), modelled(name, { delay, seed: 8 })])
    t.equal(a.hash, b.hash)
    t.equal(a.time, b.time)
    t.equal(a.wire, b.wire)
    t.not(a.hash, other.hash)
    t.equal(a.samples, 6400, 'every sample is trained once')
    t.notOk(a.incomplete)
  })

  t.test(`${name}: real gradients give the same model from the same seed, and it learns`, async t => {
    const run = async () => {
      const workload = await real()
      const result = await simulate({
        strategy: strategyNamed(name),
        trainers: 4,
        workload,
        batch: 16,
        budget: 2400,
        computeMs: 10,
        seed: 3,
        network: parseNetwork('10gbe'),
        delay: parseDelay('exponential'),
        evaluateEvery: 800
      })
      await workload.close()
      return result
    }
    const [a, b] = [await run(), await run()]
    t.equal(a.hash, b.hash)
    t.equal(a.final?.loss, b.final?.loss)
    t.equal(a.final?.consensus, b.final?.consensus)
    t.ok((a.final?.accuracy ?? 0) > 0.2, `accuracy ${a.final?.accuracy}`)
  })

  t.test(`${name}: trainers die, leave and come, and every sample is trained`, async t => {
    const churn = {
      events: [
        { time: 60, event: 'kill' as const, slot: 2 },
        { time: 700, event: 'join' as const, slot: 2 },
        { time: 900, event: 'leave' as const, slot: 5 }
      ]
    }
    const budget = 64_000
    const a = await modelled(name, { churn, detection: 100, budget })
    const b = await modelled(name, { churn, detection: 100, budget })
    t.equal(a.hash, b.hash)
    t.equal(a.samples, budget)
    t.equal(a.churned, 3)
    t.notOk(a.incomplete)
    const born = await modelled(name, { churn: { mtbf: 3000, repair: 500 }, detection: 100, budget })
    t.ok(born.churned > 0)
    t.equal(born.samples, budget)
  })
}

t.test('synchronous trainers all wait for a straggler, gossiping ones do not', async t => {
  const delay = parseDelay('straggler:5')
  const together = await modelled('allreduce', { delay })
  const apart = await modelled('gossip', { delay })
  t.ok(together.time > 4 * apart.time, `${together.time} against ${apart.time} ms`)
  const [slow, fast] = together.trainers
  t.ok(slow!.accounts.compute > 4.9 * fast!.accounts.compute)
  t.ok(fast!.accounts.idle > 0.7 * together.time)
})

t.test('a receiver that many send to is a bottleneck, and so is a sender', async t => {
  // ring neighbours share no card: with half the bandwidth the exchange takes twice as long
  const far = { name: 'n', latency: [0, 0] as [number, number], framing: false }
  const fast = await modelled('allreduce', { network: { ...far, gbps: 2 }, computeMs: 0 })
  const slow = await modelled('allreduce', { network: { ...far, gbps: 1 }, computeMs: 0 })
  t.ok(Math.abs(slow.time / fast.time - 2) < 1e-9)
  const link = { from: 0, to: 1, gbps: 0.5 }
  const one = await modelled('allreduce', { network: { ...far, gbps: 1, links: [link] }, computeMs: 0, options: { algorithm: 'ring' } })
  t.ok(one.time > slow.time, 'one slow link holds the ring up')
})

t.test('a rate that is far too high counts as divergence', async t => {
  const workload = await real(500)
  const result = await simulate({
    strategy: strategyNamed('allreduce'),
    trainers: 2,
    workload,
    batch: 16,
    budget: 2400,
    computeMs: 1,
    seed: 1
  })
  await workload.close()
  t.ok(result.diverged)
  t.ok(result.samples < 2400)
})

t.test('an interrupted simulation says so, a senseless one is refused', async t => {
  await t.rejects(modelled('gossip', { budget: 10_000_000, signal: AbortSignal.abort() }), { name: 'AbortedError' })
  await t.rejects(modelled('gossip', { trainers: 0 }), { name: 'InvalidParametersError' })
  await t.rejects(modelled('gossip', { batch: 0 }), { name: 'InvalidParametersError' })
})

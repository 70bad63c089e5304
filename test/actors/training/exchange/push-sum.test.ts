import t from 'tap'
import type { GossipState } from '../../../../actors/training/exchange/gossip-state.ts'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { createRng } from '../../../../common/index.ts'
import { type TestTrainer, World } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const stateOf = (trainer: TestTrainer): GossipState => trainer.state
const SIZE = 3
const RATE = 0.05

/** Trainers with a quadratic each in double precision, minimum at (i, i, i). */
function world(
  strategy: string,
  p: number,
  label: string,
  init: { options?: object; rate?: number; loss?: number; straggler?: number } = {}
) {
  const { rate = RATE } = init
  const world = new World({
    strategy: strategyNamed(strategy),
    options: { ...init.options },
    rng: createRng(`${seed}/${strategy}/${label}`),
    size: SIZE,
    tail: 3,
    double: true,
    latency: 0.1,
    ...(init.loss === undefined ? {} : { loss: init.loss }),
    computeTime: name => (name === 't00' ? (init.straggler ?? 1) : 1),
    engine: {
      gradients({ name, arenas }) {
        for (let i = 0; i < SIZE; i++) arenas.gradients[i] = arenas.parameters[i] - Number(name.slice(1))
      },
      apply({ arenas }, _, scale) {
        for (let i = 0; i < SIZE; i++) arenas.parameters[i] -= rate * scale * arenas.gradients[i]
      }
    }
  })
  for (const name of names(p)) world.add(name)
  return world
}

/** Σw and the first float of Σx = Σ w·z, with what is in flight. */
function mass(world: World): { w: number; x: number } {
  let w = 0
  let x = 0
  for (const trainer of world.alive) {
    const { weight, pending } = stateOf(trainer)
    w += weight
    x += weight * trainer.arenas.parameters[0]
    if (pending === undefined) continue
    const receiver = world.trainers.get(pending.to)
    const merged = receiver !== undefined && !receiver.dead && (stateOf(receiver).merged.get(trainer.name) ?? 0) >= pending.share
    if (!merged) {
      w += pending.weight
      x += pending.weight * trainer.arenas.outgoing[0]
    }
  }
  return { w, x }
}

for (const strategy of ['gosgd', 'sgp', 'osgp']) {
  t.test(`${strategy}: without gradients Σw and Σx are conserved with what is in flight, to 1e-12·n`, async t => {
    for (const n of [2, 3, 8]) {
      const w = world(strategy, n, `mass/${n}`, { rate: 0 })
      w.group(1, names(n), () => 0)
      for (const trainer of w.alive) trainer.arenas.parameters.fill(Number(trainer.name.slice(1)) + 0.1)
      const before = mass(w)
      let worst = 0
      w.run(() => {
        const { w: weight, x } = mass(w)
        worst = Math.max(worst, Math.abs(weight - before.w), Math.abs(x - before.x))
        return w.alive.every(trainer => trainer.applied >= 60)
      })
      t.ok(worst <= 1e-12 * n, `n ${n}: off by ${worst}`)
      const values = w.alive.map(trainer => trainer.arenas.parameters[0])
      t.ok(Math.max(...values) - Math.min(...values) < 0.5, 'and they come together')
    }
  })
}

t.test('a death takes its own (x, w) and what it had acknowledged, and nothing else', async t => {
  for (const strategy of ['sgp', 'osgp']) {
    for (let round = 0; round < 20; round++) {
      const w = world(strategy, 5, `death/${round}`, { rate: 0 })
      w.group(1, names(5), () => 0)
      for (const trainer of w.alive) trainer.arenas.parameters.fill(Number(trainer.name.slice(1)) + 0.1)
      let events = 100 + 7 * round
      w.run(() => events-- === 0)
      w.kill('t02')
      const left = mass(w)
      t.ok(left.w < 1 && left.w > 0)
      for (const name of ['t00', 't01', 't03', 't04']) {
        w.at(w.init.rng.float(), () => w.give(name, { type: 'peers', alive: w.alive.map(x => x.name), dead: ['t02'] }))
      }
      const steps = w.alive.map(x => x.applied)
      let worst = 0
      let worstX = 0
      const more = () => {
        const now = mass(w)
        worst = Math.max(worst, Math.abs(now.w - left.w))
        // a share that is taken back comes back as weight on its sender's parameters of now
        worstX = Math.max(worstX, Math.abs(now.x - left.x))
        return w.alive.every((x, i) => x.applied > steps[i] + 20)
      }
      t.ok(w.run(more), 'the others go on')
      t.ok(worst < 1e-12, `Σw is off by ${worst}`)
      t.ok(worstX < 4.2 * 0.4, 'Σx by no more than a share moved within the spread of the replicas')
    }
  }
})

t.test('over the exponential graph the mean is exact after log2 n rounds for n = 8 and 16, and not for 12', async t => {
  for (const n of [8, 16, 12]) {
    const w = world('sgp', n, `exact/${n}`, { rate: 0 })
    w.group(1, names(n), () => 0)
    for (const trainer of w.alive) trainer.arenas.parameters.fill(Number(trainer.name.slice(1)))
    const rounds = Math.ceil(Math.log2(n))
    for (const trainer of w.alive) trainer.lastStep = rounds
    // whoever is through its rounds answers, and begins none
    t.ok(
      w.run(() => {
        for (const x of w.alive) if (x.applied >= rounds && !stateOf(x).rounds.over) w.give(x.name, { type: 'drain' })
        return w.alive.every(x => x.applied === rounds && stateOf(x).pending === undefined && stateOf(x).incoming.size === 0)
      })
    )
    const mean = (n - 1) / 2
    const worst = Math.max(...w.alive.map(x => Math.abs(x.arenas.parameters[0] - mean)))
    if (n === 12) t.ok(worst > 0.01, `12: off by ${worst}`)
    else t.ok(worst < 1e-12, `${n}: off by ${worst}`)
  }
})

t.test('one step is x - αg(z), whatever the weight: z moves by α/w·g', async t => {
  const w = world('sgp', 2, 'scale')
  w.group(1, names(2), () => 0)
  const trainer = w.trainers.get('t01')!
  stateOf(trainer).weight = 0.25
  trainer.arenas.parameters.fill(2)
  trainer.arenas.gradients.fill(1)
  w.give('t01', { type: 'gradients', generation: 1, step: 1, samples: 1, rate: RATE })
  // weights sum to 1 over two trainers: w = 0.25 is half the mean
  t.ok(Math.abs(trainer.arenas.parameters[0] - (2 - RATE * 2)) < 1e-15)
})

t.test('SGP trains to the minimum of the sum, also past a straggler and with messages lost', async t => {
  for (const [strategy, options] of [
    ['sgp', {}],
    ['sgp', { topology: 'ring' }],
    ['osgp', {}],
    ['osgp', { tau: 3 }]
  ] as const) {
    for (const loss of [0, 0.02]) {
      const w = world(strategy, 4, `minimum/${JSON.stringify(options)}/${loss}`, {
        options: { ...options, patience: 50 },
        loss,
        straggler: 3
      })
      w.group(1, names(4), () => 0)
      t.ok(w.run(() => w.alive.every(x => x.applied >= 300)))
      const mean = w.alive.reduce((s, x) => s + x.arenas.parameters[0], 0) / 4
      t.ok(Math.abs(mean - 1.5) < 0.4, `${strategy} ${JSON.stringify(options)}, ${loss} lost: ${mean}`)
    }
  }
})

t.test('SGP waits for its round, OSGP lets tau steps go by', async t => {
  const lead = (strategy: string, options: object) => {
    const w = world(strategy, 4, `lead/${strategy}`, { options: { patience: 3_600_000, ...options }, straggler: 10 })
    w.group(1, names(4), () => 0)
    let most = 0
    w.run(() => {
      const steps = w.alive.map(x => x.applied)
      most = Math.max(most, Math.max(...steps) - Math.min(...steps))
      return Math.min(...steps) >= 40
    })
    return most
  }
  t.ok(lead('sgp', {}) <= 3, 'at most the rounds of the schedule and one')
  const four = lead('osgp', { tau: 4 })
  t.ok(four >= 4 && four <= 4 * 4, `${four}`)
})

t.test('a newcomer takes half of a donor and falls in with the rounds', async t => {
  for (const strategy of ['sgp', 'osgp']) {
    const w = world(strategy, 3, 'join', { options: { patience: 20 } })
    w.group(1, names(3), () => 0)
    w.run(() => w.alive.every(x => x.applied >= 30))
    w.add('t03')
    w.group(1, ['t03'], () => 0, names(3))
    for (const x of w.alive) w.give(x.name, { type: 'peers', alive: w.alive.map(y => y.name), dead: [] })
    const joiner = w.trainers.get('t03')!
    t.ok(w.run(() => joiner.applied >= 20))
    t.ok(Math.abs(mass(w).w - 1) < 1e-12)
    const others = stateOf(w.trainers.get('t00')!).rounds.round
    t.ok(Math.abs(stateOf(joiner).rounds.round - others) <= 3, `round ${stateOf(joiner).rounds.round} beside ${others}`)
  }
})

t.test("gossip's merge is GoSGD's times (1 + τ/n)⁻¹, and GoSGD's where nobody is behind", async t => {
  const factorOf = (strategy: string, steps: number) => {
    const core = strategyNamed(strategy)
    const env = { now: 0, random: createRng(seed) }
    const members = [{ trainer: 'a' }, { trainer: 'b' }]
    const group = (self: string, rank: number) => ({ job: 'j', generation: 1, self, members, rank, size: 4, tail: 3, optimizer: 0 })
    const [a, b] = [core.create({}), core.create({})]
    core.step(a, { type: 'group', group: group('a', 0), step: 0 }, env)
    core.step(b, { type: 'group', group: group('b', 1), step: 0 }, env)
    const given = core.step(b, { type: 'gradients', generation: 1, step: 1, samples: 1, rate: 1 }, env)
    // a's own shares stay on their way
    for (let step = 1; step <= steps; step++) core.step(a, { type: 'gradients', generation: 1, step, samples: 1, rate: 1 }, env)
    const [receive] = core.step(a, { type: 'message', from: 'b', body: given.find(e => e.type === 'message')!.body }, env)
    const merged = core.step(a, { type: 'landed', id: (receive as { id: string }).id }, env)
    return (merged.find(e => e.type === 'blend') as { factor: number }).factor
  }
  // a gave half away once it had stepped: 0.25 comes to 0.25
  t.equal(factorOf('gosgd', 1), 0.5)
  t.equal(factorOf('gossip', 1), 0.5)
  t.equal(factorOf('gosgd', 5), 0.5)
  t.equal(factorOf('gossip', 5), 0.5 / (1 + 4 / 2))
})

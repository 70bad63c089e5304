import t from 'tap'
import type { GossipState } from '../../../../actors/training/exchange/gossip-state.ts'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { createRng, type Rng } from '../../../../common/index.ts'
import { type TestTrainer, World } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
const gossip = strategyNamed('gossip')
const env = { now: 0, random: createRng(seed) }

t.comment('seed', seed)

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const stateOf = (trainer: TestTrainer): GossipState => trainer.state

/** Trainers with a quadratic each, minimum at (i, i, …): the gradient at x is x − i. */
function quadratics(
  p: number,
  rng: Rng,
  init: { rate?: number; size?: number; discount?: boolean; straggler?: number; loss?: number } = {}
): World {
  const { rate = 0.05, size = 5 } = init
  const world = new World({
    strategy: strategyNamed(init.discount === false ? 'gosgd' : 'gossip'),
    rng,
    size,
    tail: 3,
    latency: 0.1,
    loss: init.loss,
    computeTime: name => (name === 't00' ? (init.straggler ?? 1) : 1),
    engine: {
      gradients({ name, arenas }) {
        const minimum = Number(name.slice(1))
        for (let i = 0; i < size; i++) arenas.gradients[i] = arenas.parameters[i] - minimum
      },
      apply({ arenas }) {
        for (let i = 0; i < size; i++) arenas.parameters[i] -= rate * arenas.gradients[i]
      }
    }
  })
  for (const name of names(p)) world.add(name)
  return world
}

/** A share that `trainer` gave and that nobody alive has merged. */
function owed(world: World, trainer: TestTrainer): number {
  const { pending } = stateOf(trainer)
  if (pending === undefined) return 0
  const receiver = world.trainers.get(pending.to)
  const merged = receiver !== undefined && !receiver.dead && (stateOf(receiver).merged.get(trainer.name) ?? 0) >= pending.share
  return merged ? 0 : pending.weight
}

const mass = (world: World) => world.alive.reduce((sum, x) => sum + stateOf(x).weight + owed(world, x), 0)

/** Root of the mean squared distance of the live trainers' parameters from their mean. */
function consensusDistance(world: World): number {
  const all = world.alive.map(x => x.arenas.parameters)
  let squares = 0
  for (let i = 0; i < all[0].length; i++) {
    const mean = all.reduce((s, x) => s + x[i], 0) / all.length
    squares += all.reduce((s, x) => s + (x[i] - mean) ** 2, 0)
  }
  return Math.sqrt(squares / all.length)
}

/** Tells everyone alive, each at a moment of its own, who lives and who died. */
function tell(world: World, dead: string[]): void {
  for (const trainer of world.alive) {
    world.at(world.init.rng.float() * 2, () => {
      world.give(trainer.name, { type: 'peers', alive: world.alive.map(x => x.name), dead })
    })
  }
}

for (const loss of [0, 0.15]) {
  t.test(`the sum of weights is conserved with what is in flight, through joins, leaves and deaths, ${loss * 100} % lost`, async t => {
    for (let round = 0; round < 20; round++) {
      const rng = createRng(`${seed}/mass/${loss}/${round}`)
      const p = 2 + rng.int(7)
      const world = quadratics(p, rng, { loss })
      world.group(1, names(p), () => 0)
      let expected = 1
      let next = p
      for (let event = 0; event < 12; event++) {
        let worst = 0
        let left = rng.int(300)
        world.run(() => {
          worst = Math.max(worst, Math.abs(mass(world) - expected))
          return left-- === 0
        })
        t.ok(worst < 1e-12, `round ${round}, event ${event}: off by ${worst}`)
        const victim = world.alive[rng.int(world.alive.length)]
        const kind = rng.int(3)
        // where everyone who has parameters dies nobody can join; that is a checkpoint's case
        const safe = world.alive.filter(x => x !== victim && stateOf(x).phase === 'training').length > 0
        if (kind === 0 && safe) {
          world.kill(victim.name)
          const before = expected
          expected = mass(world)
          t.ok(expected <= before + 1e-12, 'a death mints nothing')
          tell(world, [victim.name])
        } else if (kind === 1) {
          const name = `t${next++}`
          world.add(name)
          world.group(1, [name], () => 0, names(p))
          tell(world, [])
          world.give(name, { type: 'peers', alive: world.alive.map(x => x.name), dead: [] })
        } else if (safe && stateOf(victim).phase === 'training') {
          world.give(victim.name, { type: 'leave' })
          t.ok(world.run(() => gossip.settled(victim.state)))
          t.equal(stateOf(victim).weight, 0)
          world.kill(victim.name)
          tell(world, [victim.name])
        }
      }
      // at the end everyone stops, and what is in flight arrives
      for (const trainer of world.alive) trainer.lastStep = 0
      tell(world, [])
      t.ok(world.run(() => world.alive.every(x => gossip.settled(x.state))))
      world.run()
      const sum = world.alive.reduce((s, x) => s + stateOf(x).weight, 0)
      t.ok(Math.abs(sum - expected) < 1e-12 && sum > 0)
    }
  })
}

t.test('when a partition heals no share counts twice', async t => {
  for (let round = 0; round < 30; round++) {
    const rng = createRng(`${seed}/partition/${round}`)
    const p = 2 + rng.int(5)
    const world = quadratics(p, rng, { loss: 0.05 })
    const all = names(p)
    world.group(1, all, () => 0)
    let left = 50 + rng.int(200)
    world.run(() => left-- === 0)
    // every trainer thinks, from a moment of its own, that some of the others died
    for (const name of all) {
      world.at(rng.float() * 3, () => {
        const dead = all.filter(x => x !== name && rng.int(2) === 0)
        world.give(name, { type: 'peers', alive: all.filter(x => !dead.includes(x)), dead })
      })
    }
    left = 50 + rng.int(200)
    world.run(() => left-- === 0)
    for (const trainer of world.alive) trainer.lastStep = trainer.applied
    for (const name of all) world.at(rng.float() * 3, () => world.give(name, { type: 'peers', alive: all, dead: [] }))
    world.run()
    const sum = world.alive.reduce((s, x) => s + stateOf(x).weight - stateOf(x).debt, 0)
    t.ok(Math.abs(sum - 1) < 1e-12, `round ${round}: ${sum}`)
  }
})

t.test('without gradients the trainers reach consensus', async t => {
  for (const p of [2, 3, 8]) {
    const world = quadratics(p, createRng(`${seed}/consensus/${p}`), { rate: 0 })
    world.group(1, names(p), () => 0)
    for (const trainer of world.trainers.values()) trainer.arenas.parameters.fill(Number(trainer.name.slice(1)))
    const before = consensusDistance(world)
    world.run(() => world.alive.every(x => x.applied >= 150))
    t.ok(consensusDistance(world) < 1e-4 * before, `p ${p}: ${before} to ${consensusDistance(world)}`)
    for (const trainer of world.trainers.values()) t.ok(trainer.arenas.parameters.every(x => x >= 0 && x <= p - 1))
  }
})

t.test('with one 5x straggler among 8 the staleness stays bounded and the replicas as close as GoSGD keeps them, within 1.5', async t => {
  const measure = (discount: boolean) => {
    let distance = 0
    let samples = 0
    const staleness: number[] = []
    for (let run = 0; run < 4; run++) {
      const world = quadratics(8, createRng(`${seed}/straggler/${run}`), { straggler: 5, discount })
      world.group(1, names(8), () => 0)
      while (samples < (run + 1) * 100) {
        const until = world.time + 3
        world.run(() => world.time >= until)
        if (world.time < 40) continue
        distance += consensusDistance(world)
        samples++
      }
      for (const x of world.alive) for (const r of x.reports) if (r.name === 'staleness') staleness.push(r.value)
    }
    return { distance: distance / samples, worst: Math.max(...staleness), mean: staleness.reduce((a, b) => a + b) / staleness.length }
  }
  const with_ = measure(true)
  const without = measure(false)
  t.comment('with the discount', with_, 'GoSGD', without)
  t.ok(with_.worst <= 60, `worst staleness ${with_.worst}`)
  t.ok(with_.distance < 1.5 * without.distance)
  t.ok(with_.distance < 1)
})

t.test("a joiner begins with its donor's parameters and clock and half its weight", async t => {
  const world = quadratics(1, createRng(`${seed}/join`))
  world.group(1, ['t00'], () => 0)
  world.run(() => world.trainers.get('t00')!.applied === 40)
  const donor = world.trainers.get('t00')!
  donor.lastStep = 0
  world.run()
  const joiner = world.add('t01')
  joiner.lastStep = 0
  world.group(1, ['t01'], () => 0, ['t00'])
  tell(world, [])
  t.notOk(gossip.settled(joiner.state))
  t.ok(world.run(() => gossip.settled(joiner.state)))
  t.equal(stateOf(joiner).weight, 0.5)
  t.equal(stateOf(donor).weight, 0.5)
  t.equal(stateOf(joiner).clock, stateOf(donor).clock)
  t.same(joiner.arenas.parameters, donor.arenas.parameters)
})

t.test('a joiner whose donor dies asks another', async t => {
  const world = quadratics(2, createRng(`${seed}/orphan`))
  world.group(1, names(2), () => 0)
  world.add('t02')
  world.kill('t00')
  world.group(1, ['t02'], () => 0, names(2))
  tell(world, ['t00'])
  t.ok(world.run(() => world.trainers.get('t02')!.applied > 3))
})

t.test('a leaver hands its weight on, also past another that leaves', async t => {
  for (let round = 0; round < 20; round++) {
    const world = quadratics(4, createRng(`${seed}/leave/${round}`))
    world.group(1, names(4), () => 0)
    let events = 200 + round
    world.run(() => events-- === 0)
    for (const name of ['t00', 't01', 't02']) world.give(name, { type: 'leave' })
    t.ok(world.run(() => ['t00', 't01', 't02'].every(name => gossip.settled(world.trainers.get(name)!.state))))
    for (const name of ['t00', 't01', 't02']) t.equal(stateOf(world.trainers.get(name)!).weight, 0)
    t.ok(Math.abs(mass(world) - 1) < 1e-12)
  }
})

t.test('alone it trains, and the last to leave just leaves', async t => {
  const world = quadratics(1, createRng(`${seed}/alone`))
  world.group(1, ['t00'], () => 0)
  t.ok(world.run(() => world.trainers.get('t00')!.applied === 10))
  t.equal(stateOf(world.trainers.get('t00')!).weight, 1)
  world.give('t00', { type: 'leave' })
  t.ok(gossip.settled(world.trainers.get('t00')!.state))
})

t.test('a share that is offered twice counts once', async t => {
  const state = gossip.create({})
  const group = {
    job: 'j',
    generation: 1,
    self: 'a',
    members: [{ trainer: 'a' }, { trainer: 'b' }],
    rank: 0,
    size: 4,
    tail: 3,
    optimizer: 0
  }
  gossip.step(state, { type: 'group', group, step: 0 }, env)
  const other = gossip.create({})
  gossip.step(other, { type: 'group', group: { ...group, self: 'b', rank: 1 }, step: 0 }, env)
  const given = gossip.step(other, { type: 'gradients', generation: 1, step: 1, samples: 1, rate: 1 }, env)
  const offer = given.find(e => e.type === 'message')!
  const heard = () => gossip.step(state, { type: 'message', from: 'b', body: offer.body }, env)
  const [receive] = heard()
  t.equal(receive.type, 'receive')
  t.same(heard(), [])
  gossip.step(state, { type: 'landed', id: (receive as { id: string }).id }, env)
  t.equal(state.weight, 0.75)
  t.same(
    heard().map(e => e.type),
    ['message']
  )
  t.equal(state.weight, 0.75)
})

t.test('bytes that no trainer sends change nothing', async t => {
  const rng = createRng(`${seed}/hostile`)
  const state = gossip.create({})
  const group = {
    job: 'j',
    generation: 1,
    self: 'a',
    members: [{ trainer: 'a' }, { trainer: 'b' }],
    rank: 0,
    size: 4,
    tail: 3,
    optimizer: 0
  }
  gossip.step(state, { type: 'group', group, step: 0 }, env)
  const offer = (weight: number, clock: number) => {
    const body = new Uint8Array(25)
    const data = new DataView(body.buffer)
    data.setUint32(1, 1, true)
    data.setFloat64(9, weight, true)
    data.setFloat64(17, clock, true)
    return body
  }
  for (const body of [
    offer(Number.NaN, 1),
    offer(-1, 1),
    offer(Infinity, 1),
    offer(0, 1),
    offer(0.5, -1),
    offer(0.5, 1e300),
    offer(0.5, 1).subarray(1)
  ]) {
    t.same(gossip.step(state, { type: 'message', from: 'b', body }, env), [])
  }
  for (let i = 0; i < 2000; i++) {
    const body = Uint8Array.from({ length: rng.int(30) }, () => (rng.int(3) === 0 ? rng.int(4) : rng.int(256)))
    gossip.step(state, { type: 'message', from: `x${rng.int(5)}`, body }, env)
  }
  t.ok(state.weight <= 0.5 && state.incoming.size <= 5)
})

t.test('a checkpoint keeps weight and clock, with the share in flight; a broken one is refused', async t => {
  const world = quadratics(2, createRng(`${seed}/checkpoint`))
  world.group(1, names(2), () => 0)
  world.run(() => stateOf(world.trainers.get('t00')!).pending !== undefined)
  const state = stateOf(world.trainers.get('t00')!)
  const saved = JSON.parse(JSON.stringify(gossip.checkpoint(state)))
  const restored = gossip.restore({}, saved)
  t.equal(restored.weight, state.weight + state.pending!.weight)
  t.equal(restored.clock, state.clock)
  for (const bad of [undefined, {}, { weight: -1, clock: 0 }, { weight: 1, clock: 0.5 }, { weight: '1', clock: 1 }]) {
    t.throws(() => gossip.restore({}, bad), { name: 'MalformedError', message: /gossip/ })
  }
  t.throws(() => gossip.create({ slots: 0 }), { name: 'InvalidParametersError', message: /slots/ })
  t.throws(() => gossip.create({ topology: 'star' }), { name: 'InvalidParametersError', message: /topology.*ring/ })
})

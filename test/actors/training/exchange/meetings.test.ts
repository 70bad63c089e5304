import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { neighboursOf, partnerOf } from '../../../../actors/training/exchange/topology.ts'
import { createRng } from '../../../../common/index.ts'
import { World } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const SIZE = 2
const RATE = 0.1

interface Init {
  options?: object
  rate?: number
  loss?: number
  start?: (i: number) => number
}

/** Trainers with a quadratic each in double precision, minimum at (i, i), from x = start(i). */
function world(strategy: string, n: number, label: string, { options, rate = RATE, loss, start = i => i }: Init = {}) {
  const world = new World({
    strategy: strategyNamed(strategy),
    options: { ...options },
    rng: createRng(`${seed}/${strategy}/${label}/${n}`),
    size: SIZE,
    tail: 3,
    double: true,
    latency: 0.1,
    ...(loss === undefined ? {} : { loss }),
    engine: {
      gradients({ name, arenas }) {
        for (let i = 0; i < SIZE; i++) arenas.gradients[i] = arenas.parameters[i] - Number(name.slice(1))
      },
      apply({ arenas }) {
        for (let i = 0; i < SIZE; i++) arenas.parameters[i] -= rate * arenas.gradients[i]
      }
    }
  })
  for (const name of names(n)) world.add(name)
  const begin = () => {
    world.group(1, names(n), () => 0)
  }
  // parameters are there before the group event, as a driver has them
  world.group(0, names(n), () => 0)
  for (const x of world.alive) {
    world.freeze(x.name)
    x.arenas.parameters.fill(start(Number(x.name.slice(1))))
    x.state.round = 0
  }
  begin()
  return world
}

/** Runs until everybody has applied `steps`. Whoever has waits for an idle timer that is far longer than a step. */
function run(w: World, steps: number): number[] {
  for (const x of w.alive) x.lastStep = steps
  const through = () => w.alive.every(x => x.applied === steps && (x.state.meeting === undefined || x.state.variant.overlap))
  if (!w.run(through)) throw new Error('the trainers never get there')
  return w.alive.map(x => x.arenas.parameters[0])
}

const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length
const distance = (x: number[]) => Math.sqrt(x.reduce((s, v) => s + (v - mean(x)) ** 2, 0) / x.length)

t.test('on a ring the consensus distance contracts at 1/3 + (2/3)cos(2π/n) a round', async t => {
  for (const n of [3, 5, 8, 12]) {
    const start = (i: number) => Math.cos((2 * Math.PI * i) / n)
    const before = distance(names(n).map((_, i) => start(i)))
    const w = world('d-psgd', n, 'contract', { rate: 0, start })
    const after = distance(run(w, 4))
    const rate = 1 / 3 + (2 / 3) * Math.cos((2 * Math.PI) / n)
    if (n === 3) t.ok(after < 1e-12, 'three on a ring are complete')
    else t.ok(Math.abs((after / before) ** (1 / 4) / rate - 1) < 0.005, `n ${n}: ${(after / before) ** (1 / 4)}, expected ${rate}`)
  }
})

t.test('D-PSGD is X ← XW − αG, step by step, on every graph', async t => {
  for (const topology of ['ring', 'complete', 'grid', 'exponential', 'random-regular'] as const) {
    const n = 6
    const w = world('d-psgd', n, topology, { options: { topology } })
    const found = run(w, 20)
    let x = names(n).map((_, i) => i)
    for (let step = 0; step < 20; step++) {
      const near = names(n).map(name => neighboursOf(topology, names(n), name, 'test'))
      x = x.map((own, i) => {
        let sum = own
        for (const name of near[i]) {
          const j = names(n).indexOf(name)
          sum += (x[j] - own) / (1 + Math.max(near[i].length, near[j].length))
        }
        return sum - RATE * (own - i)
      })
    }
    t.ok(Math.max(...found.map((v, i) => Math.abs(v - x[i]))) < 1e-12, topology)
  }
})

t.test('moshpit is exact after as many rounds as dimensions on a full grid, and not before or elsewhere', async t => {
  for (const [n, dimensions, rounds, exact] of [
    [9, 2, 2, true],
    [16, 2, 2, true],
    [8, 3, 3, true],
    [4, 1, 1, true],
    [9, 2, 1, false],
    [7, 2, 2, false]
  ] as const) {
    const w = world('moshpit', n, `exact/${dimensions}`, { rate: 0, options: { dimensions } })
    const worst = Math.max(...run(w, rounds).map(x => Math.abs(x - (n - 1) / 2)))
    t.equal(worst < 1e-12, exact, `${n} trainers, ${dimensions} dimensions, ${rounds} rounds: off by ${worst}`)
  }
})

t.test('NoLoCo is its formula, whoever is left over included', async t => {
  const [h, a, b] = [3, 0.6, 0.8]
  for (const n of [2, 5]) {
    const w = world('noloco', n, 'formula', { options: { h, 'outer-momentum': a, 'outer-lr': b } })
    const found = run(w, 12)
    const phi = names(n).map((_, i) => i)
    const m = new Array(n).fill(0)
    for (let round = 0; round < 4; round++) {
      const theta = phi.map((x, i) => {
        for (let step = 0; step < h; step++) x -= RATE * (x - i)
        return x
      })
      const old = [...phi]
      for (let i = 0; i < n; i++) {
        const partner = partnerOf(names(n), names(n)[i], `test/${round}`)
        const both = partner === undefined ? [i] : [i, names(n).indexOf(partner)]
        const delta = mean(both.map(j => theta[j] - old[j]))
        m[i] = a * m[i] + b * delta + b * (mean(both.map(j => old[j])) - old[i])
        phi[i] = old[i] + m[i]
      }
    }
    t.ok(Math.max(...found.map((v, i) => Math.abs(v - phi[i]))) < 1e-12, `n ${n}`)
  }
})

for (const strategy of ['d-psgd', 'moshpit', 'noloco']) {
  t.test(`${strategy}: without gradients the mean over trainers stays, and they come together`, async t => {
    const w = world(strategy, 6, 'mean', { rate: 0, options: strategy === 'noloco' ? { h: 1 } : {} })
    const found = run(w, 40)
    t.ok(Math.abs(mean(found) - 2.5) < 1e-12)
    t.ok(distance(found) < 0.05, `${distance(found)}`)
  })

  t.test(`${strategy}: losses, a death, a join and a leave stop nobody`, async t => {
    for (let round = 0; round < 8; round++) {
      const options = { patience: 20, ...(strategy === 'noloco' ? { h: 2 } : {}) }
      const w = world(strategy, 4, `faults/${round}`, { loss: 0.02, options })
      const alive = () => w.alive.map(x => x.name)
      const tell = (dead: string[]) => {
        for (const name of alive()) w.at(w.init.rng.float(), () => w.give(name, { type: 'peers', alive: alive(), dead }))
      }
      t.ok(w.run(() => w.alive.every(x => x.applied >= 10)))
      w.kill('t01')
      tell(['t01'])
      t.ok(
        w.run(() => w.alive.every(x => x.applied >= 20)),
        'after a death'
      )
      w.add('t04')
      w.group(1, ['t04'], () => 0, names(4))
      tell([])
      const joiner = w.trainers.get('t04')!
      t.ok(
        w.run(() => joiner.applied >= 10),
        'a newcomer takes part'
      )
      w.give('t02', { type: 'leave' })
      t.ok(w.init.strategy.settled(w.trainers.get('t02')!.state))
      w.kill('t02')
      tell(['t02'])
      const steps = w.alive.map(x => x.applied)
      t.ok(
        w.run(() => w.alive.every((x, i) => x.applied >= steps[i] + 10)),
        'after a leave'
      )
      t.ok(w.alive.every(x => Math.abs(x.arenas.parameters[0] - 2.3) < 2.5))
      for (const name of alive()) w.give(name, { type: 'drain' })
      t.ok(w.alive.every(x => w.init.strategy.settled(x.state)))
    }
  })
}

t.test('one that lost its round goes on with that of those who wait for it', async t => {
  const w = world('d-psgd', 4, 'lost', { options: { patience: 1_000_000 } })
  t.ok(w.run(() => w.alive.every(x => x.applied >= 10)))
  w.freeze('t02')
  const x = w.trainers.get('t02')!
  x.state.round = 3
  w.group(1, ['t02'], () => x.applied, names(4))
  const before = w.alive.map(y => y.applied)
  t.ok(w.run(() => w.alive.every((y, i) => y.applied >= before[i] + 10)))
})

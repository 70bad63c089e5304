import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { createRng } from '../../../../common/index.ts'
import { World } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const adPsgd = strategyNamed('ad-psgd')

/** Trainers in double precision with a quadratic each, minimum at (i); `rate` 0: they only average. */
function world(
  n: number,
  label: string,
  init: { rate?: number; loss?: number; straggler?: number; topology?: string; steps?: number[] } = {}
) {
  const { rate = 0.05 } = init
  const world = new World({
    strategy: adPsgd,
    options: { topology: init.topology ?? 'complete', patience: 20 },
    rng: createRng(`${seed}/${label}`),
    size: 2,
    tail: 3,
    double: true,
    latency: 0.1,
    ...(init.loss === undefined ? {} : { loss: init.loss }),
    computeTime: name => (name === 't00' ? (init.straggler ?? 1) : 1),
    engine: {
      gradients({ name, arenas }) {
        for (let i = 0; i < 2; i++) arenas.gradients[i] = arenas.parameters[i] - Number(name.slice(1))
      },
      apply({ arenas }) {
        for (let i = 0; i < 2; i++) arenas.parameters[i] -= rate * arenas.gradients[i]
      }
    }
  })
  for (const name of names(n)) world.add(name).lastStep = init.steps?.[Number(name.slice(1))] ?? Infinity
  world.group(1, names(n), () => 0)
  return world
}

const values = (w: World) => w.alive.map(x => x.arenas.parameters[0])
const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length
const quiet = (w: World) => w.alive.every(x => adPsgd.settled(x.state))

for (const topology of ['complete', 'ring', 'grid']) {
  t.test(`${topology}: without gradients the mean over trainers stays, and they come together`, async t => {
    for (const n of [2, 3, 6]) {
      const w = world(n, `mean/${topology}/${n}`, { rate: 0, topology })
      for (const x of w.alive) x.arenas.parameters.fill(Number(x.name.slice(1)))
      for (const x of w.alive) x.lastStep = 60
      t.ok(w.run(() => w.alive.every(x => x.applied === 60) && quiet(w)))
      t.ok(Math.abs(mean(values(w)) - (n - 1) / 2) < 1e-12)
      t.ok(Math.max(...values(w)) - Math.min(...values(w)) < 0.01, `n ${n}: ${values(w)}`)
    }
  })
}

t.test('nobody waits for a straggler, and all come near the minimum of the sum', async t => {
  const w = world(6, 'straggler', { straggler: 8 })
  t.ok(w.run(() => w.trainers.get('t00')!.applied >= 100))
  t.ok(w.alive.every(x => x.name === 't00' || x.applied > 300))
  // the straggler's minimum, 0, counts for an eighth: the mean is drawn towards the others'
  t.ok(mean(values(w)) > 2.3 && mean(values(w)) < 3.3, `${mean(values(w))}`)
})

t.test('an average is one half of each, and the gradient that of before it', async t => {
  const w = world(2, 'order', { rate: 1, steps: [1, 0] })
  const [a, b] = w.alive
  a.arenas.parameters.fill(8)
  b.arenas.parameters.fill(4)
  t.ok(w.run(() => a.applied === 1 && quiet(w)))
  // a's gradient at 8 is 8; the average is 6
  t.equal(b.arenas.parameters[0], 6)
  t.equal(a.arenas.parameters[0], 6 - 8)
})

t.test('losses, a death, a join and a leave stop nobody', async t => {
  for (let round = 0; round < 20; round++) {
    const w = world(4, `faults/${round}`, { loss: 0.03 })
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
    t.ok(
      w.run(() => w.trainers.get('t04')!.applied >= 10),
      'a newcomer takes part'
    )
    w.give('t02', { type: 'leave' })
    t.ok(adPsgd.settled(w.trainers.get('t02')!.state))
    w.kill('t02')
    tell(['t02'])
    const steps = w.alive.map(x => x.applied)
    t.ok(
      w.run(() => w.alive.every((x, i) => x.applied >= steps[i] + 10)),
      'after a leave'
    )
    for (const x of w.alive) x.lastStep = 0
    t.ok(w.run(() => quiet(w)))
    t.ok(values(w).every(x => x > -1 && x < 5))
  }
})

t.test('a newcomer begins with a neighbour’s parameters', async t => {
  const w = world(1, 'join', { rate: 0 })
  w.trainers.get('t00')!.arenas.parameters.fill(7)
  w.add('t01').lastStep = 0
  w.group(1, ['t01'], () => 0, ['t00'])
  for (const x of w.alive) w.give(x.name, { type: 'peers', alive: ['t00', 't01'], dead: [] })
  t.notOk(adPsgd.settled(w.trainers.get('t01')!.state))
  t.ok(w.run(() => adPsgd.settled(w.trainers.get('t01')!.state)))
  t.equal(w.trainers.get('t01')!.arenas.parameters[0], 7)
})

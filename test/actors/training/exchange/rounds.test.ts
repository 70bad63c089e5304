import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { createRng, type Rng } from '../../../../common/index.ts'
import { World, type WorldInit } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const RATE = 0.05
const SIZE = 6
const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const rankOf = (name: string) => Number(name.slice(1))

/** Gradient of the mean loss of one rank at x: a quadratic with its own curvature and minimum. */
function slope(rank: number, i: number, x: number): number {
  return (1 + 0.3 * Math.sin(rank + i)) * (x - Math.cos(3 * rank + i))
}

/** What rank r trains in step k: not the same number everywhere, and none now and then. */
const samplesOf = (rank: number, step: number) => (rank === 1 && step % 5 === 0 ? 0 : 1 + ((rank + step) % 3))

/** Runs `strategy` on p ranks for `steps` steps. @returns the parameters of every rank */
function train(strategy: string, options: Record<string, unknown>, p: number, steps: number, init: Partial<WorldInit> = {}) {
  const world = new World({
    strategy: strategyNamed(strategy),
    options,
    rng: createRng(`${seed}/${strategy}/${p}/${steps}`),
    size: SIZE,
    tail: 3,
    double: true,
    rate: RATE,
    samples: ({ name }, step) => samplesOf(rankOf(name), step),
    engine: {
      // of the sum of the samples' losses, as the contract of engines says
      gradients({ name, arenas: { gradients, parameters } }, step) {
        const n = samplesOf(rankOf(name), step)
        for (let i = 0; i < SIZE; i++) gradients[i] = n * slope(rankOf(name), i, parameters[i])
        gradients.set([0, n, 0], SIZE)
      },
      apply({ arenas: { gradients, parameters } }) {
        const n = gradients[SIZE + 1]
        if (n > 0) for (let i = 0; i < SIZE; i++) parameters[i] -= (RATE * gradients[i]) / n
      }
    },
    ...init
  })
  for (const name of names(p)) world.add(name).lastStep = steps
  world.group(1, names(p), () => 0)
  if (!world.run(() => world.alive.every(x => x.applied === steps && world.init.strategy.settled(x.state)))) throw new Error('stuck')
  return { world, parameters: [...world.trainers.values()].map(x => Array.from(x.arenas.parameters)) }
}

/** The same by formulas: SGD on the whole batch. */
function wholeBatch(p: number, steps: number): number[] {
  const x = new Array(SIZE).fill(0)
  for (let step = 1; step <= steps; step++) {
    let total = 0
    for (let r = 0; r < p; r++) total += samplesOf(r, step)
    for (let i = 0; i < SIZE; i++) {
      let sum = 0
      for (let r = 0; r < p; r++) sum += samplesOf(r, step) * slope(r, i, x[i])
      x[i] -= (RATE * sum) / total
    }
  }
  return x
}

/** Rounds by formulas; `outer` is told the mean movement and says where the next round begins. */
function roundsBy(p: number, steps: number, h: number, outer: (anchor: number[], mean: number[], last: boolean) => number[]): number[] {
  let anchor = new Array(SIZE).fill(0)
  for (let first = 1; first <= steps; first += h) {
    const mean = new Array(SIZE).fill(0)
    let total = 0
    const last = first + h > steps
    for (let r = 0; r < p; r++) {
      const x = [...anchor]
      let n = 0
      for (let step = first; step < first + h && step <= steps; step++) {
        if (samplesOf(r, step) === 0) continue
        n += samplesOf(r, step)
        for (let i = 0; i < SIZE; i++) x[i] -= RATE * slope(r, i, x[i])
      }
      for (let i = 0; i < SIZE; i++) mean[i] += n * (x[i] - anchor[i])
      total += n
    }
    anchor = outer(
      anchor,
      mean.map(m => m / total),
      last
    )
  }
  return anchor
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i])))

for (const [strategy, options] of [
  ['allreduce', { algorithm: 'ring' }],
  ['allreduce', { algorithm: 'halving-doubling' }],
  ['local-sgd', { h: 1 }]
] as const) {
  t.test(`${strategy} ${JSON.stringify(options)} is one big batch: to 1e-12 over 1,000 steps in double precision`, async t => {
    for (const p of [1, 2, 4, 5]) {
      const expected = wholeBatch(p, 1000)
      const { parameters } = train(strategy, options, p, 1000)
      for (const x of parameters) t.ok(distance(x, expected) < 1e-12, `p ${p}: ${distance(x, expected)}`)
    }
  })

  t.test(`${strategy} ${JSON.stringify(options)} is one big batch: to 1e-6 a step in float32`, async t => {
    const { parameters } = train(strategy, options, 4, 1, { double: false })
    for (const x of parameters) t.ok(distance(x, wholeBatch(4, 1)) < 1e-6)
  })
}

t.test('local SGD with h = 8 is not one big batch, and is its own formula', async t => {
  const { parameters } = train('local-sgd', { h: 8 }, 4, 100)
  const expected = roundsBy(4, 100, 8, (anchor, mean) => anchor.map((x, i) => x + mean[i]))
  for (const x of parameters) t.ok(distance(x, expected) < 1e-12)
  t.ok(distance(parameters[0], wholeBatch(4, 100)) > 1e-3)
})

t.test('BMUF, SlowMo and DiLoCo are their formulas', async t => {
  const p = 3
  const steps = 50
  const h = 4
  {
    const delta = new Array(SIZE).fill(0)
    const expected = roundsBy(p, steps, h, (w, mean) =>
      w.map((x, i) => {
        delta[i] = (2 / 3) * delta[i] + 0.9 * mean[i]
        return x + delta[i]
      })
    )
    t.ok(distance(train('bmuf', { h, 'block-rate': 0.9 }, p, steps).parameters[1], expected) < 1e-12)
  }
  {
    // Nesterov: W and the restart point apart
    const delta = new Array(SIZE).fill(0)
    let w = new Array(SIZE).fill(0)
    const expected = roundsBy(p, steps, h, (_, mean, last) => {
      for (let i = 0; i < SIZE; i++) delta[i] = 0.5 * delta[i] + mean[i]
      w = w.map((x, i) => x + delta[i])
      return w.map((x, i) => (last ? x : x + 0.5 * delta[i]))
    })
    const found = train('bmuf', { h, 'block-momentum': 0.5, form: 'nesterov' }, p, steps).parameters[1]
    t.ok(distance(found, expected) < 1e-12, `${distance(found, expected)}`)
  }
  {
    const u = new Array(SIZE).fill(0)
    const expected = roundsBy(p, steps, h, (x0, mean) =>
      x0.map((x, i) => {
        u[i] = 0.6 * u[i] - mean[i] / RATE
        return x - 0.8 * RATE * u[i]
      })
    )
    t.ok(distance(train('slowmo', { h, beta: 0.6, alpha: 0.8 }, p, steps).parameters[1], expected) < 1e-12)
  }
  {
    const m = new Array(SIZE).fill(0)
    const expected = roundsBy(p, steps, h, (old, mean) =>
      old.map((x, i) => {
        m[i] = 0.9 * m[i] - mean[i]
        return x - 0.7 * (-mean[i] + 0.9 * m[i])
      })
    )
    t.ok(distance(train('diloco', { h }, p, steps).parameters[1], expected) < 1e-12)
  }
})

t.test('BMUF with η = 0 and ζ = 1 is local SGD bit for bit; SlowMo with β = 0 and DiLoCo without momentum are local SGD', async t => {
  const of = (strategy: string, options: Record<string, unknown>, double: boolean) =>
    train(strategy, { h: 4, ...options }, 4, 30, { double }).parameters[2]
  t.same(of('bmuf', { 'block-momentum': 0 }, false), of('local-sgd', {}, false))
  t.same(of('bmuf', { 'block-momentum': 0, form: 'nesterov' }, false), of('local-sgd', {}, false))
  t.ok(distance(of('slowmo', { beta: 0 }, true), of('local-sgd', {}, true)) < 1e-14)
  t.ok(distance(of('diloco', { 'outer-lr': 1, 'outer-momentum': 0 }, true), of('local-sgd', {}, true)) < 1e-14)
})

t.test('running statistics are averaged, whatever an outer update does with weights', async t => {
  const plain = train('local-sgd', { h: 3 }, 4, 12).parameters[0]!
  for (const [strategy, options] of [
    ['bmuf', { h: 3, form: 'nesterov' }],
    ['slowmo', { h: 3 }],
    ['diloco', { h: 3 }]
  ] as const) {
    for (const parameters of train(strategy, options, 4, 12, { statistics: 2 }).parameters) {
      t.ok(distance(parameters.slice(SIZE - 2), plain.slice(SIZE - 2)) < 1e-12, `${strategy}: ${parameters}`)
      t.ok(distance(parameters.slice(0, SIZE - 2), plain.slice(0, SIZE - 2)) > 1e-3, 'weights go their own way')
    }
  }
})

t.test("average-optimizer takes the mean of the optimizers' state; without it every rank keeps its own", async t => {
  for (const averages of [true, false]) {
    const { world } = train('local-sgd', { h: 5, 'average-optimizer': averages }, 4, 5, {
      optimizer: 3,
      samples: () => 1,
      engine: {
        gradients() {},
        apply: ({ name, arenas: { optimizer } }) => optimizer.fill(rankOf(name))
      }
    })
    for (const { name, arenas } of world.trainers.values()) t.ok(arenas.optimizer.every(x => x === (averages ? 1.5 : rankOf(name))))
  }
})

/** A world in which every local step of rank i adds p·2^i, so that a round of h steps adds h times the mask of its ranks. */
function masks(strategy: string, options: Record<string, unknown>, p: number, rng: Rng) {
  const committed = new Map<string, { step: number; arenas: Record<'parameters' | 'state', Float32Array> }>()
  let ranks = p
  const world = new World({
    strategy: strategyNamed(strategy),
    options,
    rng,
    size: 7,
    tail: 3,
    engine: {
      gradients: ({ name, arenas }) => arenas.gradients.fill(ranks * 2 ** rankOf(name)),
      apply({ arenas: { gradients, parameters } }) {
        for (let i = 0; i < parameters.length; i++) parameters[i] += gradients[i]
      },
      commit({ name, arenas: { parameters, state } }, step) {
        committed.set(name, { step, arenas: { parameters: parameters.slice(), state: state.slice() } })
      }
    }
  })
  for (const name of names(p)) world.add(name)
  return { world, committed, setRanks: (n: number) => (ranks = n) }
}

t.test('deaths and freezes at any point: whole rounds count once, and unfinished ones not at all', async t => {
  for (let round = 0; round < 80; round++) {
    const rng = createRng(`${seed}/fault/${round}`)
    const p = 2 + rng.int(5)
    const h = 1 + rng.int(4)
    const last = 6 * h
    const { world, committed, setRanks } = masks('local-sgd', { h, algorithm: 'halving-doubling' }, p, rng)
    for (const trainer of world.trainers.values()) trainer.lastStep = last
    let living = names(p)
    const start = new Float32Array(7)
    for (const name of living) committed.set(name, { step: 0, arenas: { parameters: start.slice(), state: start.slice() } })
    world.group(1, living, () => 0)
    const maskOf = new Map<number, number>()
    for (let generation = 2; ; generation++) {
      const until = living.length > 1 && rng.int(4) !== 0 ? rng.int(300) : Infinity
      let count = 0
      const over = world.run(() => world.alive.every(x => committed.get(x.name)!.step === last) || count++ === until)
      const mask = living.reduce((m, name) => m + 2 ** rankOf(name), 0)
      const done = over && world.alive.every(x => committed.get(x.name)!.step === last)
      if (!done) {
        const victim = living[rng.int(living.length)]
        world.kill(victim)
        living = living.filter(name => name !== victim)
      }
      for (const name of living) {
        let more = rng.int(20)
        world.run(() => more-- === 0)
        world.freeze(name)
      }
      const steps = living.map(name => committed.get(name)!.step)
      const highest = Math.max(...steps)
      for (let step = h; step <= highest; step += h) if (!maskOf.has(step)) maskOf.set(step, mask)
      if (done) break
      t.ok(highest - Math.min(...steps) <= h, 'ranks are at most one round apart')
      const source = committed.get(living[steps.indexOf(highest)])!
      for (const name of living) {
        const { parameters, state } = world.trainers.get(name)!.arenas
        if (committed.get(name)!.step === highest) t.same(committed.get(name)!.arenas, source.arenas)
        parameters.set(source.arenas.parameters)
        state.set(source.arenas.state)
        committed.set(name, source)
      }
      setRanks(living.length)
      world.group(generation, living, () => highest)
    }
    let expected = 0
    for (let step = h; step <= last; step += h) expected += h * (maskOf.get(step) ?? Number.NaN)
    for (const { arenas } of world.alive)
      t.ok(
        arenas.parameters.every(x => x === expected),
        `round ${round}`
      )
  }
})

t.test('wrong options are refused by name', async t => {
  for (const [strategy, options, message] of [
    ['local-sgd', { h: 0 }, /'h'.*local-sgd/],
    ['local-sgd', { 'average-optimizer': 1 }, /average-optimizer/],
    ['bmuf', { form: 'fast' }, /classical, nesterov/],
    ['slowmo', { beta: 1 }, /beta.*below 1/],
    ['diloco', { 'outer-lr': 0 }, /outer-lr.*above 0/],
    ['diloco', { lr: 1 }, /no option 'lr'.*outer-lr/]
  ] as const) {
    t.throws(() => strategyNamed(strategy).create(options), { name: 'InvalidParametersError', message })
  }
})

import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { ownerOf, type ShardsState } from '../../../../actors/training/exchange/shard-state.ts'
import { createRng } from '../../../../common/index.ts'
import { type TestTrainer, World, type WorldInit } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const stateOf = (x: TestTrainer): ShardsState => x.state
const SIZE = 6
const all = ['softsync', 'downpour', 'fasgd', 'dc-asgd', 'ssp', 'easgd', 'eamsgd']

/** Trainers with the same quadratic or one each: gradient at x is curvature · (x − minimum of the trainer), of 2 samples' sum. */
function world(
  strategy: string,
  n: number,
  label: string,
  init: Partial<WorldInit> & { minimum?: (i: number) => number; curvature?: number; steps?: number } = {}
) {
  const { minimum = i => i, curvature = 1, steps = Infinity, rate = 0.05, size = SIZE } = init
  const world = new World({
    strategy: strategyNamed(strategy),
    rng: createRng(`${seed}/${strategy}/${label}`),
    size,
    tail: 3,
    double: true,
    latency: 0.02,
    samples: () => 2,
    engine: {
      gradients({ name, arenas: { gradients, parameters } }) {
        for (let i = 0; i < size; i++) gradients[i] = 2 * curvature * (parameters[i] - minimum(Number(name.slice(1))))
        gradients.set([0, 2, 0], size)
      },
      apply({ arenas: { gradients, parameters } }, _, scale) {
        if (scale > 0) for (let i = 0; i < size; i++) parameters[i] -= (scale * rate * gradients[i]) / 2
      }
    },
    ...init,
    rate
  })
  for (const name of names(n)) world.add(name).lastStep = steps
  world.group(1, names(n), () => 0)
  return world
}

/** The shards as their owners hold them. */
function model(w: World): number[] {
  const found = new Array(w.init.size).fill(Number.NaN)
  for (const x of w.alive) {
    const s = stateOf(x)
    for (const [shard, owned] of s.owned) {
      if (owned.rebuilding !== undefined || ownerOf(s, shard) !== x.name) continue
      const [start, end] = [Math.floor((shard * s.size) / s.shards), Math.floor(((shard + 1) * s.size) / s.shards)]
      for (let i = start; i < end; i++) found[i] = x.arenas.state[i]
    }
  }
  return found
}

const delays: Record<string, (x: TestTrainer) => number> = {
  constant: () => 1,
  lognormal: x => Math.exp(0.5 * x.rng.normal()),
  exponential: x => -Math.log(1 - x.rng.float()),
  straggler: x => (x.name === 't00' ? 5 : 1) * (0.9 + 0.2 * x.rng.float())
}

for (const [delay, computeDelay] of Object.entries(delays)) {
  t.test(`mean staleness of softsync is (λ - 1)/c within 0.5 %: ${delay} delays`, async t => {
    const lambda = 12
    for (const n of [1, 3, 12]) {
      const w = world('softsync', lambda, `staleness/${delay}/${n}`, {
        computeDelay,
        options: { n, shards: 1, slots: 16 },
        size: 1,
        rate: 0
      })
      const warm = 100
      const seen = () => w.alive.flatMap(x => x.reports).filter(r => r.name === 'staleness')
      w.run(() => w.alive.reduce((s, x) => s + x.applied, 0) >= 12_000)
      const values = seen()
        .sort((a, b) => a.time - b.time)
        .slice(warm)
        .map(r => r.value)
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      const expected = (lambda - 1) / Math.floor(lambda / n)
      t.ok(Math.abs(mean / expected - 1) < 0.005, `n ${n}: ${mean}, expected ${expected}`)
    }
  })
}

t.test('fixed rates diverge beyond αL = 2 sin(π/(2(2τ+1))) and not below', async t => {
  for (const tau of [1, 2, 5]) {
    const limit = 2 * Math.sin(Math.PI / (2 * (2 * tau + 1)))
    for (const factor of [0.95, 1.05]) {
      const curvature = 2
      // by turns, so that every gradient is as old as there are other trainers
      const w = world('softsync', tau + 1, `limit/${tau}/${factor}`, {
        size: 1,
        rate: (factor * limit) / curvature,
        curvature,
        minimum: () => 0,
        latency: 1e-9,
        options: { n: 0, rule: 'fixed', momentum: 0, shards: 1 },
        computeDelay: (x, step) => (step === 1 ? 1 + Number(x.name.slice(1)) / (tau + 1) : 1)
      })
      for (const x of w.alive) {
        x.arenas.parameters.fill(1)
        x.arenas.state.fill(1)
      }
      w.run(() => w.alive.every(x => x.applied >= 1500 / (tau + 1)))
      const size = Math.abs(model(w)[0])
      t.ok(factor < 1 ? size < 0.01 : size > 100, `τ ${tau}, ${factor} of the limit: ${size}`)
    }
  }
})

t.test('staleness-aware rates hold where fixed ones diverge', async t => {
  const at = (rule: string) => {
    const w = world('softsync', 12, `rule/${rule}`, {
      rate: 0.5,
      minimum: () => 0,
      options: { n: 0, rule, momentum: 0, slots: 16 },
      computeDelay: delays['lognormal']
    })
    for (const x of w.alive) {
      x.arenas.parameters.fill(1)
      x.arenas.state.fill(1)
    }
    w.run(() => w.alive.reduce((s, x) => s + x.applied, 0) >= 1000)
    return Math.max(...model(w).map(Math.abs))
  }
  t.ok(at('fixed') > 1e3)
  t.ok(at('stale') < 1e-3)
})

t.test('DC-ASGD with λ = 0 is asynchronous SGD, bit for bit', async t => {
  const end = (strategy: string, options: object) => {
    const w = world(strategy, 4, 'same', {
      options: { shards: 3, ...options },
      double: false,
      latency: 1e-9,
      steps: 50,
      // far enough apart that transfers cannot change the order of arrival
      computeDelay: x => 1 + 0.137 * Number(x.name.slice(1))
    })
    t.ok(w.run(() => w.alive.every(x => x.applied === 50 && stateOf(x).requests.length === 0), 300_000))
    return model(w)
  }
  const plain = end('softsync', { n: 0, rule: 'fixed', momentum: 0 })
  t.same(end('dc-asgd', { lambda: 0 }), plain)
  t.notSame(end('dc-asgd', { lambda: 0.5 }), plain)
})

t.test('DC-ASGD, FASGD and Downpour are their formulas', async t => {
  // two trainers by turns: every gradient but the first is one update old
  const turns = (strategy: string, options: object, steps: number) => {
    const w = world(strategy, 2, 'formula', {
      size: 1,
      latency: 1e-9,
      options: { shards: 1, ...options },
      computeDelay: (x, step) => (step === 1 && x.name === 't01' ? 1.5 : 1)
    })
    w.run(() => w.alive.every(x => x.applied >= steps))
    const owner = w.alive.find(x => stateOf(x).owned.size > 0)!
    return { value: owner.arenas.state[0], updates: stateOf(owner).owned.get(0)!.clock }
  }
  const by = (updates: number, rule: (g: number, w: number, backup: number, tau: number, first: boolean) => number) => {
    let w = 0
    const copies = [0, 0]
    const clocks = [0, 0]
    for (let k = 0; k < updates; k++) {
      const i = k % 2
      w = rule(copies[i] - i, w, copies[i], k - clocks[i], k === 0)
      copies[i] = w
      clocks[i] = k + 1
    }
    return w
  }
  {
    const { value, updates } = turns('dc-asgd', { lambda: 0.7 }, 30)
    t.ok(Math.abs(value - by(updates, (g, w, backup) => w - 0.05 * (g + 0.7 * g * g * (w - backup)))) < 1e-12)
  }
  {
    let [n, b, v] = [0, 0, 0]
    const { value, updates } = turns('fasgd', { gamma: 0.8, beta: 0.7, epsilon: 0.01 }, 30)
    const expected = by(updates, (g, w, _, tau, first) => {
      n = 0.8 * n + 0.2 * g * g
      b = 0.8 * b + 0.2 * g
      const std = Math.sqrt(Math.max(0, n - b * b) + 0.01)
      v = first ? std : 0.7 * v + 0.3 * std
      return w - (0.05 / (v * Math.max(1, tau))) * g
    })
    t.ok(Math.abs(value - expected) < 1e-12, `${value}, expected ${expected}`)
  }
  {
    let h = 0
    const { value, updates } = turns('downpour', { delta: 1e-3 }, 30)
    const expected = by(updates, (g, w) => {
      h += g * g
      return w - (0.05 * g) / (Math.sqrt(h) + 1e-3)
    })
    t.ok(Math.abs(value - expected) < 1e-12, `${value}, expected ${expected}`)
  }
})

t.test('Downpour pushes sums and fetches at their own paces', async t => {
  const w = world('downpour', 3, 'paces', { options: { 'n-push': 2, 'n-fetch': 3 }, steps: 60 })
  t.ok(w.run(() => w.alive.every(x => x.applied === 60 && stateOf(x).requests.length === 0)))
  const clock = w.alive.flatMap(x => [...stateOf(x).owned.values()]).map(o => o.clock)
  t.ok(clock.length === 8 && clock.every(c => c === 3 * 30), `${clock}`)
})

t.test('the gap of SSP never exceeds s, and s = 0 is synchronous SGD', async t => {
  for (const s of [0, 1, 4]) {
    const steps = 60
    const w = world('ssp', 5, `gap/${s}`, { options: { s, shards: 3 }, steps, computeTime: name => (name === 't00' ? 5 : 1) })
    let most = 0
    const pushed = () => w.alive.map(x => Math.max(0, ...[...stateOf(x).owned.values()].map(() => 0), x.applied))
    const done = w.run(() => {
      const all = pushed()
      most = Math.max(most, Math.max(...all) - Math.min(...all))
      return w.alive.every(x => x.applied === steps && stateOf(x).requests.length === 0)
    })
    t.ok(done)
    // a step is applied before its push is answered: one may be under way
    t.ok(most <= s + 1, `s ${s}: gap ${most}`)
    if (s > 0) t.ok(most >= s, `${most}: it is used`)
    if (s === 0) {
      let x = 0
      for (let step = 0; step < steps; step++) x -= 0.05 * (x - 2)
      t.ok(
        model(w).every(v => Math.abs(v - x) < 1e-12),
        `${model(w)}, expected ${x}`
      )
    }
  }
})

t.test('an exchange of EASGD conserves Σx_i + x̃', async t => {
  for (const strategy of ['easgd', 'eamsgd']) {
    const w = world(strategy, 4, 'conserves', { rate: 0, options: { t: 1, a: 0.3 }, steps: 40 })
    for (const x of w.alive) x.arenas.parameters.fill(Number(x.name.slice(1)) + 1)
    const total = () => w.alive.reduce((s, x) => s + x.arenas.parameters[0], 0) + model(w)[0]
    const before = total()
    t.ok(w.run(() => w.alive.every(x => x.applied === 40 && stateOf(x).requests.length === 0)))
    t.ok(Math.abs(total() - before) < 1e-12, `${strategy}: ${total()}, was ${before}`)
    const spread = w.alive.map(x => x.arenas.parameters[0])
    t.ok(Math.max(...spread) - Math.min(...spread) < 0.01)
  }
})

for (const strategy of all) {
  t.test(`${strategy}: trains to the minimum of the sum, and everybody ends with the model`, async t => {
    const w = world(strategy, 4, 'minimum', {
      rate: strategy === 'downpour' ? 0.3 : 0.04,
      double: false,
      options: strategy === 'softsync' ? { momentum: 0 } : {}
    })
    t.ok(w.run(() => w.alive.every(x => x.applied >= 100), 300_000))
    // A border that nobody has reached, so that no gradients are still to come when the first drains.
    const last = Math.max(...w.alive.map(x => x.applied)) + 2
    for (const x of w.alive) x.lastStep = last
    t.ok(w.run(() => w.alive.every(x => x.applied === last && stateOf(x).requests.length === 0), 300_000))
    for (const x of w.alive) w.give(x.name, { type: 'drain' })
    t.ok(w.run(() => w.alive.every(x => w.init.strategy.settled(x.state)), 300_000))
    const expected = model(w)
    for (const x of w.alive) t.same(Array.from(x.arenas.parameters), expected)
    t.ok(
      expected.every(v => Math.abs(v - 1.5) < 1.2),
      `${expected}`
    )
  })

  t.test(`${strategy}: owners die, join and leave, messages are lost, and it goes on`, async t => {
    // A known fault of SSP: where messages are lost a newcomer may wait for ever (docs/strategies.md).
    if (strategy === 'ssp') t.comment('lost messages are left out for ssp: a newcomer may then wait for ever')
    for (let round = 0; round < (strategy === 'ssp' ? 1 : 2); round++) {
      const w = world(strategy, 4, `faults/${round}`, { loss: round % 2 === 0 ? 0 : 0.02 })
      const alive = () => w.alive.map(x => x.name)
      const tell = (dead: string[]) => {
        for (const name of alive()) w.at(w.init.rng.float(), () => w.give(name, { type: 'peers', alive: alive(), dead }))
      }
      const further = (steps: number) => {
        const before = w.alive.map(x => x.applied)
        return w.run(() => w.alive.every((x, i) => x.applied >= before[i] + steps), 100_000)
      }
      t.ok(further(10))
      const clocks = () => Math.max(...w.alive.flatMap(x => [...stateOf(x).owned.values()].map(o => o.clock)))
      const before = clocks()
      w.kill('t01')
      tell(['t01'])
      t.ok(further(10), `round ${round}: after a death`)
      t.ok(clocks() >= before, 'clocks go on')
      w.add('t04')
      w.group(1, ['t04'], () => 0, names(4))
      tell([])
      t.ok(
        w.run(() => w.trainers.get('t04')!.applied >= 10),
        `round ${round}: a newcomer takes part`
      )
      t.ok(further(5))
      w.give('t02', { type: 'leave' })
      t.ok(w.init.strategy.settled(w.trainers.get('t02')!.state))
      w.kill('t02')
      tell(['t02'])
      t.ok(further(10), `round ${round}: after a leave`)
      for (const x of w.alive) x.lastStep = x.applied
      const quiet = () =>
        w.alive.every(x => stateOf(x).requests.length === 0 && [...stateOf(x).owned.values()].every(o => o.rebuilding === undefined))
      t.ok(w.run(quiet, 100_000))
      t.ok(
        model(w).every(v => v > -2 && v < 6),
        `round ${round}: every shard has an owner: ${model(w)}`
      )
      t.equal(new Set(w.alive.flatMap(x => [...stateOf(x).owned.keys()])).size, 8)
    }
  })
}

t.test('a shard whose owner died goes on from the newest copy', async t => {
  const w = world('softsync', 4, 'newest', { options: { shards: 1, momentum: 0 }, steps: 25 })
  t.ok(w.run(() => w.alive.every(x => x.applied === 25 && stateOf(x).requests.length === 0)))
  const owner = w.alive.find(x => stateOf(x).owned.size > 0)!
  const newest = Math.max(...w.alive.filter(x => x !== owner).map(x => stateOf(x).clocks[0]))
  w.kill(owner.name)
  for (const x of w.alive) w.give(x.name, { type: 'peers', alive: w.alive.map(y => y.name), dead: [owner.name] })
  t.ok(w.run(() => w.alive.some(x => stateOf(x).owned.get(0) !== undefined && stateOf(x).owned.get(0)!.rebuilding === undefined)))
  const next = w.alive.find(x => stateOf(x).owned.size > 0)!
  t.equal(stateOf(next).owned.get(0)!.clock, newest)
  const holder = w.alive.find(x => stateOf(x).clocks[0] === newest)!
  t.same(next.arenas.state.slice(0, SIZE), holder.arenas.state.slice(SIZE, 2 * SIZE))
})

t.test('wrong options and bytes that no trainer sends change nothing', async t => {
  t.throws(() => strategyNamed('softsync').create({ rule: 'new' }), { name: 'InvalidParametersError', message: /stale, fixed/ })
  t.throws(() => strategyNamed('easgd').create({ momentum: 0.5 }), { name: 'InvalidParametersError', message: /no option 'momentum'/ })
  const rng = createRng(`${seed}/hostile`)
  const w = world('softsync', 2, 'hostile', { steps: 0 })
  for (let i = 0; i < 3000; i++) {
    const body = Uint8Array.from({ length: rng.int(4) === 0 ? rng.int(40) : 25 }, () => (rng.int(3) === 0 ? rng.int(10) : rng.int(256)))
    stateOf(w.trainers.get('t00')!).incoming.length = 0
    w.init.strategy.step(w.trainers.get('t00')!.state, { type: 'message', from: `x${rng.int(5)}`, body }, { now: 0, random: rng })
  }
  t.ok(w.trainers.get('t00')!.arenas.parameters.every(x => x === 0))
})

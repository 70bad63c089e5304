import assert from 'node:assert/strict'
import t from 'tap'
import {
  createLedgerCore,
  encodeLedger,
  figures,
  isFinished,
  type LedgerEvent,
  type LedgerSpec,
  type LedgerState,
  ledgerStep,
  mergeLedger
} from '../../../../actors/training/ledger/index.ts'
import { createRng, type Rng } from '../../../../common/index.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

interface Trainer {
  name: string
  state: LedgerState
  rng: Rng
  speed: number
  dead: boolean
  current: boolean
  completed: number[]
  finishedAt?: number
  timers: Map<string, object>
}

interface Happening {
  time: number
  order: number
  run(): void
}

/** Trainers of one job on a virtual clock; messages of a pair keep their order, some are lost where the test says so. */
class World {
  readonly spec: LedgerSpec
  readonly rng: Rng
  readonly latency: number
  loss = 0
  /** Whether a message gets from one to the other. */
  linked: (from: string, to: string) => boolean = () => true
  readonly trainers = new Map<string, Trainer>()
  /** Every range a trainer trained to the end. */
  readonly trained: string[] = []
  readonly started: string[] = []
  time = 0
  #queue: Happening[] = []
  #order = 0
  #last = new Map<string, number>()

  constructor(spec: LedgerSpec, rng: Rng, latency = 1) {
    this.spec = spec
    this.rng = rng
    this.latency = latency
  }

  get alive(): Trainer[] {
    return [...this.trainers.values()].filter(x => !x.dead)
  }

  add(name: string, speed = 1): Trainer {
    const trainer = {
      name,
      state: createLedgerCore(name, this.spec),
      rng: this.rng.fork(name),
      speed,
      dead: false,
      current: false,
      completed: [],
      timers: new Map()
    }
    this.trainers.set(name, trainer)
    return trainer
  }

  found(n: number, speed: (i: number) => number = () => 1): void {
    const names = Array.from({ length: n }, (_, i) => `t${i}`)
    names.forEach((name, i) => {
      this.add(name, speed(i))
    })
    for (const name of names) this.give(name, { type: 'start', alive: names, joining: false })
  }

  join(name: string): void {
    const alive = this.alive.map(x => x.name)
    this.add(name)
    this.give(name, { type: 'start', alive, joining: true })
    this.tell()
  }

  kill(name: string): void {
    this.trainers.get(name)!.dead = true
    this.tell()
  }

  /** Everyone learns, each some time later, who lives then. */
  tell(): void {
    for (const { name } of this.alive) {
      this.at(this.rng.float() * 50 * this.latency, () => this.give(name, { type: 'peers', alive: this.alive.map(x => x.name) }))
    }
  }

  give(name: string, event: LedgerEvent): void {
    const trainer = this.trainers.get(name)!
    if (trainer.dead) return
    for (const effect of ledgerStep(trainer.state, event, { now: this.time, random: trainer.rng })) {
      switch (effect.type) {
        case 'train': {
          assert.ok(!trainer.current, 'one range at a time')
          const { epoch, range, start, end } = effect
          assert.equal(start, range * this.spec.rangeSize)
          assert.equal(end, Math.min(this.spec.samples, start + this.spec.rangeSize))
          trainer.current = true
          this.started.push(`${epoch}/${range}`)
          this.at(trainer.speed * 20 * (0.8 + 0.4 * this.rng.float()), () => {
            if (trainer.dead || trainer.state.phase === 'left') return
            trainer.current = false
            this.trained.push(`${epoch}/${range}`)
            this.give(name, { type: 'trained', epoch, range })
          })
          break
        }
        case 'complete':
          trainer.completed.push(effect.epoch)
          break
        case 'finished':
          assert.equal(trainer.finishedAt, undefined)
          trainer.finishedAt = this.time
          break
        case 'message': {
          const pair = `${name}>${effect.to}`
          const { to, body } = effect
          const time = Math.max(this.time - this.latency * Math.log(1 - this.rng.float()), this.#last.get(pair) ?? 0)
          this.#last.set(pair, time)
          if (this.loss > 0 && this.rng.float() < this.loss) break
          this.at(time - this.time, () => {
            if (!trainer.dead && this.linked(name, to) && this.trainers.has(to)) this.give(to, { type: 'message', from: name, body })
          })
          break
        }
        case 'setTimer': {
          const { id } = effect
          const timer = {}
          trainer.timers.set(id, timer)
          this.at(effect.delay, () => {
            if (trainer.timers.get(id) === timer) this.give(name, { type: 'timer', id })
          })
          break
        }
        case 'cancelTimer':
          trainer.timers.delete(effect.id)
      }
    }
  }

  at(delay: number, run: () => void): void {
    const happening = { time: this.time + delay, order: this.#order++, run }
    let low = 0
    let high = this.#queue.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#queue[middle]
      if (other.time < happening.time || (other.time === happening.time && other.order < happening.order)) low = middle + 1
      else high = middle
    }
    this.#queue.splice(low, 0, happening)
  }

  run(done: () => boolean, limit = 3_000_000): void {
    for (let i = 0; !done(); i++) {
      const next = this.#queue.shift()
      assert.ok(next !== undefined && i < limit, 'the job never ends')
      this.time = next.time
      next.run()
    }
  }

  /** Until every live trainer knows that all is done, and all know the same. */
  finish(): void {
    this.run(() => this.alive.every(x => isFinished(x.state.ledger)))
    const digest = (x: Trainer) => JSON.stringify(x.state.ledger.epochs.map(e => e?.digest))
    this.run(() => new Set(this.alive.map(digest)).size === 1)
  }

  figures() {
    const { ledger } = this.alive[0].state
    let duplicated = 0
    for (let epoch = 0; epoch < this.spec.epochs; epoch++) duplicated += figures(ledger, epoch).duplicated
    return { committed: Array.from({ length: this.spec.epochs }, (_, e) => figures(ledger, e).committed), duplicated }
  }
}

const spec: LedgerSpec = { job: 'job-1', samples: 1003, rangeSize: 10, epochs: 3 }
const exact = Array.from({ length: spec.epochs }, () => spec.samples)

t.test('without faults every range is trained once, in every epoch, by trainers of any speed', async t => {
  for (const n of [1, 2, 3, 8, 20]) {
    const world = new World(spec, createRng(`${seed}/plain/${n}`))
    world.found(n, i => 1 + i / 4)
    world.finish()
    t.same(world.figures(), { committed: exact, duplicated: 0 })
    t.equal(world.trained.length, 101 * 3)
    t.equal(new Set(world.started).size, 101 * 3)
    for (const trainer of world.alive) {
      t.same(trainer.completed, [0, 1, 2])
      t.not(trainer.finishedAt, undefined)
    }
  }
})

t.test('trainers that join take part, and nothing is trained twice for it', async t => {
  for (let round = 0; round < 30; round++) {
    const rng = createRng(`${seed}/join/${round}`)
    const world = new World(spec, rng)
    const n = 1 + rng.int(6)
    world.found(n)
    const joiners = 1 + rng.int(3)
    for (let i = 0; i < joiners; i++) {
      const until = world.time + rng.float() * 100
      world.run(() => world.time >= until)
      world.join(`t${n + i}`)
    }
    world.finish()
    t.same(world.figures().committed, exact)
    // two that join in the same moment may not know of one another
    t.ok(world.figures().duplicated <= (joiners - 1) * spec.rangeSize, `round ${round}: ${world.figures().duplicated}`)
    for (let i = 0; i < joiners; i++) t.ok(world.trainers.get(`t${n + i}`)!.state.ledger.names.includes(`t${n + i}`), 'a joiner trains')
  }
})

t.test('deaths lose nothing, and train twice at most what was in flight', async t => {
  for (let round = 0; round < 40; round++) {
    const rng = createRng(`${seed}/death/${round}`)
    const world = new World(spec, rng)
    if (round % 2 === 1) world.loss = 0.05
    const n = 2 + rng.int(7)
    world.found(n)
    let deaths = 0
    for (let event = 0; event < 5; event++) {
      const until = world.time + rng.float() * 400
      world.run(() => world.time >= until)
      if (rng.int(2) === 0 && world.alive.length > 1) {
        world.kill(world.alive[rng.int(world.alive.length)].name)
        deaths++
      } else {
        world.join(`t${n + event}`)
      }
    }
    world.finish()
    const { committed, duplicated } = world.figures()
    t.same(committed, exact, `round ${round}`)
    if (world.loss === 0)
      t.ok(duplicated <= (deaths + 5) * 3 * spec.rangeSize, `round ${round}: ${deaths} deaths, ${duplicated} duplicated`)
    // with nobody's news lost the ledger tells exactly what was trained
    if (deaths === 0) {
      const lengths = world.trained.reduce((sum, key) => sum + (key.endsWith('/100') ? 3 : 10), 0)
      t.equal(lengths, exact.length * spec.samples + duplicated)
    }
  }
})

t.test('one that leaves frees what it was at', async t => {
  const world = new World(spec, createRng(`${seed}/leave`))
  world.found(3)
  world.run(() => world.time >= 200)
  world.give('t1', { type: 'leave' })
  // what it said last is on its way
  world.run(() => world.time >= 240)
  world.kill('t1')
  world.finish()
  t.same(world.figures(), { committed: exact, duplicated: 0 })
})

t.test('both sides of a partition go on, and reconcile what they trained twice', async t => {
  const world = new World(spec, createRng(`${seed}/partition`))
  world.found(4)
  const side = (name: string) => name < 't2'
  world.run(() => world.time >= 300)
  world.linked = (from, to) => side(from) === side(to)
  for (const { name } of world.alive) {
    world.give(name, { type: 'peers', alive: world.alive.map(x => x.name).filter(other => side(other) === side(name)) })
  }
  world.run(() => world.time >= 700)
  world.linked = () => true
  for (const { name } of world.alive) world.give(name, { type: 'peers', alive: world.alive.map(x => x.name) })
  world.finish()
  const { committed, duplicated } = world.figures()
  t.same(committed, exact)
  t.ok(duplicated > 0)
  const lengths = world.trained.reduce((sum, key) => sum + (key.endsWith('/100') ? 3 : 10), 0)
  t.equal(lengths, spec.epochs * spec.samples + duplicated)
})

t.test('a straggler holds nobody up: the others train what it has left', async t => {
  const world = new World({ ...spec, epochs: 1, samples: 4000 }, createRng(`${seed}/straggler`))
  world.found(8, i => (i === 0 ? 5 : 1))
  world.finish()
  t.equal(world.figures().duplicated, 0)
  // 400 ranges of 20 ms over 7.2 trainers, and at worst one of the straggler's ranges at the end
  const ideal = (400 * 20) / 7.2
  const end = Math.max(...world.alive.map(x => x.finishedAt!))
  t.ok(end < 1.15 * ideal + 120, `ideal ${ideal}, took ${end}`)
})

t.test('lost messages delay nothing for good', async t => {
  for (let round = 0; round < 10; round++) {
    const world = new World(spec, createRng(`${seed}/loss/${round}`))
    world.loss = 0.3
    world.found(5)
    world.finish()
    t.same(world.figures().committed, exact)
  }
})

t.test('a job goes on from a checkpoint of its ledger', async t => {
  const first = new World(spec, createRng(`${seed}/checkpoint`))
  first.found(3)
  first.run(() => first.time >= 600)
  const bytes = encodeLedger(first.alive[0].state.ledger)
  const before = first.figures().committed
  const second = new World(spec, createRng(`${seed}/resumed`))
  for (const name of ['x', 'y']) mergeLedger(second.add(name).state.ledger, bytes)
  for (const name of ['x', 'y']) second.give(name, { type: 'start', alive: ['x', 'y'], joining: false })
  second.finish()
  t.same(second.figures(), { committed: exact, duplicated: 0 })
  t.equal(
    second.trained.reduce((sum, key) => sum + (key.endsWith('/100') ? 3 : 10), 0),
    3 * spec.samples - before.reduce((a, b) => a + b)
  )
})

t.test('bytes that no trainer sends change nothing that counts', async t => {
  const rng = createRng(`${seed}/hostile`)
  const state = createLedgerCore('a', spec)
  const env = { now: 0, random: rng }
  ledgerStep(state, { type: 'start', alive: ['a', 'b'], joining: false }, env)
  const other = createLedgerCore('b', spec)
  const genuine: Uint8Array[] = []
  const collect = (event: LedgerEvent) => {
    const effects = ledgerStep(other, event, env)
    for (const e of effects) if (e.type === 'message') genuine.push(e.body)
    const train = effects.find(e => e.type === 'train')
    if (train !== undefined && genuine.length < 60) collect({ type: 'trained', epoch: train.epoch, range: train.range })
  }
  collect({ type: 'start', alive: ['a', 'b'], joining: false })
  collect({ type: 'timer', id: 'round' })
  for (let i = 0; i < 5000; i++) {
    const body = rng.int(2) === 0 ? genuine[rng.int(genuine.length)].slice() : Uint8Array.from({ length: rng.int(30) }, () => rng.int(256))
    for (let k = rng.int(3); k > 0 && body.length > 0; k--) body[rng.int(body.length)] = rng.int(256)
    ledgerStep(state, { type: 'message', from: rng.int(2) === 0 ? 'b' : `x${rng.int(9)}`, body }, env)
  }
  t.ok(state.grants.size <= 400 && state.claims.size <= 20 && state.ledger.epochs.length <= 3)
  for (let epoch = 0; epoch < 3; epoch++) t.ok(figures(state.ledger, epoch).committed <= spec.samples)
})

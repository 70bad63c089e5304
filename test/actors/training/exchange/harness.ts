import assert from 'node:assert/strict'
import {
  type Arenas,
  type ArithmeticEffect,
  carryOut,
  type ExchangeStrategy,
  type Group,
  isArithmetic,
  type Range,
  type StrategyEffect,
  type StrategyEvent,
  view
} from '../../../../actors/training/exchange/index.ts'
import type { Rng } from '../../../../common/index.ts'

/** What a test's trainer does when its strategy says so; both see the real arenas. */
export interface Engine {
  /** Writes the gradients of `step` into arena `gradients`. */
  gradients(trainer: TestTrainer, step: number): void
  /** Applies arena `gradients` to arena `parameters`. */
  apply(trainer: TestTrainer, step: number, scale: number): void
  /** The trainer's state is what all have agreed on. */
  commit?(trainer: TestTrainer, step: number): void
}

export interface WorldInit {
  strategy: ExchangeStrategy<any>
  options?: Record<string, unknown>
  rng: Rng
  size: number
  tail?: number
  /** The node of a trainer. */
  nodeOf?: (trainer: string) => string
  /** Floats of the optimizer's state. */
  optimizer?: number
  statistics?: number
  /** Arenas of double precision, where a test looks for the algorithm's exact behaviour instead of its bits. */
  double?: boolean
  /** What the events of `gradients` say. */
  samples?: (trainer: TestTrainer, step: number) => number
  rate?: number
  engine: Engine
  /** Mean time of a transfer or message, and of a computation of `trainer`. */
  latency?: number
  computeTime?: (trainer: string) => number
  /** The very time of a computation, where it is not drawn from an exponential distribution. */
  computeDelay?: (trainer: TestTrainer, step: number) => number
  /** Probability that a transfer breaks, and that a message is lost. */
  loss?: number
}

interface Transfer {
  id: string
  from: string
  to: string
  range: Range
  delivered: boolean
}

interface Happening {
  time: number
  order: number
  run(): void
}

export class TestTrainer {
  readonly name: string
  readonly state: any
  readonly rng: Rng
  arenas!: Arenas
  dead = false
  /** Raised by a group or a freeze: what belongs to an older epoch never reaches the core. */
  epoch = 0
  generation = 0
  applied = 0
  /** Steps applied, in order; a test asserts that none comes twice. */
  log: number[] = []
  /** Computation stops after this step. */
  lastStep = Infinity
  reports: { name: string; value: number; time: number }[] = []
  bytesSent = 0
  sends = new Map<string, Transfer>()
  receives = new Map<string, { from: string; into: Range }>()
  timers = new Map<string, Happening>()

  constructor(name: string, state: unknown, rng: Rng) {
    this.name = name
    this.state = state
    this.rng = rng
  }
}

/**
 * Trainers on real memory and a virtual clock: transfers only land where they were named, messages of a pair keep their order and
 * everything else comes in an order the seed decides. It also watches the contract: nobody writes to a range that is being sent or
 * received, a transfer is as long as its landing, and after a freeze nothing is applied.
 */
export class World {
  readonly init: WorldInit
  readonly trainers = new Map<string, TestTrainer>()
  time = 0
  #queue: Happening[] = []
  #order = 0
  #lastMessage = new Map<string, number>()

  constructor(init: WorldInit) {
    this.init = init
  }

  add(name: string): TestTrainer {
    const trainer = new TestTrainer(name, this.init.strategy.create(this.init.options ?? {}), this.init.rng.fork(name))
    this.trainers.set(name, trainer)
    return trainer
  }

  get alive(): TestTrainer[] {
    return [...this.trainers.values()].filter(t => !t.dead)
  }

  /** Gives every trainer of `names` the group; synchronous strategies get exactly these ranks. */
  group(generation: number, names: string[], steps: (name: string) => number, founders: string[] = names): void {
    const members = [...founders].sort().map(trainer => ({ trainer, ...(this.init.nodeOf && { node: this.init.nodeOf(trainer) }) }))
    for (const name of names) {
      const trainer = this.trainers.get(name)!
      this.#void(trainer)
      trainer.generation = generation
      const group = this.#groupOf(name, generation, members)
      const sizes = this.init.strategy.arenas(trainer.state, group)
      trainer.arenas = {
        parameters: trainer.arenas?.parameters ?? this.#floats(group.size),
        optimizer: trainer.arenas?.optimizer ?? this.#floats(group.optimizer),
        gradients: this.#floats(group.size + group.tail),
        outgoing: this.#floats(sizes.outgoing),
        landing: this.#floats(sizes.landing),
        state: trainer.arenas?.state ?? this.#floats(sizes.state)
      }
      trainer.applied = steps(name)
    }
    for (const name of names) this.give(name, { type: 'group', group: this.#groupOf(name, generation, members), step: steps(name) })
  }

  freeze(name: string): void {
    const trainer = this.trainers.get(name)!
    this.#void(trainer)
    this.give(name, { type: 'freeze' })
  }

  kill(name: string): void {
    const trainer = this.trainers.get(name)!
    trainer.dead = true
    this.#void(trainer)
  }

  give(name: string, event: StrategyEvent): void {
    const trainer = this.trainers.get(name)!
    if (trainer.dead) return
    const effects = this.init.strategy.step(trainer.state, event, { now: this.time, random: trainer.rng })
    for (const effect of effects) this.#carryOut(trainer, effect, event)
  }

  /** Runs until `done` or until nothing is left to happen. @returns whether `done` became true */
  run(done: () => boolean = () => false, limit = 5_000_000): boolean {
    for (let i = 0; !done(); i++) {
      assert.ok(i < limit, 'the world never comes to rest')
      const next = this.#queue.shift()
      if (next === undefined) return done()
      this.time = next.time
      next.run()
    }
    return true
  }

  at(delay: number, run: () => void): Happening {
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
    return happening
  }

  #groupOf(self: string, generation: number, members: { trainer: string }[]): Group {
    const { size, tail = 0, optimizer = 0, statistics = 0 } = this.init
    return { job: 'test', generation, self, members, rank: members.findIndex(m => m.trainer === self), size, tail, optimizer, statistics }
  }

  #floats(length: number): Float32Array {
    return this.init.double === true ? (new Float64Array(length) as unknown as Float32Array) : new Float32Array(length)
  }

  #delay(mean: number): number {
    return -mean * Math.log(1 - this.init.rng.float())
  }

  #lost(): boolean {
    return this.init.loss !== undefined && this.init.rng.float() < this.init.loss
  }

  #void(trainer: TestTrainer): void {
    trainer.epoch++
    trainer.sends.clear()
    trainer.receives.clear()
    trainer.timers.clear()
  }

  #carryOut(trainer: TestTrainer, effect: StrategyEffect, event: StrategyEvent): void {
    const { name } = trainer
    if (isArithmetic(effect)) {
      this.#free(trainer, effect.into, `${effect.type} into`)
      if (this.init.double === true) carryOutDouble(effect, trainer.arenas)
      else carryOut(effect, trainer.arenas)
      return
    }
    switch (effect.type) {
      case 'receive': {
        assert.ok(!trainer.receives.has(effect.id), `${name} names ${effect.id} twice`)
        view(trainer.arenas, effect.into)
        for (const other of trainer.receives.values()) assert.ok(!overlap(other.into, effect.into), `${name} names a range twice`)
        trainer.receives.set(effect.id, { from: effect.from, into: effect.into })
        const from = this.trainers.get(effect.from)
        if (from?.sends.has(effect.id)) this.#transfer(from.sends.get(effect.id)!)
        return
      }
      case 'send': {
        assert.ok(!trainer.sends.has(effect.id), `${name} sends ${effect.id} twice`)
        view(trainer.arenas, effect.range)
        const transfer = { id: effect.id, from: name, to: effect.to, range: effect.range, delivered: false }
        trainer.sends.set(effect.id, transfer)
        if (this.trainers.get(effect.to)?.receives.has(effect.id)) this.#transfer(transfer)
        return
      }
      case 'cancel':
        trainer.sends.delete(effect.id)
        trainer.receives.delete(effect.id)
        return
      case 'apply':
        assert.notEqual(event.type, 'freeze', 'applied after a freeze')
        assert.equal(effect.step, trainer.applied + 1, `${name} applies steps in order`)
        this.#free(trainer, { arena: 'parameters', offset: 0, length: trainer.arenas.parameters.length }, 'apply')
        trainer.applied = effect.step
        trainer.log.push(effect.step)
        this.init.engine.apply(trainer, effect.step, effect.scale ?? 1)
        return
      case 'commit':
        assert.equal(effect.step, trainer.applied, `${name} commits what it applied`)
        this.init.engine.commit?.(trainer, effect.step)
        return
      case 'compute': {
        const whole: Range = { arena: 'gradients', offset: 0, length: trainer.arenas.gradients.length }
        this.#free(trainer, whole, 'compute')
        const { epoch } = trainer
        if (effect.step > trainer.lastStep) {
          // asynchronous jobs say so
          const { generation, step } = effect
          if (!this.init.strategy.synchronous)
            this.at(0, () => trainer.epoch === epoch && this.give(name, { type: 'idle', generation, step }))
          return
        }
        const { computeDelay, computeTime = () => 1 } = this.init
        this.at(computeDelay?.(trainer, effect.step) ?? this.#delay(computeTime(name)), () => {
          if (trainer.epoch !== epoch) return
          this.#free(trainer, whole, 'compute')
          this.init.engine.gradients(trainer, effect.step)
          this.give(name, {
            type: 'gradients',
            generation: effect.generation,
            step: effect.step,
            samples: this.init.samples?.(trainer, effect.step) ?? 1,
            rate: this.init.rate ?? 1,
            last: effect.step === trainer.lastStep
          })
        })
        return
      }
      case 'message': {
        const pair = `${name}>${effect.to}`
        const body = effect.body.slice()
        const { epoch } = trainer
        const time = Math.max(this.time + this.#delay(this.init.latency ?? 0.1), this.#lastMessage.get(pair) ?? 0)
        this.#lastMessage.set(pair, time)
        if (this.#lost()) return
        this.at(time - this.time, () => {
          if (trainer.epoch === epoch) this.give(effect.to, { type: 'message', from: name, body })
        })
        return
      }
      case 'report':
        trainer.reports.push({ name: effect.name, value: effect.value, time: this.time })
        return
      case 'setTimer': {
        const timer = this.at(effect.delay, () => {
          if (trainer.timers.get(effect.id) !== timer) return
          trainer.timers.delete(effect.id)
          this.give(name, { type: 'timer', id: effect.id })
        })
        trainer.timers.set(effect.id, timer)
        return
      }
      case 'cancelTimer':
        trainer.timers.delete(effect.id)
    }
  }

  /** Nobody else reads or writes `range` of `trainer`. */
  #free(trainer: TestTrainer, range: Range, what: string): void {
    for (const send of trainer.sends.values()) {
      // a peer that has the bytes reads them no more, even where its receipt is still on its way
      if (!send.delivered) assert.ok(!overlap(send.range, range), `${trainer.name}: ${what} a range that is being sent as ${send.id}`)
    }
    for (const [id, receive] of trainer.receives) {
      assert.ok(!overlap(receive.into, range), `${trainer.name}: ${what} a range where ${id} shall land`)
    }
  }

  #transfer(transfer: Transfer): void {
    const from = this.trainers.get(transfer.from)!
    const to = this.trainers.get(transfer.to)!
    const target = to.receives.get(transfer.id)!
    const epochs = [from.epoch, to.epoch]
    assert.equal(target.from, transfer.from, 'a transfer comes from whom it was named for')
    assert.equal(target.into.length, transfer.range.length, `${transfer.id} is as long as its landing`)
    this.at(this.#delay(this.init.latency ?? 0.1), () => {
      if (from.epoch !== epochs[0] || to.epoch !== epochs[1] || !from.sends.has(transfer.id) || !to.receives.has(transfer.id)) return
      to.receives.delete(transfer.id)
      if (this.#lost()) {
        from.sends.delete(transfer.id)
        this.give(from.name, { type: 'failed', id: transfer.id })
        this.give(to.name, { type: 'failed', id: transfer.id })
        return
      }
      transfer.delivered = true
      this.#free(to, target.into, `${transfer.id} lands in`)
      view(to.arenas, target.into).set(view(from.arenas, transfer.range))
      from.bytesSent += transfer.range.length * 4
      // the receipt takes its own time
      this.at(this.#delay(this.init.latency ?? 0.1), () => {
        if (from.epoch !== epochs[0] || from.sends.get(transfer.id) !== transfer) return
        from.sends.delete(transfer.id)
        this.give(from.name, { type: this.#lost() ? 'failed' : 'sent', id: transfer.id })
      })
      this.give(to.name, { type: 'landed', id: transfer.id })
    })
  }
}

/** The arithmetic effects as formulas in double precision: what the kernels do, without their rounding. */
function carryOutDouble(effect: ArithmeticEffect, arenas: Arenas): void {
  const into = view(arenas, effect.into)
  if (effect.type === 'fill') {
    into.fill(effect.value)
    return
  }
  if (effect.type === 'offset') {
    for (let i = 0; i < into.length; i++) into[i] += effect.value
    return
  }
  const from = view(arenas, effect.from).slice()
  const by = 'by' in effect ? view(arenas, effect.by).slice() : from
  for (let i = 0; i < into.length; i++) {
    const b = by[by.length === 1 ? 0 : i]
    switch (effect.type) {
      case 'copy':
        into[i] = from[i]
        break
      case 'reduce':
        into[i] += from[i]
        break
      case 'blend':
        into[i] += effect.factor * (from[i] - into[i])
        break
      case 'combine':
        into[i] = effect.alpha * into[i] + effect.beta * from[i]
        break
      case 'root':
        into[i] = Math.sqrt(Math.max(0, from[i]) + effect.epsilon)
        break
      case 'multiply':
        into[i] = from[i] * b
        break
      case 'divide':
        into[i] = b === 0 ? 0 : from[i] / b
    }
  }
}

function overlap(a: Range, b: Range): boolean {
  return a.arena === b.arena && a.offset < b.offset + b.length && b.offset < a.offset + a.length
}

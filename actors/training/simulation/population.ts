import type { Rng } from '../../../common/index.ts'
import { Accounts } from './accounts.ts'
import { type ChurnEvent, nextChurn } from './churn.ts'
import { createDelays } from './delays.ts'
import { type SimulatedExchange, traced } from './exchange.ts'
import { byteTime, type NetworkSpec } from './network.ts'
import type { Timeline } from './timeline.ts'
import { SimulatedTrainer } from './trainer.ts'
import type { SimulationInit } from './types.ts'

/** A leaver may hand on what it holds for so long, virtual ms. */
const LEAVE = 5000
const DETECTION = 1500

export interface PopulationPorts {
  readonly init: SimulationInit
  readonly timeline: Timeline
  readonly random: Rng
  readonly network: NetworkSpec
  readonly exchange: SimulatedExchange
  /** Whether the run has trained its last sample. */
  over(): boolean
  /** A trainer is gone. */
  removed(trainer: SimulatedTrainer): void
  /** Nobody is left and nobody will come. */
  extinct(): void
}

/** Who lives, and what groups they are told of: the part of the mesh and of the job's actor. */
export class Population {
  readonly trainers = new Map<string, SimulatedTrainer>()
  readonly gone: SimulatedTrainer[] = []
  /** Deaths, leaves and newcomers. */
  churned = 0
  generation = 0
  readonly #ports: PopulationPorts
  readonly #slots = new Map<number, { lives: number; random: Rng }>()
  #founders: string[] = []
  #alive: SimulatedTrainer[] = []
  #ranks: string[] = []
  #regrouping = false

  constructor(ports: PopulationPorts) {
    this.#ports = ports
  }

  begin(): void {
    const { init, timeline } = this.#ports
    for (let slot = 0; slot < init.trainers; slot++) this.#open(slot)
    this.#founders = this.alive.map(t => t.name)
    timeline.at(0, () => this.#group(this.alive, 0))
    if (init.churn !== undefined && 'events' in init.churn) {
      for (const event of init.churn.events) timeline.at(event.time, () => this.#happen(event))
    }
  }

  get alive(): readonly SimulatedTrainer[] {
    return this.#alive
  }

  /** All that ever were. */
  get all(): SimulatedTrainer[] {
    return [...this.trainers.values(), ...this.gone]
  }

  /** Names of the ranks of the present generation, in their order. */
  get ranks(): readonly string[] {
    return this.#ranks
  }

  /** A trainer in a slot; its name is used once. */
  #open(slot: number): SimulatedTrainer {
    const { init, random, timeline } = this.#ports
    const known = this.#slots.get(slot) ?? { lives: 0, random: random.fork(`churn/${slot}`) }
    known.lives++
    this.#slots.set(slot, known)
    const width = String(Math.max(init.trainers - 1, slot)).length
    const name = `t${String(slot).padStart(width, '0')}${known.lives === 1 ? '' : `.${known.lives}`}`
    const trainer = new SimulatedTrainer({
      name,
      slot,
      state: init.strategy.create(init.options ?? {}),
      random: random.fork(`trainer/${name}`),
      delays: createDelays(init.delay ?? { model: 'constant' }, slot, random.fork(`delay/${name}`), init.delayTrace),
      work: init.workload.open(),
      accounts: new Accounts(timeline.now)
    })
    this.trainers.set(name, trainer)
    this.#alive.push(trainer)
    if (init.churn !== undefined && 'mtbf' in init.churn) {
      const event = nextChurn(init.churn, slot, true, timeline.now, known.random)
      timeline.at(event.time, () => this.#happen(event))
    }
    return trainer
  }

  /** Tells trainers of a group: the founders of a run, or the ranks of the next generation. */
  #group(members: readonly SimulatedTrainer[], step: number): void {
    const { init, timeline } = this.#ports
    const { synchronous } = init.strategy
    this.generation++
    timeline.trace(traced.group, members.length, this.generation)
    const names = synchronous ? members.map(t => t.name).sort() : this.#founders
    this.#ranks = names
    for (const trainer of members) this.#enter(trainer, names, step)
    if (!synchronous) for (const trainer of members) this.#tellPeers(trainer, [])
  }

  #enter(trainer: SimulatedTrainer, names: string[], step: number): void {
    const { init, timeline, exchange } = this.#ports
    const { size, tail, optimizer } = init.workload
    const members = names.map(name => ({ trainer: name }))
    trainer.grouped = true
    trainer.generation = this.generation
    trainer.work.resize(init.strategy.arenas(trainer.state, { size, tail, optimizer, members }))
    if (init.strategy.rounds === true) trainer.commit()
    const rank = names.indexOf(trainer.name)
    const group = { job: 'simulation', generation: this.generation, self: trainer.name, members, rank, size, tail, optimizer }
    timeline.at(timeline.now, () => exchange.give(trainer, { type: 'group', group, step }))
  }

  #tellPeers(trainer: SimulatedTrainer, dead: string[]): void {
    const { timeline, exchange } = this.#ports
    const alive = this.#alive.map(t => t.name)
    timeline.at(timeline.now, () => exchange.give(trainer, { type: 'peers', alive, dead }))
  }

  #happen({ event, slot }: ChurnEvent): void {
    const { init, timeline } = this.#ports
    const { churn, detection = DETECTION, strategy } = init
    const present = this.#alive.find(t => t.slot === slot)
    if (this.#ports.over() || (event === 'join') === (present !== undefined)) return
    this.churned++
    timeline.trace(traced.churn, slot, event.length)
    if (event === 'join') {
      const trainer = this.#open(slot)
      if (strategy.synchronous) this.#regroupAt(timeline.now + detection)
      else {
        this.#enter(trainer, this.#founders, 0)
        for (const other of this.#alive) this.#tellPeers(other, [])
      }
    } else if (event === 'leave' && !strategy.synchronous) {
      this.#leave(present!)
    } else {
      this.#remove(present!)
      if (churn === undefined || !('mtbf' in churn)) return
      const next = nextChurn(churn, slot, false, timeline.now, this.#slots.get(slot)!.random)
      timeline.at(next.time, () => this.#happen(next))
    }
  }

  /** Hands on what must not be lost, then goes. */
  #leave(trainer: SimulatedTrainer): void {
    const { init, timeline, exchange } = this.#ports
    trainer.leaving = true
    const until = timeline.now + LEAVE
    timeline.at(timeline.now, () => exchange.give(trainer, { type: 'leave' }))
    const look = () => {
      if (!trainer.alive) return
      if (init.strategy.settled(trainer.state) || timeline.now >= until) this.#remove(trainer)
      else timeline.at(timeline.now + 10, look)
    }
    timeline.at(timeline.now + 10, look)
  }

  #remove(trainer: SimulatedTrainer): void {
    const { init, timeline, exchange } = this.#ports
    const { detection = DETECTION, strategy, churn } = init
    this.#ports.removed(trainer)
    trainer.void(timeline.now)
    trainer.alive = false
    this.trainers.delete(trainer.name)
    this.#alive = this.#alive.filter(t => t !== trainer)
    this.gone.push(trainer)
    if (this.#alive.length === 0 && (churn === undefined || 'events' in churn)) {
      if (churn === undefined || !churn.events.some(e => e.event === 'join' && e.time > timeline.now)) this.#ports.extinct()
    }
    if (strategy.synchronous) {
      this.#regroupAt(timeline.now + detection)
      return
    }
    for (const other of this.#alive) {
      exchange.breakWith(other, trainer.name)
      this.#tellPeers(other, [])
    }
    timeline.at(timeline.now + detection, () => {
      for (const other of this.#alive) this.#tellPeers(other, [trainer.name])
    })
  }

  /** A synchronous group gives way to the trainers that live then; who lags copies the state of one that does not. */
  #regroupAt(time: number): void {
    const { timeline, init, network } = this.#ports
    if (this.#regrouping) return
    this.#regrouping = true
    timeline.at(time, () => {
      this.#regrouping = false
      const members = [...this.#alive]
      if (members.length === 0 || this.#ports.over()) return
      for (const trainer of members) trainer.rollBack()
      const best = members.reduce((a, b) => (b.step > a.step ? b : a))
      let copying = 0
      for (const trainer of members) {
        if (trainer.grouped) init.strategy.step(trainer.state, { type: 'freeze' }, { now: timeline.now, random: trainer.random })
        trainer.void(timeline.now)
        if (trainer.step === best.step && trainer.grouped) continue
        copyState(best, trainer)
        copying = network.latency[1] + 4 * (init.workload.size + init.workload.optimizer) * byteTime(network.gbps)
      }
      this.#regrouping = copying > 0
      timeline.at(timeline.now + copying, () => {
        this.#regrouping = false
        // who died meanwhile is not told; the rest regroup again
        const still = members.filter(t => t.alive)
        if (still.length > 0) this.#group(still, best.step)
        if (still.length < members.length || still.length < this.#alive.length) this.#regroupAt(timeline.now)
      })
    })
  }
}

function copyState(from: SimulatedTrainer, to: SimulatedTrainer): void {
  to.step = from.step
  to.position = from.position
  const source = from.work.arenas
  const target = to.work.arenas
  if (source === undefined || target === undefined) return
  to.work.resize({ outgoing: target.outgoing.length, landing: target.landing.length, state: source.state.length })
  target.parameters.set(source.parameters)
  target.state.set(source.state)
  target.optimizer.set(source.optimizer)
}

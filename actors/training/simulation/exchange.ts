import {
  type ArithmeticEffect,
  carryOut,
  type ExchangeStrategy,
  isArithmetic,
  type StrategyEffect,
  type StrategyEvent,
  view
} from '../exchange/index.ts'
import type { SimulatedNetwork } from './network.ts'
import type { Timeline } from './timeline.ts'
import type { SimulatedTrainer, Transfer } from './trainer.ts'

/** Kinds of what the trace holds. */
export const traced = { event: 1, landed: 2, message: 3, apply: 4, compute: 5, churn: 6, group: 7 } as const
const eventKinds = ['group', 'gradients', 'landed', 'sent', 'failed', 'message', 'peers', 'freeze', 'leave', 'drain', 'timer']

/** What the exchange asks of the simulation around it. */
export interface ExchangePorts {
  readonly timeline: Timeline
  readonly network: SimulatedNetwork
  readonly strategy: ExchangeStrategy<any>
  trainer(name: string): SimulatedTrainer | undefined
  /** Computes the gradients of a step from `time` on. */
  compute(trainer: SimulatedTrainer, generation: number, step: number, time: number): void | Promise<void>
  apply(trainer: SimulatedTrainer, step: number, scale: number, time: number): void | Promise<void>
  /** What a freeze goes back to is the state as it now is. */
  commit(trainer: SimulatedTrainer, time: number): void
  report(trainer: SimulatedTrainer, name: string, value: number): void
  /** ms of a trainer's main thread for a byte that arithmetic reads into another. */
  readonly byteCost: number
  /** Framing and encryption of so many bytes of payload. */
  overhead(bytes: number): number
}

/** Carries out, in virtual time, what the strategies' cores of all trainers ask for: the counterpart of a trainer's exchange driver. */
export class SimulatedExchange {
  readonly #ports: ExchangePorts

  constructor(ports: ExchangePorts) {
    this.#ports = ports
  }

  /** Tells a trainer's strategy something, as soon as its main thread is free. */
  give(trainer: SimulatedTrainer, event: StrategyEvent): void | Promise<void> {
    if (!trainer.alive) return
    const { timeline } = this.#ports
    if (trainer.draining || timeline.now < trainer.busyUntil) {
      trainer.inbox.push(event)
      if (!trainer.draining) this.#drainAt(trainer, trainer.busyUntil)
      return
    }
    return this.#step(trainer, event)
  }

  /** What a peer's death does to transfers: they break on the side that lives. */
  breakWith(trainer: SimulatedTrainer, dead: string): void {
    const { timeline } = this.#ports
    const broken: string[] = []
    for (const [id, transfer] of trainer.sends) if (transfer.to === dead) broken.push(id)
    for (const id of broken) trainer.sends.delete(id)
    for (const [id, landing] of trainer.receives) {
      if (landing.from !== dead) continue
      trainer.receives.delete(id)
      broken.push(id)
    }
    for (const id of broken) timeline.at(timeline.now, () => this.give(trainer, { type: 'failed', id }))
  }

  #drainAt(trainer: SimulatedTrainer, time: number): void {
    const { era } = trainer
    trainer.draining = true
    this.#ports.timeline.at(time, () => {
      trainer.draining = false
      if (trainer.era !== era && trainer.inbox.length === 0) return
      return this.#drain(trainer)
    })
  }

  async #drain(trainer: SimulatedTrainer): Promise<void> {
    const { timeline } = this.#ports
    while (trainer.alive && trainer.inbox.length > 0) {
      if (timeline.now < trainer.busyUntil) {
        this.#drainAt(trainer, trainer.busyUntil)
        return
      }
      const pending = this.#step(trainer, trainer.inbox.shift()!)
      if (pending !== undefined) await pending
    }
  }

  #step(trainer: SimulatedTrainer, event: StrategyEvent): void | Promise<void> {
    const { strategy, timeline } = this.#ports
    timeline.trace(traced.event, trainer.slot, eventKinds.indexOf(event.type))
    const effects = strategy.step(trainer.state, event, { now: timeline.now, random: trainer.random })
    return this.#carryOut(trainer, effects, 0, timeline.now)
  }

  /** @param time - when the effects before these are complete */
  #carryOut(trainer: SimulatedTrainer, effects: StrategyEffect[], from: number, time: number): void | Promise<void> {
    const { byteCost } = this.#ports
    for (let i = from; i < effects.length; i++) {
      const effect = effects[i]!
      if (isArithmetic(effect)) {
        if (trainer.work.arenas !== undefined) carryOut(effect, trainer.work.arenas)
        if (byteCost > 0) {
          time += effect.into.length * 4 * byteCost
          trainer.busyUntil = time
        }
        continue
      }
      const pending = this.#begin(trainer, effect, time)
      if (pending !== undefined) return pending.then(() => this.#carryOut(trainer, effects, i + 1, time))
    }
  }

  #begin(trainer: SimulatedTrainer, effect: Exclude<StrategyEffect, ArithmeticEffect>, time: number): void | Promise<void> {
    const { timeline, network } = this.#ports
    switch (effect.type) {
      case 'receive': {
        const sender = this.#ports.trainer(effect.from)
        if (sender === undefined || !sender.alive) {
          this.#later(trainer, time, () => this.give(trainer, { type: 'failed', id: effect.id }))
          return
        }
        trainer.receives.set(effect.id, {
          from: effect.from,
          into: effect.into,
          known: time + network.latency(trainer.slot, sender.slot)
        })
        const transfer = sender.sends.get(effect.id)
        if (transfer?.to === trainer.name) this.#match(transfer, trainer)
        return
      }
      case 'send': {
        const receiver = this.#ports.trainer(effect.to)
        if (receiver === undefined || !receiver.alive) {
          this.#later(trainer, time, () => this.give(trainer, { type: 'failed', id: effect.id }))
          return
        }
        const transfer: Transfer = { id: effect.id, from: trainer, to: effect.to, range: effect.range, ready: time, begun: false }
        trainer.sends.set(effect.id, transfer)
        if (receiver.receives.get(effect.id)?.from === trainer.name) this.#match(transfer, receiver)
        return
      }
      case 'cancel':
        trainer.sends.delete(effect.id)
        trainer.receives.delete(effect.id)
        return
      case 'apply':
        return this.#ports.apply(trainer, effect.step, effect.scale ?? 1, time)
      case 'commit':
        this.#ports.commit(trainer, time)
        return
      case 'compute':
        return this.#ports.compute(trainer, effect.generation, effect.step, time)
      case 'message':
        this.#message(trainer, effect.to, effect.body, time)
        return
      case 'report':
        this.#ports.report(trainer, effect.name, effect.value)
        return
      case 'setTimer': {
        const token = {}
        trainer.timers.set(effect.id, token)
        timeline.at(time + effect.delay, () => {
          if (trainer.timers.get(effect.id) !== token) return
          trainer.timers.delete(effect.id)
          return this.give(trainer, { type: 'timer', id: effect.id })
        })
        return
      }
      case 'cancelTimer':
        trainer.timers.delete(effect.id)
    }
  }

  /** Runs `run` at `time` unless the trainer's era ended. */
  #later(trainer: SimulatedTrainer, time: number, run: () => void | Promise<void>): void {
    const { era } = trainer
    this.#ports.timeline.at(time, () => (trainer.era === era && trainer.alive ? run() : undefined))
  }

  #message(from: SimulatedTrainer, name: string, body: Uint8Array, time: number): void {
    const { timeline, network } = this.#ports
    const to = this.#ports.trainer(name)
    const wire = body.length + this.#ports.overhead(body.length)
    from.accounts.payload += body.length
    from.accounts.wire += wire
    from.accounts.messages++
    if (to === undefined || !to.alive) return
    const fromEra = from.era
    const toEra = to.era
    timeline.at(network.message(from.slot, to.slot, time, wire), () => {
      if (from.era !== fromEra || to.era !== toEra) return
      timeline.trace(traced.message, to.slot, body.length)
      return this.give(to, { type: 'message', from: from.name, body })
    })
  }

  /** Both sides have named the transfer: it leaves when the sender knows of the landing and its card is free. */
  #match(transfer: Transfer, to: SimulatedTrainer): void {
    if (transfer.begun) return
    transfer.begun = true
    const start = Math.max(transfer.ready, to.receives.get(transfer.id)!.known)
    const eras: [number, number] = [transfer.from.era, to.era]
    this.#ports.timeline.at(start, () => this.#leave(transfer, to, eras))
  }

  #leave(transfer: Transfer, to: SimulatedTrainer, eras: [number, number]): void {
    const { timeline, network } = this.#ports
    const { from, id, range } = transfer
    if (!this.#stands(transfer, to, eras)) return
    const payload = range.length * 4
    const bytes = payload + this.#ports.overhead(payload)
    from.accounts.payload += payload
    from.accounts.wire += bytes
    from.accounts.messages++
    from.accounts.transfer(timeline.now, true)
    to.accounts.transfer(timeline.now, true)
    const head = network.leave(from.slot, timeline.now, bytes) + network.latency(from.slot, to.slot)
    const over = () => {
      if (from.era === eras[0]) from.accounts.transfer(timeline.now, false)
      if (to.era === eras[1]) to.accounts.transfer(timeline.now, false)
    }
    timeline.at(head, () => {
      if (!this.#stands(transfer, to, eras)) return over()
      timeline.at(network.enter(from.slot, to.slot, timeline.now, bytes), () => {
        over()
        if (!this.#stands(transfer, to, eras)) return
        const { into } = to.receives.get(id)!
        to.receives.delete(id)
        if (to.work.arenas !== undefined) view(to.work.arenas, into).set(view(from.work.arenas!, range))
        timeline.trace(traced.landed, to.slot, range.length)
        // the receipt goes back
        timeline.at(timeline.now + network.latency(to.slot, from.slot), () => {
          if (from.era !== eras[0] || from.sends.get(id) !== transfer) return
          from.sends.delete(id)
          return this.give(from, { type: 'sent', id })
        })
        return this.give(to, { type: 'landed', id })
      })
    })
  }

  #stands(transfer: Transfer, to: SimulatedTrainer, [from, receiver]: [number, number]): boolean {
    const { id } = transfer
    return (
      transfer.from.era === from &&
      to.era === receiver &&
      transfer.from.sends.get(id) === transfer &&
      to.receives.get(id)?.from === transfer.from.name
    )
  }
}

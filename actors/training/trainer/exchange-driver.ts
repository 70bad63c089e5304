import { type Clock, type Env, FencedError, type Logger, type Rng } from '../../../common/index.ts'
import type { BulkChannel } from '../../../mesh/bulk/index.ts'
import {
  type Arenas,
  carryOut,
  type ExchangeStrategy,
  type Group,
  isArithmetic,
  type StrategyEffect,
  type StrategyEvent,
  view
} from '../exchange/index.ts'
import { bytesOf } from './arenas.ts'

/** What the driver asks of the trainer around it. */
export interface ExchangePorts {
  clock: Clock
  random: Rng
  logger: Logger
  /** The channel to a trainer of the group, if it stands. */
  channel(trainer: string): BulkChannel | undefined
  /** The memory behind the ranges; the trainer owns it. */
  readonly arenas: Arenas
  /** Compute the gradients of `step`; ends with {@link ExchangeDriver.event} `gradients`. */
  compute(generation: number, step: number): void
  /** Apply arena `gradients` to arena `parameters`, at once, at `scale` times the rate; 0: only count the step. */
  apply(step: number, scale: number): void
  /** What a freeze goes back to is the state as it now is; only strategies with `rounds` say it. */
  commit?(step: number): void
  message(trainer: string, body: Uint8Array): void
  report(name: string, value: number): void
  /** A transfer with this trainer cannot go on. */
  fault(trainer: string, error: Error): void
}

/** Carries out what a strategy's core asks for: transfers over bulk channels, arithmetic on the arenas, timers. */
export class ExchangeDriver {
  readonly #strategy: ExchangeStrategy<any>
  readonly #state: unknown
  readonly #ports: ExchangePorts
  readonly #timers = new Map<string, () => void>()
  readonly #queue: StrategyEvent[] = []
  #transfers = new Map<string, AbortController>()
  #generation = 0
  #running = false
  #frozen = true

  constructor(strategy: ExchangeStrategy<any>, state: unknown, ports: ExchangePorts) {
    this.#strategy = strategy
    this.#state = state
    this.#ports = ports
  }

  /** What a checkpoint must hold of the strategy. */
  checkpoint(): unknown {
    return this.#strategy.checkpoint(this.#state)
  }

  get settled(): boolean {
    return this.#strategy.settled(this.#state)
  }

  /** Begins a generation after `step` applied steps. */
  start(group: Group, step: number): void {
    this.#reset()
    this.#generation = group.generation
    this.#frozen = false
    this.event({ type: 'group', group, step })
  }

  /** Stops the generation for good: when this returns nothing more of it is applied and no transfer touches an arena. */
  freeze(): void {
    if (this.#frozen) return
    this.event({ type: 'freeze' })
    this.#frozen = true
    this.#reset()
  }

  event(event: StrategyEvent): void {
    if (this.#frozen) return
    this.#queue.push(event)
    if (this.#running) return
    this.#running = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const env: Env = { now: this.#ports.clock.now(), random: this.#ports.random }
        for (const effect of this.#strategy.step(this.#state, next, env)) this.#carryOut(effect)
      }
    } finally {
      this.#running = false
    }
  }

  #reset(): void {
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
    const transfers = this.#transfers
    this.#transfers = new Map()
    for (const controller of transfers.values()) controller.abort()
    this.#queue.length = 0
  }

  #carryOut(effect: StrategyEffect): void {
    const ports = this.#ports
    if (isArithmetic(effect)) {
      carryOut(effect, ports.arenas)
      return
    }
    switch (effect.type) {
      case 'receive':
        this.#transfer('receive', effect.id, effect.from, (channel, id, signal) =>
          channel.receive(id, bytesOf(view(ports.arenas, effect.into)), { signal })
        )
        break
      case 'send':
        this.#transfer('send', effect.id, effect.to, (channel, id, signal) =>
          channel.send(id, bytesOf(view(ports.arenas, effect.range)), { signal })
        )
        break
      case 'apply':
        ports.apply(effect.step, effect.scale ?? 1)
        break
      case 'commit':
        ports.commit?.(effect.step)
        break
      case 'compute':
        ports.compute(effect.generation, effect.step)
        break
      case 'message':
        ports.message(effect.to, effect.body)
        break
      case 'cancel':
        for (const role of ['receive', 'send']) this.#transfers.get(`${role} ${effect.id}`)?.abort()
        break
      case 'report':
        ports.report(effect.name, effect.value)
        break
      case 'setTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.set(
          effect.id,
          ports.clock.setTimer(effect.delay, () => {
            this.#timers.delete(effect.id)
            this.event({ type: 'timer', id: effect.id })
          })
        )
        break
      case 'cancelTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.delete(effect.id)
        break
    }
  }

  #transfer(
    role: 'receive' | 'send',
    id: string,
    peer: string,
    begin: (channel: BulkChannel, id: string, signal: AbortSignal) => Promise<void>
  ): void {
    const channel = this.#ports.channel(peer)
    if (channel === undefined) {
      // Later, because a core is told nothing in the middle of its own effects.
      queueMicrotask(() => this.event({ type: 'failed', id }))
      this.#ports.fault(peer, new Error(`no channel to ${peer}`))
      return
    }
    const key = `${role} ${id}`
    const controller = new AbortController()
    const transfers = this.#transfers
    transfers.set(key, controller)
    begin(channel, transferName(this.#generation, id), controller.signal).then(
      () => {
        // Compared by identity: after a freeze or a cancel the same id may name another transfer.
        if (transfers.get(key) !== controller || transfers !== this.#transfers) return
        transfers.delete(key)
        this.event({ type: role === 'send' ? 'sent' : 'landed', id })
      },
      error => {
        if (transfers.get(key) === controller) transfers.delete(key)
        if (controller.signal.aborted || transfers !== this.#transfers) return
        this.event({ type: 'failed', id })
        if (!(error instanceof FencedError)) this.#ports.fault(peer, error)
      }
    )
  }
}

/** Transfers of one generation begin with its number, so that a channel can forget them all at once. */
export function transferName(generation: number, id: string): string {
  return `${generation}:${id}`
}

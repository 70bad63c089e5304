import { CrashedError, DeadlockError, InvalidParametersError, OutcomeUnknownError, UnreachableError } from '../../common/index.ts'
import type { Behaviour } from './activation-types.ts'
import { type ActivationInit, answerOf, encoded, inputOf, isStream, Moved, refusal, unsafe } from './activation-types.ts'
import { formatAddress } from './address.ts'
import type { Effect } from './context.ts'
import type { Down } from './definition.ts'
import { type KeptState, mergePatches, type Patch } from './kept-state.ts'
import { createMailbox, type MailboxEffect, mailboxStep } from './mailbox-core.ts'
import { Subscriptions } from './subscriptions.ts'
import { watch } from './sweeper.ts'
import { Timers } from './timers.ts'
import { type IncomingCall, Turn } from './turn.ts'
import { decodeValue } from './values.ts'

/** Turns of a reentrant actor that may be under way at once. */
const REENTRANT_TURNS = 256

/** One living actor: its mailbox, the turns it takes, what it keeps, who listens to it. */
export class Activation {
  readonly id: string
  readonly #init: ActivationInit
  readonly #name: string
  readonly #mailbox
  readonly #turns = new Map<number, Turn>()
  readonly #behaviour: Behaviour
  readonly #subscriptions: Subscriptions
  readonly #timers: Timers
  readonly #opening: Promise<void>
  readonly idle: number
  #open = false
  #ended = false
  #sequence = 0
  #sealed: Error | undefined
  #emitted: { event: string; value: Uint8Array }[] = []
  lastUsed = performance.now()
  /** Stays though another node would be its owner. */
  pinned = false

  constructor(init: ActivationInit) {
    this.#init = init
    this.id = init.id
    this.idle = init.traits.idle
    this.#name = formatAddress(init.address)
    this.#mailbox = createMailbox(init.traits.mailbox, init.traits.reentrant === true ? REENTRANT_TURNS : 1)
    this.#subscriptions = new Subscriptions(this.#name)
    this.#timers = new Timers((name, method, argument) => this.#fire(name, method, argument))
    const { durable } = init
    this.#behaviour = init.behaviour({
      address: init.address,
      epoch: () => durable?.epoch ?? 0,
      effect: effect => this.#effect(effect)
    })
    durable?.onLost(error => this.fail(error))
    this.#opening = this.#begin()
    // A failed start is reported to each caller; without this line it would end the process first.
    this.#opening.catch(() => {})
  }

  get epoch(): number {
    return this.#init.durable?.epoch ?? 0
  }

  /** Settles once the actor can take turns; rejects with what stopped it from that. */
  get created(): Promise<void> {
    return this.#opening
  }

  get active(): boolean {
    return this.#open && !this.#ended
  }

  /** Whether it may be passivated now. */
  get quiet(): boolean {
    return this.#turns.size === this.#kept && !this.busy && this.#subscriptions.size === 0 && !this.#init.traits.runs
  }

  get busy(): boolean {
    return this.#mailbox.current.size > 0 || this.#mailbox.waiting.length > 0
  }

  /** Answered turns whose replies are kept. */
  #kept = 0

  call(call: IncomingCall): Promise<unknown> {
    if (this.#ended) return Promise.reject(new Moved())
    this.lastUsed = performance.now()
    if (call.chain?.includes(this.#name) && this.#init.traits.reentrant !== true) {
      return Promise.reject(
        new DeadlockError(`${this.#name} is in the middle of a turn of this very chain (${call.chain.join(' > ')}): define it as reentrant`)
      )
    }
    const turn = new Turn(++this.#sequence, call, `${this.#name}.${call.method}`)
    const { id } = turn
    this.#turns.set(id, turn)
    if (this.#turns.size - this.#kept === 1) watch(this)
    const effects = mailboxStep(
      this.#mailbox,
      call.numbered === undefined ? { type: 'arrived', id } : { type: 'arrived', id, numbered: call.numbered }
    )
    turn.onAbort(() => this.#cancel(turn))
    this.#carryOut(effects)
    return turn.promise
  }

  /** What it emits from now on. */
  subscribe(event: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    this.lastUsed = performance.now()
    return this.#subscriptions.add(event, signal)
  }

  /** Tells it that one it monitors is gone. */
  down(down: Down): void {
    if (!this.#init.traits.hasDown) {
      if (down.linked) this.fail(new CrashedError(`${formatAddress(down)}, which ${this.#name} is linked to, ended: ${down.reason}`))
      return
    }
    this.#own('$down', down)
      .catch(error => this.#init.logger.warn(`down: ${(error as Error).message}`))
      .finally(() => {
        if (down.linked) this.fail(new CrashedError(`${formatAddress(down)}, which ${this.#name} is linked to, ended: ${down.reason}`))
      })
  }

  /** Ends at once: it may not go on, or it crashed. */
  fail(error: Error): void {
    if (this.#ended) return
    this.#sealed = error
    void this.#finish(error)
    this.#init.onEnd?.(error)
  }

  /**
   * Ends in order: what waits is refused, turns under way end, then the code gives back what it took.
   *
   * @returns the state, for an actor that is not fenced
   */
  async end(): Promise<KeptState | undefined> {
    if (this.#ended) return undefined
    this.#ended = true
    this.#carryOut(mailboxStep(this.#mailbox, { type: 'closed' }))
    await this.#opening.catch(() => {})
    const running = [...this.#mailbox.current].map(id => this.#turns.get(id)?.promise.catch(() => {}))
    await Promise.all(running)
    const whole = this.#init.durable === undefined && this.#open ? await this.#behaviour.whole() : undefined
    await this.#close()
    return whole
  }

  sweep(now: number): boolean {
    let waits = 0
    for (const turn of this.#turns.values()) {
      if (turn.settled) continue
      waits++
      if (turn.deadlineAt > now) continue
      if (this.#waits(turn.id)) this.#carryOut(mailboxStep(this.#mailbox, { type: 'cancelled', id: turn.id }))
      turn.late()
      this.#answered(turn)
    }
    return waits > 0
  }

  async #begin(): Promise<void> {
    const { durable, stashed } = this.#init
    try {
      const kept = durable === undefined ? stashed : await durable.open()
      const [state, timers] = this.#timers.split(kept)
      // Timers alone are no state: the actor is new as far as its code knows.
      await this.#behaviour.open(state?.fields.size === 0 ? undefined : state)
      this.#timers.begin(timers)
    } catch (error) {
      this.#ended = true
      durable?.close()
      this.#refuseAll(error)
      await this.#behaviour.close().catch(() => {})
      throw error
    }
    if (this.#ended) return
    this.#open = true
    this.#behaviour.run()?.then(
      () => this.#effect({ type: 'passivate' }),
      error => this.fail(new CrashedError(`${this.#name}: ${(error as Error).message}`, { cause: error }))
    )
  }

  #waits(id: number): boolean {
    return this.#mailbox.waiting.includes(id)
  }

  #cancel(turn: Turn): void {
    if (turn.settled) return
    this.#carryOut(mailboxStep(this.#mailbox, { type: 'cancelled', id: turn.id }))
    turn.giveUp()
    this.#answered(turn)
  }

  /** A turn has its answer: it is kept for copies of its request, or forgotten. */
  #answered(turn: Turn): void {
    if (!turn.kept) this.#turns.delete(turn.id)
    else if (this.#turns.has(turn.id)) this.#kept++
  }

  #carryOut(effects: MailboxEffect[]): void {
    for (const effect of effects) {
      const turn = this.#turns.get(effect.id)
      if (turn === undefined) {
        // Given up while it waited: its place is free.
        if (effect.type === 'turn') this.#carryOut(mailboxStep(this.#mailbox, { type: 'finished', id: effect.id }))
        continue
      }
      if (effect.type === 'turn') void this.#turn(turn)
      else if (effect.type === 'same') {
        turn.kept = false
        const first = this.#turns.get(effect.first)
        if (first === undefined) turn.reject(refusal(this.#name, 'forgotten'))
        else
          first.promise
            .then(
              value => turn.resolve(value),
              error => turn.reject(error)
            )
            .finally(() => this.#turns.delete(turn.id))
      } else if (effect.type === 'forget') {
        this.#turns.delete(effect.id)
        this.#kept--
      } else {
        turn.kept = false
        turn.reject(refusal(this.#name, effect.reason))
        this.#turns.delete(turn.id)
      }
    }
  }

  async #turn(turn: Turn): Promise<void> {
    const { durable } = this.#init
    let bytes = 0
    let failed = false
    let value: unknown
    try {
      if (!this.#open) await this.#opening
      if (turn.settled && turn.call.numbered === undefined) return this.#finished(turn, 0)
      const result = this.#behaviour.turn(inputOf(turn))
      value = result instanceof Promise ? await result : result
      if (turn.call.streams !== true) value = answerOf(this.#name, turn, value)
      else if (!isStream(value)) throw new InvalidParametersError(`${this.#name}.${turn.call.method} answers with a value: use call()`)
      if (value instanceof Uint8Array) bytes = value.byteLength
    } catch (error) {
      failed = true
      value = error
    }
    if (turn.call.streams === true && !failed) return this.#deliver(turn, value as AsyncIterable<unknown>)
    turn.executed = true
    const patch = this.#takePatch()
    const emitted = failed && !this.#init.traits.reentrant ? this.#takeEmitted().slice(0, 0) : this.#takeEmitted()
    if (durable !== undefined && this.#open) {
      // The next turn may begin on what this one left; no answer leaves before it is safe.
      const safe = durable.commit(patch)
      this.#finished(turn, bytes)
      try {
        await safe
      } catch (error) {
        value = unsafe(this.#name, turn.call.method, patch, error as Error)
        failed = true
        this.#settleTurn(turn, failed, value)
        this.fail(error as Error)
        return
      }
    } else this.#finished(turn, bytes)
    for (const { event, value } of emitted) this.#subscriptions.publish(event, value)
    this.#settleTurn(turn, failed, value)
  }

  #settleTurn(turn: Turn, failed: boolean, value: unknown): void {
    if (turn.settled) return
    if (failed) turn.reject(value)
    else turn.resolve(value)
    this.#answered(turn)
  }

  /** Ends the turn in the mailbox. */
  #finished(turn: Turn, bytes: number): void {
    this.lastUsed = performance.now()
    this.#carryOut(mailboxStep(this.#mailbox, { type: 'finished', id: turn.id, bytes }))
  }

  /** Hands a stream over; the turn lasts as long as it does. */
  #deliver(turn: Turn, items: AsyncIterable<unknown>): void {
    const done = Promise.withResolvers<void>()
    const stream = encoded(items, `item of ${this.#name}.${turn.call.method}`, turn.call.signal, () => done.resolve())
    turn.kept = false
    turn.resolve({ stream })
    const abandoned = () => {
      turn.abort()
      done.resolve()
    }
    turn.call.signal?.addEventListener('abort', abandoned, { once: true })
    void done.promise.then(async () => {
      const patch = this.#takePatch()
      const emitted = this.#takeEmitted()
      this.#turns.delete(turn.id)
      this.#finished(turn, 0)
      await this.#init.durable?.commit(patch).catch(error => this.fail(error as Error))
      for (const { event, value } of emitted) this.#subscriptions.publish(event, value)
    })
  }

  #takePatch(): Patch | undefined {
    const patch = this.#init.durable === undefined ? undefined : this.#behaviour.patch()
    const timers = this.#timers.patch()
    if (timers === undefined) return patch
    return mergePatches(patch, { ...timers, version: patch?.version ?? timers.version })
  }

  #takeEmitted(): { event: string; value: Uint8Array }[] {
    const emitted = this.#emitted
    if (emitted.length > 0) this.#emitted = []
    return emitted
  }

  #effect(effect: Effect): void {
    switch (effect.type) {
      case 'emit':
        this.#emitted.push(effect)
        // Outside of a turn, in the run loop, nobody else would pass it on.
        if (this.#mailbox.current.size === 0) void this.#flush()
        break
      case 'schedule':
      case 'unschedule':
        this.#timers.change(effect)
        if (this.#mailbox.current.size === 0) void this.#flush()
        break
      case 'monitor':
        this.#init.onMonitor?.(effect.target, effect.linked, true)
        break
      case 'unmonitor':
        this.#init.onMonitor?.(effect.target, false, false)
        break
      case 'passivate':
        // Not within the turn that asks for it.
        setImmediate(() => {
          if (!this.#ended) this.#init.onEnd?.(undefined)
        })
        break
    }
  }

  async #flush(): Promise<void> {
    await this.#opening
    const emitted = this.#takeEmitted()
    try {
      await this.#init.durable?.commit(this.#takePatch())
      for (const { event, value } of emitted) this.#subscriptions.publish(event, value)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  /** A turn of the actor's own. */
  #own(method: string, argument: unknown): Promise<unknown> {
    return this.call({ method, argument, from: this.#init.self, caller: this.#name, deadline: 60_000, reply: 'as-is' })
  }

  #fire(name: string, method: string, argument: Uint8Array): void {
    this.#own(method, decodeValue(argument, 'argument of a timer')).catch(error => {
      if (error instanceof Moved) return
      this.#init.logger.warn(`timer ${name} of ${this.#name}: ${(error as Error).message}`)
    })
  }

  async #finish(error: Error): Promise<void> {
    this.#ended = true
    mailboxStep(this.#mailbox, { type: 'closed' })
    this.#refuseAll(error)
    await this.#close()
  }

  /** Turns under way may have done anything; those that wait have not begun. */
  #refuseAll(error: unknown): void {
    for (const turn of [...this.#turns.values()]) {
      // What waits to be made safe is answered by that.
      if (turn.settled || turn.executed) continue
      const begun = this.#open && this.#mailbox.current.has(turn.id)
      if (begun) turn.reject(new OutcomeUnknownError(`${this.#name} ended within ${turn.call.method}: ${(error as Error).message}`))
      else turn.reject(this.#open ? new Moved() : error)
    }
    this.#turns.clear()
  }

  async #close(): Promise<void> {
    this.#timers.close()
    this.#subscriptions.close(this.#sealed ?? new UnreachableError(`${this.#name} has ended here: subscribe again and it is found`))
    this.#init.durable?.close()
    try {
      await this.#behaviour.close()
    } catch (error) {
      this.#init.logger.warn(`the end of ${this.#name}: ${(error as Error).message}`)
    }
  }
}

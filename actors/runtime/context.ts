import { InvalidParametersError, type Logger } from '../../common/index.ts'
import { type Address, address } from './address.ts'
import type { ActorType, CallTable, EventSchemas, EventTable, TimerSpec, TurnContext } from './definition.ts'
import { type Callable, createHandle, type Handle, type HandleOptions } from './handle.ts'
import type { TurnInput } from './instance.ts'
import { encodeValue } from './values.ts'

/** What the code of an actor asks its activation for, besides calls. */
export type Effect =
  | { type: 'emit'; event: string; value: Uint8Array }
  | { type: 'schedule'; name: string; after: number; method: string; argument: Uint8Array }
  | { type: 'unschedule'; name: string }
  | { type: 'monitor'; target: Address; linked: boolean }
  | { type: 'unmonitor'; target: Address }
  | { type: 'passivate' }

/** What all contexts of one activation share. */
export interface Actions {
  address: Address
  epoch(): number
  logger: Logger
  callable: Callable
  state: unknown
  events: EventSchemas
  /** Whether the state, and timers with it, outlive the activation. */
  keeps: boolean
  effect(effect: Effect): void
}

const MAX_NAME = 128

/** What a handler sees. One a turn, and one for the `run` loop. */
export class Context implements TurnContext<any, EventTable> {
  readonly #actions: Actions
  readonly #turn: TurnInput | undefined

  constructor(actions: Actions, turn: TurnInput | undefined) {
    this.#actions = actions
    this.#turn = turn
  }

  get state(): any {
    return this.#actions.state
  }

  set state(value: any) {
    this.#actions.state = value
  }

  get actor(): string {
    return this.#actions.address.actor
  }

  get key(): string {
    return this.#actions.address.key
  }

  get logger(): Logger {
    return this.#actions.logger
  }

  get epoch(): number {
    return this.#actions.epoch()
  }

  get from(): string {
    return this.#turn?.from ?? ''
  }

  get caller(): string | undefined {
    return this.#turn?.caller
  }

  get signal(): AbortSignal {
    return this.#turn!.signal()
  }

  at<Calls extends CallTable, Events extends EventTable>(
    type: ActorType<Calls, Events>,
    key: string,
    options?: HandleOptions
  ): Handle<Calls, Events> {
    return createHandle(this.#actions.callable, type, key, options)
  }

  emit(event: string, value: unknown): void {
    if (!Object.hasOwn(this.#actions.events, event)) {
      throw new InvalidParametersError(`${this.actor} defines no event ${JSON.stringify(event)}`)
    }
    const checked = this.#actions.events[event]!['~standard'].validate(value)
    if (checked instanceof Promise) throw new InvalidParametersError(`the schema of event ${event} is asynchronous: use one that is not`)
    if (checked.issues !== undefined) throw new InvalidParametersError(`event ${event} of ${this.actor}: ${checked.issues[0]?.message}`)
    this.#actions.effect({ type: 'emit', event, value: encodeValue(checked.value, `event ${event}`, MAX_EVENT) })
  }

  schedule(name: string, { after, call, argument }: TimerSpec): void {
    if (!this.#actions.keeps) throw new InvalidParametersError(`${this.actor} keeps no state, and timers are kept with it: define one`)
    if (name === '' || name.length > MAX_NAME || !(after >= 0)) {
      throw new InvalidParametersError(`timer ${JSON.stringify(name.slice(0, MAX_NAME))}: give a short name and milliseconds from now`)
    }
    const encoded = encodeValue(argument, `argument of timer ${name}`, MAX_TIMER)
    this.#actions.effect({ type: 'schedule', name, after, method: call, argument: encoded })
  }

  unschedule(name: string): void {
    this.#actions.effect({ type: 'unschedule', name })
  }

  monitor({ actor, key }: Address): void {
    this.#actions.effect({ type: 'monitor', target: address(actor, key), linked: false })
  }

  link({ actor, key }: Address): void {
    this.#actions.effect({ type: 'monitor', target: address(actor, key), linked: true })
  }

  unmonitor({ actor, key }: Address): void {
    this.#actions.effect({ type: 'unmonitor', target: address(actor, key) })
  }

  passivate(): void {
    this.#actions.effect({ type: 'passivate' })
  }
}

/** Largest value of an event, and of a timer's argument, bytes. */
const MAX_EVENT = 256 * 1024
const MAX_TIMER = 16 * 1024

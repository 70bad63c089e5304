import type { Logger } from '../../common/index.ts'
import { type Address, address } from './address.ts'
import type { Handle, HandleOptions } from './handle.ts'
import type { StandardSchema, StateSpec } from './schema.ts'
import type { RestartPolicy } from './supervision-core.ts'

/** Typed calls of an actor: a method takes one argument, and perhaps a stream, and answers with a value or a stream. */
export type CallTable = { [method: string]: (argument: any, input: AsyncIterable<any>) => any }

/** Typed events of an actor: the type of what each carries. */
export type EventTable = { [event: string]: unknown }

/** What an actor needs of the node it runs on; only members that have it are asked, and the owner leases it or refuses. */
export interface Needs {
  /** Devices that the activation has to itself. */
  devices?: { kind: 'gpu' | 'cpu'; count?: number }
  /** Bytes, set aside by the node for as long as the activation lives. */
  memory?: number
  /** Labels that the node must carry. */
  labels?: Record<string, string>
}

/**
 * Where an actor prefers to live among the nodes that meet its needs: by its own address over all (`spread`), as many of its kind as
 * fit on the same node (`pack`), or with another actor (`near`).
 */
export type Placement = 'spread' | 'pack' | { near: (key: string) => Address }

/** `soft`: a duplicate in a divided mesh does no harm. `fenced`: at most one activation may write, a minority stops. */
export type Identity = 'soft' | 'fenced'

/** What an activation sees of the world, in a turn and outside of one. */
export interface ActorContext<S, E extends EventTable = EventTable> {
  /** The actor's state; may be changed in place or replaced. Changes of a turn are kept together, when it ends. */
  state: S
  readonly actor: string
  readonly key: string
  readonly logger: Logger
  /** Number of this activation among all there ever were of a fenced actor; 0 of a soft one. */
  readonly epoch: number
  /** The address of any actor. What is called from a turn inherits its deadline and its place in the chain of calls. */
  at<Calls extends CallTable, Events extends EventTable>(
    type: ActorType<Calls, Events>,
    key: string,
    options?: HandleOptions
  ): Handle<Calls, Events>
  /** Tells the subscribers, once what the turn changed is safe. */
  emit<K extends keyof E & string>(event: K, value: E[K]): void
  /**
   * Calls a method of this actor after a while, also when its node has died by then: at least once, kept with the state. A name has
   * one timer. @throws InvalidParametersError when the actor has no kept state
   */
  schedule(name: string, timer: TimerSpec): void
  unschedule(name: string): void
  /** Calls `down` when that actor ends other than by passivating. */
  monitor(target: Address): void
  /** Monitors each other: when one crashes, the other is ended, too. */
  link(target: Address): void
  unmonitor(target: Address): void
  /** Ends the activation once nothing waits; the next call wakes it. */
  passivate(): void
}

/** What a call's handler sees besides its argument. */
export interface TurnContext<S, E extends EventTable = EventTable> extends ActorContext<S, E> {
  /** The node that called, by peer id; this one's for a local call. */
  readonly from: string
  /** The actor that called, `name/key`; undefined when it was none. */
  readonly caller: string | undefined
  /** Aborted when the caller gave up or the deadline passed. */
  readonly signal: AbortSignal
}

export interface TimerSpec {
  /** Milliseconds from now. */
  after: number
  call: string
  argument?: unknown
}

/** One message of the inbox that `run` loops over. */
export interface InboxMessage {
  readonly method: string
  readonly argument: unknown
  readonly from: string
  /** Executes the method's handler and answers the caller; errors go to the caller. */
  handle(): Promise<void>
}

/** What `run` sees. */
export interface RunContext<S, E extends EventTable = EventTable> extends ActorContext<S, E> {
  /** Messages as they come; the loop sets the pace. Ends when the activation does. */
  readonly inbox: AsyncIterable<InboxMessage>
  /** Aborted when the activation ends. */
  readonly signal: AbortSignal
}

/** What `create` sees. */
export interface ActivationContext {
  key: string
  logger: Logger
  /** Aborted when the activation ends. */
  signal: AbortSignal
}

/** Why a monitored actor is gone. */
export interface Down extends Address {
  reason: string
  /** It was linked: this actor ends after `down`. */
  linked: boolean
}

/** A handler; `call(schema, handler)` makes one that checks its argument. */
export type CallHandler<S, E extends EventTable> = ((context: TurnContext<S, E>, argument: any, input: AsyncIterable<any>) => any) & {
  schema?: StandardSchema<any, any>
}
export type CallHandlers<S, E extends EventTable> = { [method: string]: CallHandler<S, E> }
export type EventSchemas = { [event: string]: StandardSchema<any, any> }

export interface Definition<S, H extends CallHandlers<S, EventsOf<E>>, E extends EventSchemas> {
  needs?: Needs
  /** @default 'spread' */
  placement?: Placement
  /** @default 'fenced' with kept state, else 'soft' */
  identity?: Identity
  /** State that is kept: its schema, or that with a version, migrations and first value. */
  state?: StateSpec<S>
  /** Nodes that keep the state of a fenced actor; a majority of them must live. @default 3 */
  replicas?: number
  /** Makes state anew for each activation, in the place of `state`. */
  create?(context: ActivationContext): S | Promise<S>
  /** Gives back what `create` took. */
  destroy?(state: S): void | Promise<void>
  /** Turns do not interleave: a method runs to its end before the next message's turn. */
  calls: H
  /** What can be subscribed to, with the schema of each: of any validator, or `event<T>()`. */
  events?: E
  /** A loop of the actor's own over its inbox. When it returns the activation ends; when it throws it crashes. */
  run?(context: RunContext<S, EventsOf<E>>): Promise<void>
  /** A monitored actor is gone. */
  down?(context: TurnContext<S, EventsOf<E>>, down: Down): void | Promise<void>
  /** What happens to an activation that crashes (in `run`, `create` or its process). */
  restart?: Partial<RestartPolicy>
  /** Milliseconds without a call after which it is passivated. @default 300000 */
  idle?: number
  /** Turns may interleave where a method awaits: a call chain may come back to the actor in mid-turn. @default false */
  reentrant?: boolean
  /** Messages that may wait. @default MAX_MAILBOX */
  mailbox?: number
}

export type AnyDefinition = Definition<any, any, any>

export interface ProcessDefinition {
  /** Module that calls `serve()`; it runs in a process of its own, one per key. */
  process: URL
  restart?: Partial<RestartPolicy>
  /** false: only the node it runs on, and what runs there, may call it. @default true */
  remote?: boolean
}

/** A kind of actor. The type parameters exist for inference only. */
export interface ActorType<Calls extends CallTable, Events extends EventTable = any> {
  readonly name: string
  readonly definition?: AnyDefinition
  readonly process?: ProcessDefinition
  /** Phantoms: carry the types of calls and events. */
  readonly calls?: Calls
  readonly events?: Events
}

/** The calls that handlers offer: without their context. */
export type CallsOf<H> = {
  [M in keyof H]: H[M] extends (context: any, ...rest: infer R) => infer T ? (...rest: R) => Answer<T> : never
}
type Answer<T> = [T] extends [never] ? never : T extends AsyncIterable<any> ? T : Awaited<T>
/** Handlers of a table of calls that is written down apart from them: `actor<State, Handlers<State, Calls>>(…)`. */
export type Handlers<S, Calls extends CallTable> = {
  [M in keyof Calls]: (
    context: TurnContext<S>,
    ...rest: Parameters<Calls[M]>
  ) => ReturnType<Calls[M]> | Promise<Awaited<ReturnType<Calls[M]>>>
}
/** What each event carries. */
export type EventsOf<E> = { [K in keyof E]: E[K] extends StandardSchema<any, infer T> ? T : never }

/**
 * Defines a kind of actor. All types follow from the definition.
 *
 * @throws InvalidParametersError when `name` is not lower-case letters, digits and dashes
 */
export function actor<S, H extends CallHandlers<S, EventsOf<E>>, E extends EventSchemas = Record<never, never>>(
  name: string,
  definition: Definition<S, H, E>
): ActorType<CallsOf<H>, EventsOf<E>> {
  address(name, 'x')
  return { name, definition }
}

/** A handler whose argument is checked by `schema` before its turn; what fits not is refused with InvalidParametersError. */
export function call<S, E extends EventTable, A, R>(
  schema: StandardSchema<any, A>,
  handler: (context: TurnContext<S, E>, argument: A, input: AsyncIterable<any>) => R
): (context: TurnContext<S, E>, argument: A, input: AsyncIterable<any>) => R {
  return Object.assign(handler, { schema })
}

/** An event's type without a check of its values. */
export function event<T>(): StandardSchema<T, T> {
  return { '~standard': { version: 1, vendor: 'gradmesh', validate: value => ({ value: value as T }) } }
}

/** Defines a kind of actor each of which runs in a supervised process of its own; the methods live in the process's module. */
export function processActor<Calls extends CallTable>(name: string, definition: ProcessDefinition): ActorType<Calls> {
  address(name, 'x')
  return { name, process: definition }
}

/** The module beside `base` (an `import.meta.url`) in the form that runs: `.ts` from the source tree, `.js` once built. */
export function moduleUrl(base: string, path: string): URL {
  return new URL(path + (base.endsWith('.ts') ? '.ts' : '.js'), base)
}

export function identityOf(definition: AnyDefinition): Identity {
  return definition.identity ?? (definition.state === undefined ? 'soft' : 'fenced')
}

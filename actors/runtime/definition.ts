import type { Logger } from '../../common/index.ts'
import { address } from './address.ts'
import type { RestartPolicy } from './supervision-core.ts'

/** Typed calls of an actor: every method takes one argument and answers with a value that survives structured cloning and CBOR. */
export type CallTable = { [method: string]: (argument: any) => any }

/** What a call's handler sees besides its argument. */
export interface TurnContext<State> {
  state: State
  key: string
  /** Who called: a node's peer id, or this one's for a local call. */
  from: string
  /** Aborted when the caller gave up or the deadline passed. */
  signal: AbortSignal
}

/** What `create` and `destroy` see. */
export interface ActivationContext {
  key: string
  logger: Logger
  /** Aborted when the activation ends. */
  signal: AbortSignal
}

export interface LocalDefinition<State, Calls extends CallTable> {
  /** Makes the state of a new activation. */
  create(context: ActivationContext): State | Promise<State>
  /** Gives back what `create` took. */
  destroy?(state: State): void | Promise<void>
  /** Turns do not interleave: a method runs to its end before the next message's turn. */
  calls: {
    [M in keyof Calls]: (
      context: TurnContext<State>,
      argument: Parameters<Calls[M]>[0]
    ) => ReturnType<Calls[M]> | Promise<Awaited<ReturnType<Calls[M]>>>
  }
  /** Turns may interleave where a method awaits: a call chain may come back to the actor in mid-turn. @default false */
  reentrant?: boolean
  /** Messages that may wait. @default MAX_MAILBOX */
  mailbox?: number
}

export interface ProcessDefinition {
  /** Module that calls `serve()`; it runs in a process of its own, one per key. */
  process: URL
  restart?: RestartPolicy
  /** false: only the node it runs on, and what runs there, may call it. @default true */
  remote?: boolean
}

/** A kind of actor. `Calls` exists for inference only. */
export interface ActorType<Calls extends CallTable> {
  readonly name: string
  readonly local?: LocalDefinition<any, Calls>
  readonly process?: ProcessDefinition
  /** Phantom: carries the type of the calls. */
  readonly calls?: Calls
}

/**
 * Defines a kind of actor that runs inside the node's process.
 *
 * @throws InvalidParametersError when `name` is not lower-case letters, digits and dashes
 */
export function actor<State, Calls extends CallTable>(name: string, definition: LocalDefinition<State, Calls>): ActorType<Calls> {
  address(name, 'x')
  return { name, local: definition }
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

import {
  FencedError,
  GradmeshError,
  InvalidParametersError,
  type Logger,
  NotDeliveredError,
  OutcomeUnknownError,
  OverloadedError,
  UnreachableError
} from '../../common/index.ts'
import type { Address } from './address.ts'
import type { Needs } from './definition.ts'
import { type InstanceServices, noInput, type TurnInput } from './instance.ts'
import type { KeptState, Patch } from './kept-state.ts'
import type { RefusalReason } from './mailbox-core.ts'
import type { Turn } from './turn.ts'
import { encodeValue, isolate } from './values.ts'

/** Where the code of an activation runs: in this process, or in one of its own. */
export interface Behaviour {
  open(kept: KeptState | undefined): Promise<void>
  /** @returns the value, or a promise of it */
  turn(input: TurnInput): unknown
  /** What has been changed since it was asked last. */
  patch(): Patch | undefined
  whole(): KeptState | undefined | Promise<KeptState | undefined>
  run(): Promise<void> | undefined
  close(): Promise<void>
}

/** Keeps the state of a fenced activation. */
export interface Durable {
  readonly epoch: number
  /** Becomes the one that may write. @throws NoQuorumError, FencedError */
  open(): Promise<KeptState | undefined>
  /** Settles once the change, and all before, is safe, and the epoch was current after this call. @throws FencedError, NoQuorumError */
  commit(patch: Patch | undefined): Promise<void>
  /** Calls back when it may not write any more. */
  onLost(callback: (error: Error) => void): void
  close(): void
}

/** What of a definition the mailbox's side needs; the handlers may be in another process. */
export interface Traits {
  mailbox?: number
  reentrant?: boolean
  needs?: Needs
  /** ms */
  idle: number
  runs: boolean
  hasDown: boolean
}

/** The actor does not live here (any more): the call was not executed and has to look for it anew. */
export class Moved extends Error {}

export interface ActivationInit {
  address: Address
  traits: Traits
  logger: Logger
  /** Unique among all activations of all nodes. */
  id: string
  behaviour(services: Pick<InstanceServices, 'address' | 'epoch' | 'effect'>): Behaviour
  durable?: Durable
  /** State that this node set aside when it passivated the actor. */
  stashed?: KeptState
  /** Own peer id. */
  self: string
  onMonitor?(target: Address, linked: boolean, on: boolean): void
  /** It ended by itself: `crash` is undefined when it was its own wish. */
  onEnd?(crash: Error | undefined): void
}

export function inputOf(turn: Turn): TurnInput {
  const { method, argument, from, caller, chain, trace, input } = turn.call
  return {
    method,
    argument,
    from,
    caller,
    signal: () => turn.signal(),
    deadline: turn.deadlineAt,
    chain: chain ?? [],
    trace,
    input: input ?? noInput
  }
}

export function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** What a caller is told whose turn ended but was not made safe. */
export function unsafe(name: string, method: string, patch: Patch | undefined, error: Error): Error {
  if (patch !== undefined) {
    return new OutcomeUnknownError(`${name}.${method} was executed and it is not known whether its change was kept: ${error.message}`)
  }
  // It changed nothing that is kept: another activation may answer instead.
  if (error instanceof FencedError) return new Moved()
  return error instanceof GradmeshError ? error : new UnreachableError(error.message)
}

export function refusal(name: string, reason: RefusalReason): Error {
  switch (reason) {
    case 'overloaded':
      return new OverloadedError(`the mailbox of ${name} is full: slow down and try again`)
    case 'closed':
      return new Moved()
    case 'overtaken':
      return new NotDeliveredError(`a later call of the same caller reached ${name} before: call again`)
    case 'forgotten':
      return new OutcomeUnknownError(`${name} may have executed the call before its connection was lost; what it answered is not known`)
  }
}

/** A turn's value in the form that its caller takes. @throws InvalidParametersError, TooLargeError */
export function answerOf(name: string, turn: Turn, value: unknown): unknown {
  const { method, reply } = turn.call
  if (isStream(value)) throw new InvalidParametersError(`${name}.${method} answers with a stream: use stream()`)
  if (reply === 'bytes') return encodeValue(value, `result of ${name}.${method}`)
  return reply === 'copy' ? isolate(value, `result of ${name}.${method}`) : value
}

/** The items of a stream as bytes, until nobody reads them. */
export async function* encoded(
  items: AsyncIterable<unknown>,
  what: string,
  signal: AbortSignal | undefined,
  done: () => void
): AsyncGenerator<Uint8Array> {
  try {
    for await (const item of items) {
      if (signal?.aborted) return
      yield encodeValue(item, what)
    }
  } finally {
    done()
  }
}

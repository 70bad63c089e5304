import { fromWireError, type GradmeshError, InvalidParametersError, MalformedError, toWireError } from '../../common/index.ts'
import { Moved } from './activation-types.ts'
import { type Address, address, formatAddress, parseAddress } from './address.ts'
import { decodeState, encodeState, type KeptState } from './kept-state.ts'
import { ActorCall, ActorReply } from './pb/actor.ts'
import { MAX_CHAIN } from './scope.ts'
import { checkTrace } from './trace.ts'
import type { IncomingCall } from './turn.ts'
import { decodeValue, encodeValue } from './values.ts'

export const ACTOR_PROTOCOL = '/gradmesh/actor/2.0.0'
/** Streamed results, and events. */
export const STREAM_PROTOCOL = '/gradmesh/actor-stream/1.0.0'
/** What a caller streams to a method: asked for by the node that runs it. */
export const INPUT_PROTOCOL = '/gradmesh/actor-input/1.0.0'
/** Hands a soft actor's state to its new node. */
export const ADOPT_PROTOCOL = '/gradmesh/actor-adopt/1.0.0'

const MAX_TEXT = 600
const MAX_ERROR = 2000
const none = new Uint8Array(0)

/** A call as it is sent; what is absent is left out. */
export type OutgoingCall = Partial<ActorCall> & Pick<ActorCall, 'actor' | 'key'>

export function encodeCall(call: OutgoingCall): Uint8Array {
  return ActorCall.encode(call)
}

/** A call from a peer, its form checked. */
export interface ReceivedCall {
  to: Address
  call: IncomingCall
  epoch: number
  choice: number
  pinned: boolean
  event: string
  input: string
  activation: string
}

/** @throws MalformedError, InvalidParametersError */
export function decodeCall(bytes: Uint8Array, from: string, signal: AbortSignal, deadline: number): ReceivedCall {
  let wire: ActorCall
  try {
    wire = ActorCall.decode(bytes, { limits: { chain: MAX_CHAIN } })
  } catch (error) {
    throw new MalformedError(`an actor call that is none: ${error instanceof Error ? error.message.slice(0, 200) : error}`)
  }
  const { actor, key, method, caller, sequence, again, activation, sender, epoch, chain, choice, pinned, event, input } = wire
  if ([method, caller, activation, sender, event, input, ...chain].some(text => text.length > MAX_TEXT)) {
    throw new MalformedError(`an actor call with a text of over ${MAX_TEXT} characters`)
  }
  // What begins so is the runtime's own.
  if (method.startsWith('$') && !own.has(method)) throw new InvalidParametersError(`${actor} has no method ${JSON.stringify(method)}`)
  const trace = checkTrace(wire.traceparent, wire.tracestate)
  return {
    to: address(actor, key),
    call: {
      method,
      argument: wire.argument.byteLength === 0 ? null : decodeValue(wire.argument, `argument of ${actor}.${method}`),
      from,
      ...(sender === '' ? {} : { caller: sender }),
      ...(chain.length === 0 ? {} : { chain }),
      signal,
      deadline,
      ...(caller === '' ? {} : { numbered: { caller: `${from}/${caller}`, sequence, request: `${from}/${caller}#${sequence}`, again } }),
      ...(trace === undefined ? {} : { trace }),
      reply: 'bytes'
    },
    epoch,
    choice,
    pinned,
    event,
    input,
    activation
  }
}

/** Methods of the runtime itself that a peer may call: wakes an actor, monitors it, tells a monitoring one that it is gone. */
export const WAKE = '$wake'
export const WATCH = '$watch'
export const DOWN = '$down'
const own = new Set([WAKE, WATCH, DOWN])

/** This node would not take the actor: the next choice of its placement is asked. */
export class Refused extends Error {}

/** Where an actor is that is not here. */
export class Elsewhere extends Moved {
  readonly node: string | undefined

  constructor(node: string | undefined) {
    super()
    this.node = node
  }
}

export function valueReply(value: Uint8Array, activation: string): Uint8Array {
  return ActorReply.encode({ value: value as Uint8Array<ArrayBuffer>, activation })
}

/** What became of a call that has no value. */
export function failureReply(error: unknown, activation = ''): Uint8Array {
  if (error instanceof Moved)
    return ActorReply.encode({ value: none, activation, elsewhere: error instanceof Elsewhere ? (error.node ?? '') : '' })
  if (error instanceof Refused) return ActorReply.encode({ value: none, activation, refused: error.message.slice(0, MAX_ERROR) })
  const { name, message, retryable } = toWireError(error)
  return ActorReply.encode({ value: none, activation, failure: { name, message: message.slice(0, MAX_ERROR), retryable } })
}

export type Reply =
  | { type: 'value'; value: Uint8Array; activation: string }
  | { type: 'failed'; error: GradmeshError; activation: string }
  | { type: 'elsewhere'; node: string | undefined }
  | { type: 'refused'; reason: string }

/** @throws MalformedError */
export function decodeReply(bytes: Uint8Array): Reply {
  let wire: ActorReply
  try {
    wire = ActorReply.decode(bytes)
  } catch (error) {
    throw new MalformedError(`an actor's reply that is none: ${(error as Error).message.slice(0, 200)}`)
  }
  const { value, activation, elsewhere, refused, failure } = wire
  if (elsewhere !== undefined) return { type: 'elsewhere', node: elsewhere === '' ? undefined : elsewhere }
  if (refused !== undefined) return { type: 'refused', reason: refused }
  if (failure !== undefined) return { type: 'failed', error: fromWireError(failure), activation }
  return { type: 'value', value, activation }
}

export function encodeHandOver(name: string, state: KeptState): Uint8Array {
  return encodeValue([name, encodeState(state)], `state of ${name}`)
}

/** @throws MalformedError, InvalidParametersError */
export function decodeHandOver(bytes: Uint8Array): { name: string; state: KeptState } {
  const value = decodeValue(bytes, 'state of an actor')
  if (!Array.isArray(value) || typeof value[0] !== 'string' || !(value[1] instanceof Uint8Array))
    throw new MalformedError('no state of an actor')
  return { name: formatAddress(parseAddress(value[0])), state: decodeState(value[1]) }
}

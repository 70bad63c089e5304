import {
  AbortedError,
  type Clock,
  DeadlineError,
  GradmeshError,
  NotDeliveredError,
  OutcomeUnknownError,
  OverloadedError,
  type Rng,
  UnreachableError
} from '../../common/index.ts'
import { Moved } from './activation-types.ts'
import { type Address, address, formatAddress } from './address.ts'
import { type CallerEffect, callerStep, createCallers, laneIsIdle } from './caller-core.ts'
import { type Callable, type CallOptions, type CallTarget, DEFAULT_DEADLINE, type StreamOptions } from './handle.ts'
import type { RuntimeMesh } from './runtime-types.ts'
import { currentTurn, type TurnScope } from './scope.ts'
import { Streams } from './streams.ts'
import { watch } from './sweeper.ts'
import { outgoingTrace } from './trace.ts'
import type { IncomingCall } from './turn.ts'
import { decodeValue, encodeValue, isolate } from './values.ts'
import { ACTOR_PROTOCOL, decodeReply, Elsewhere, encodeCall, type OutgoingCall, Refused } from './wire.ts'

export interface RouterInit {
  mesh: RuntimeMesh
  clock: Clock
  random: Rng
  /** Tells this life of the node from its earlier ones. */
  life: string
  /** Choice number `choice` of an actor's placement. @throws NotFoundError when no member can take it */
  place(target: Address, choice: number): string
  /** Executes a call here. @throws Elsewhere, Refused, Moved */
  here(target: Address, call: IncomingCall, choice: number, pinned: boolean): Promise<unknown>
  /** Whether the actor is active here, so that a call needs no way to it. */
  isHere(name: string): boolean
  subscribeHere(target: Address, event: string, signal: AbortSignal, choice: number, pinned: boolean): AsyncIterable<Uint8Array>
}

interface Outgoing {
  id: number
  to: Address
  method: string
  argument: unknown
  options: CallOptions
  scope: TurnScope | undefined
  deadlineAt: number
  deadline: number
  attempt: AbortController | undefined
  resolve(value: unknown): void
  reject(error: unknown): void
  /** Why it was not executed the last time. */
  reason: string
}

/** Carries calls from this node to actors wherever they live. */
export class Router implements Callable {
  readonly #init: RouterInit
  readonly #state = createCallers()
  readonly #calls = new Map<number, Outgoing>()
  readonly #streams: Streams
  #sequence = 0
  #closed = false

  constructor(init: RouterInit) {
    this.#init = init
    this.#streams = new Streams(init)
  }

  call(to: CallTarget, method: string, argument: unknown, options: CallOptions = {}): Promise<unknown> {
    const scope = currentTurn()
    const deadline = remaining(options.deadline ?? DEFAULT_DEADLINE, scope)
    if (options.signal?.aborted) return Promise.reject(new AbortedError(`the call of ${formatAddress(to)}.${method} was given up`))
    if (!(deadline > 0)) return Promise.reject(new DeadlineError(`the turn that calls ${formatAddress(to)}.${method} is past its deadline`))
    if (to.node !== undefined) return this.#pinned(to, to.node, method, argument, options, scope, deadline)
    const name = formatAddress(to)
    const lane = laneName(name, scope)
    if (this.#init.isHere(name) && laneIsIdle(this.#state, lane)) {
      return this.#short(to, lane, method, argument, options, scope, deadline)
    }
    return this.#long(address(to.actor, to.key), lane, method, argument, options, scope, deadline)
  }

  stream(to: CallTarget, method: string, argument: unknown, options: StreamOptions = {}): AsyncIterable<unknown> {
    return this.#streams.call(to, method, argument, options, currentTurn())
  }

  subscribe(to: CallTarget, event: string, options: { signal?: AbortSignal } = {}): Promise<AsyncIterable<unknown>> {
    return this.#streams.subscribe(to, event, options)
  }

  /** What a caller offers as a stream to a method, for the node that asks. */
  input(id: string, from: string): AsyncIterable<Uint8Array> {
    return this.#streams.input(id, from)
  }

  /** Input of a call that arrived, taken from its caller when the method reads it. */
  pull(from: string, id: string, signal: AbortSignal): AsyncIterable<unknown> {
    return this.#streams.pull(from, id, signal)
  }

  close(): void {
    this.#closed = true
    for (const call of this.#calls.values()) call.reject(new UnreachableError('this node is stopping'))
    this.#calls.clear()
  }

  sweep(now: number): boolean {
    for (const call of [...this.#calls.values()]) {
      if (call.deadlineAt > now) continue
      const why = call.reason === '' ? '' : ` (${call.reason})`
      this.#end(
        call,
        new DeadlineError(`${formatAddress(call.to)}.${call.method} did not answer within ${Math.round(call.deadline)} ms${why}`)
      )
    }
    return this.#calls.size > 0
  }

  /** An actor of this process: the call goes straight to its mailbox. */
  async #short(
    to: Address,
    lane: string,
    method: string,
    argument: unknown,
    options: CallOptions,
    scope: TurnScope | undefined,
    deadline: number
  ): Promise<unknown> {
    const copy = isolate(argument, `argument of ${to.actor}.${method}`)
    try {
      return await this.#init.here(to, incoming(this.#init.mesh.peer, method, copy, options, scope, deadline, 'copy'), 0, false)
    } catch (error) {
      if (!(error instanceof Moved) && !(error instanceof Refused)) throw error
      return await this.#long(address(to.actor, to.key), lane, method, copy, options, scope, deadline)
    }
  }

  /** A call to one node, whoever owns the actor: nobody else is asked. */
  async #pinned(
    to: Address,
    node: string,
    method: string,
    argument: unknown,
    options: CallOptions,
    scope: TurnScope | undefined,
    deadline: number
  ): Promise<unknown> {
    const { mesh } = this.#init
    const what = `argument of ${to.actor}.${method}`
    try {
      if (node === mesh.peer) {
        const call = incoming(mesh.peer, method, isolate(argument, what), options, scope, deadline, 'copy')
        return await this.#init.here(address(to.actor, to.key), call, 0, true)
      }
      const request = encodeCall({ ...wireOf(to, method, encodeValue(argument, what), options, scope), pinned: true })
      const { signal } = options
      const reply = decodeReply(
        await mesh.request(node, ACTOR_PROTOCOL, request, signal === undefined ? { deadline } : { deadline, signal })
      )
      if (reply.type === 'value') return decodeValue(reply.value, `result of ${to.actor}.${method}`)
      if (reply.type === 'failed') throw reply.error
      if (reply.type === 'refused') throw new OverloadedError(reply.reason)
      throw new UnreachableError(`${formatAddress(to)} is not on ${node}`)
    } catch (error) {
      if (error instanceof Refused) throw new OverloadedError(error.message)
      if (error instanceof Moved)
        throw new UnreachableError(`${formatAddress(to)} has ended here: call again and it is found where it lives now`)
      throw error
    }
  }

  async #long(
    to: Address,
    lane: string,
    method: string,
    argument: unknown,
    options: CallOptions,
    scope: TurnScope | undefined,
    deadline: number
  ): Promise<unknown> {
    if (this.#closed) throw new UnreachableError('this node is stopping')
    const encoded = encodeValue(argument, `argument of ${to.actor}.${method}`)
    return await new Promise((resolve, reject) => {
      const id = ++this.#sequence
      const deadlineAt = performance.now() + deadline
      const call: Outgoing = {
        id,
        to,
        method,
        argument: encoded,
        options,
        scope,
        deadlineAt,
        deadline,
        attempt: undefined,
        resolve,
        reject,
        reason: ''
      }
      const { signal } = options
      if (signal !== undefined) {
        const onAbort = () => this.#end(call, new AbortedError(`the call of ${formatAddress(to)}.${method} was given up`))
        signal.addEventListener('abort', onAbort, { once: true })
        call.resolve = value => {
          signal.removeEventListener('abort', onAbort)
          resolve(value)
        }
        call.reject = error => {
          signal.removeEventListener('abort', onAbort)
          reject(error)
        }
      }
      this.#calls.set(id, call)
      if (this.#calls.size === 1) watch(this)
      this.#step({ type: 'call', id, lane, idempotent: options.idempotent ?? false })
    })
  }

  #end(call: Outgoing, error: Error): void {
    if (!this.#calls.delete(call.id)) return
    call.attempt?.abort(error)
    call.reject(error)
    this.#step({ type: 'ended', id: call.id })
  }

  #step(event: Parameters<typeof callerStep>[1]): void {
    const { clock, random } = this.#init
    for (const effect of callerStep(this.#state, event, { now: clock.now(), random })) this.#carryOut(effect)
  }

  #carryOut(effect: CallerEffect): void {
    if (effect.type === 'setTimer') {
      this.#init.clock.setTimer(effect.delay, () => this.#step({ type: 'timer', id: effect.id }))
      return
    }
    if (effect.type === 'cancelTimer') return
    const call = this.#calls.get(effect.id)
    if (call === undefined) return
    if (effect.type === 'send') void this.#send(call, effect)
    else {
      this.#calls.delete(call.id)
      call.reject(
        effect.reason === 'overloaded'
          ? new OverloadedError(`too many calls to ${formatAddress(call.to)} wait for an answer: slow down`)
          : new OutcomeUnknownError(
              `the connection was lost before ${formatAddress(call.to)} answered ${call.method}: it may have been executed`
            )
      )
    }
  }

  async #send(call: Outgoing, effect: Extract<CallerEffect, { type: 'send' }>): Promise<void> {
    const { mesh } = this.#init
    const { to, method, options, scope } = call
    const { choice, generation, sequence, again, activation } = effect
    const argument = call.argument as Uint8Array<ArrayBuffer>
    let node = effect.node
    try {
      node ??= this.#init.place(to, choice)
      const deadline = Math.max(1, Math.ceil(call.deadlineAt - performance.now()))
      const caller = callerName(this.#init.life, generation, scope)
      if (node === mesh.peer) {
        const base = incoming(mesh.peer, method, decodeValue(argument, 'argument'), options, scope, deadline, 'copy')
        const numbered = { caller: `${node}/${caller}`, sequence, request: `${node}/${caller}#${sequence}`, again }
        const value = await this.#init.here(to, { ...base, numbered }, choice, false)
        return this.#answered(call, { node, activation: '' }, () => call.resolve(value))
      }
      call.attempt = new AbortController()
      const request = encodeCall({ ...wireOf(to, method, argument, options, scope), caller, sequence, again, activation, choice })
      const reply = decodeReply(await mesh.request(node, ACTOR_PROTOCOL, request, { deadline, signal: call.attempt.signal }))
      if (reply.type === 'value') {
        const value = decodeValue(reply.value, `result of ${to.actor}.${method}`)
        this.#answered(call, { node, activation: reply.activation }, () => call.resolve(value))
      } else if (reply.type === 'failed') {
        const location = reply.activation === '' ? undefined : { node, activation: reply.activation }
        this.#answered(call, location, () => call.reject(reply.error))
      } else if (reply.type === 'elsewhere') {
        this.#step(reply.node === undefined ? { type: 'redirected', id: call.id } : { type: 'redirected', id: call.id, node: reply.node })
      } else {
        call.reason = reply.reason
        this.#step({ type: 'refused', id: call.id })
      }
    } catch (error) {
      this.#failed(call, error, node === mesh.peer)
    }
  }

  #answered(call: Outgoing, location: { node: string; activation: string } | undefined, settle: () => void): void {
    if (this.#calls.delete(call.id)) settle()
    this.#step(location === undefined ? { type: 'answered', id: call.id } : { type: 'answered', id: call.id, location })
  }

  #failed(call: Outgoing, error: unknown, local: boolean): void {
    if (!this.#calls.has(call.id)) return
    const { id } = call
    if (error instanceof Elsewhere) {
      this.#step(error.node === undefined ? { type: 'redirected', id } : { type: 'redirected', id, node: error.node })
      return
    }
    if (error instanceof Moved) {
      this.#step({ type: 'redirected', id })
      return
    }
    if (error instanceof Refused) {
      call.reason = error.message
      this.#step({ type: 'refused', id })
      return
    }
    if (!local && (error instanceof UnreachableError || error instanceof NotDeliveredError)) {
      call.reason = error.message
      this.#step({ type: 'undelivered', id })
      return
    }
    if (!local && error instanceof OutcomeUnknownError) {
      this.#step({ type: 'lost', id })
      return
    }
    // The call's own deadline ends it.
    if (!local && error instanceof DeadlineError) return
    this.#answered(call, undefined, () => call.reject(error instanceof GradmeshError ? error : toError(error)))
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new GradmeshError(String(error))
}

/** What is left of a turn's time bounds the calls it makes. */
export function remaining(deadline: number, scope: TurnScope | undefined): number {
  const left = scope === undefined ? deadline : Math.min(deadline, scope.deadline - performance.now())
  // The platform's timers take whole milliseconds.
  return Number.isFinite(left) ? Math.ceil(left) : left
}

/** Order is kept between one caller, an actor or the node itself, and one actor. */
function laneName(target: string, scope: TurnScope | undefined): string {
  return scope === undefined ? target : `${target}\n${scope.actor}`
}

function callerName(life: string, generation: number, scope: TurnScope | undefined): string {
  return scope === undefined ? `${life}.${generation}` : `${life}.${generation}.${scope.epoch}`
}

export function incoming(
  from: string,
  method: string,
  argument: unknown,
  options: CallOptions,
  scope: TurnScope | undefined,
  deadline: number,
  reply: IncomingCall['reply']
): IncomingCall {
  const trace = options.trace ?? outgoingTrace(scope?.trace)
  return {
    method,
    argument,
    from,
    deadline,
    reply,
    ...(scope === undefined ? {} : { caller: scope.actor, chain: scope.chain, epoch: scope.epoch }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(trace === undefined ? {} : { trace })
  }
}

export function wireOf(
  to: Address,
  method: string,
  argument: Uint8Array<ArrayBuffer>,
  options: CallOptions,
  scope: TurnScope | undefined
): OutgoingCall {
  const trace = options.trace ?? outgoingTrace(scope?.trace)
  return {
    actor: to.actor,
    key: to.key,
    method,
    argument,
    ...(scope === undefined ? {} : { sender: scope.actor, epoch: scope.epoch, chain: [...scope.chain] }),
    ...(trace === undefined ? {} : { traceparent: trace.traceparent, tracestate: trace.tracestate ?? '' })
  }
}

import { InvalidParametersError } from '../../common/index.ts'
import { type Address, address } from './address.ts'
import type { ActorType, CallTable, EventTable } from './definition.ts'
import type { TraceHeaders } from './trace.ts'

export interface CallOptions {
  signal?: AbortSignal
  /** Milliseconds until the call fails with `DeadlineError`. @default 10000, and never after that of the turn that calls */
  deadline?: number
  /** Executing it twice does no harm: it is sent again where its outcome is unknown. @default false */
  idempotent?: boolean
  /** W3C trace context, where no OpenTelemetry SDK supplies it. */
  trace?: TraceHeaders
}

export const DEFAULT_DEADLINE = 10_000

export interface HandleOptions {
  /** Pins the address to one node; else the actor is found by its placement. */
  node?: string
}

/** An address, and the node it is pinned to if any. */
export interface CallTarget extends Address {
  node?: string
}

/** Whatever can carry calls to an address. */
export interface Callable {
  call(to: CallTarget, method: string, argument: unknown, options?: CallOptions): Promise<unknown>
  stream(to: CallTarget, method: string, argument: unknown, options?: StreamOptions): AsyncIterable<unknown>
  subscribe(to: CallTarget, event: string, options?: { signal?: AbortSignal }): Promise<AsyncIterable<unknown>>
}

export interface StreamOptions extends Pick<CallOptions, 'signal' | 'trace'> {
  /** What the method reads, as fast as it does. */
  input?: AsyncIterable<unknown>
}

type Streams<T> = [T] extends [never] ? false : T extends AsyncIterable<any> ? true : false
type Unary<Calls extends CallTable> = { [M in keyof Calls]: Streams<ReturnType<Calls[M]>> extends true ? never : M }[keyof Calls] & string
type Streaming<Calls extends CallTable> = {
  [M in keyof Calls]: Streams<ReturnType<Calls[M]>> extends true ? M : never
}[keyof Calls] &
  string
type Item<T> = T extends AsyncIterable<infer I> ? I : never
/** A method that takes nothing is called without an argument. */
type Arguments<F extends (...args: any) => any, O> =
  Parameters<F> extends []
    ? [argument?: null, options?: O]
    : unknown extends Parameters<F>[0]
      ? [argument?: unknown, options?: O]
      : undefined extends Parameters<F>[0]
        ? [argument?: Parameters<F>[0], options?: O]
        : [argument: Parameters<F>[0], options?: O]
type Input<F extends (...args: any) => any> = Parameters<F>[1] extends AsyncIterable<infer I> ? AsyncIterable<I> : AsyncIterable<unknown>

/** An address to call, with the types of its actor's calls and events. Nobody is spawned: the first call activates. */
export interface Handle<Calls extends CallTable, Events extends EventTable = any> extends Address {
  call<M extends Unary<Calls>>(method: M, ...rest: Arguments<Calls[M], CallOptions>): Promise<Awaited<ReturnType<Calls[M]>>>
  /** Calls a method that answers with a stream. Ending the iteration ends the method's. */
  stream<M extends Streaming<Calls>>(
    method: M,
    ...rest: Arguments<Calls[M], Omit<StreamOptions, 'input'> & { input?: Input<Calls[M]> }>
  ): AsyncIterable<Item<ReturnType<Calls[M]>>>
  /**
   * What the actor emits from the moment this resolves. The actor does not wait for a subscriber: one that falls 256 events behind is
   * cut off with OverloadedError. When the actor moves, the subscription follows it; what it emits in between is not seen.
   */
  subscribe<K extends keyof Events & string>(event: K, options?: { signal?: AbortSignal }): Promise<AsyncIterable<Events[K]>>
}

export function createHandle<Calls extends CallTable, Events extends EventTable>(
  callable: Callable,
  type: ActorType<Calls, Events>,
  key: string,
  options: HandleOptions = {}
): Handle<Calls, Events> {
  return new AddressHandle(callable, address(type.name, key), options.node) as unknown as Handle<Calls, Events>
}

class AddressHandle implements Address {
  readonly actor: string
  readonly key: string
  readonly #target: CallTarget
  readonly #callable: Callable

  constructor(callable: Callable, target: Address, node: string | undefined) {
    this.actor = target.actor
    this.key = target.key
    this.#callable = callable
    this.#target = node === undefined ? target : { ...target, node }
  }

  call(method: string, argument?: unknown, options?: CallOptions): Promise<unknown> {
    if (method.startsWith('$'))
      return Promise.reject(new InvalidParametersError(`${method}: names that begin with $ are the runtime's own`))
    return this.#callable.call(this.#target, method, argument, options)
  }

  stream(method: string, argument?: unknown, options?: StreamOptions): AsyncIterable<unknown> {
    return this.#callable.stream(this.#target, method, argument, options)
  }

  subscribe(event: string, options?: { signal?: AbortSignal }): Promise<AsyncIterable<unknown>> {
    return this.#callable.subscribe(this.#target, event, options)
  }
}

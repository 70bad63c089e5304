import { address } from './address.ts'
import type { ActorType, CallTable } from './definition.ts'
import type { CallOptions, CallTarget } from './ipc.ts'

/** Whatever can carry a call to an address. */
export interface Callable {
  call(to: CallTarget, method: string, argument: unknown, options?: CallOptions): Promise<unknown>
}

/** An address to call, with the types of its actor's calls. */
export interface Handle<Calls extends CallTable> {
  readonly actor: string
  readonly key: string
  call<M extends keyof Calls & string>(
    method: M,
    argument: Parameters<Calls[M]>[0],
    options?: CallOptions
  ): Promise<Awaited<ReturnType<Calls[M]>>>
}

/** @param node - pins the address to one node; else the actor is found by its placement */
export function createHandle<Calls extends CallTable>(
  callable: Callable,
  type: ActorType<Calls>,
  key: string,
  node?: string
): Handle<Calls> {
  const target: CallTarget = node === undefined ? address(type.name, key) : { ...address(type.name, key), node }
  return {
    actor: target.actor,
    key: target.key,
    call: (method, argument, options) => callable.call(target, method, argument, options) as any
  }
}

/**
 * @packageDocumentation
 *
 * The actor runtime: definitions, addresses, mailboxes, placement and supervision. An actor lives inside the node's process or in
 * a supervised process of its own; a call finds it by its address from anywhere on the mesh.
 *
 * @example
 * const Counter = actor<{ n: number }, { add(by: number): number }>('counter', {
 *   create: () => ({ n: 0 }),
 *   calls: { add: ({ state }, by) => (state.n += by) }
 * })
 * const runtime = new Runtime({ mesh, logger })
 * runtime.register(Counter)
 * console.log(await runtime.at(Counter, 'a').call('add', 2))
 */
export * from './address.ts'
export * from './definition.ts'
export type { Handle } from './handle.ts'
export { type CallOptions, DEFAULT_DEADLINE } from './ipc.ts'
export { type HostedActor, host } from './local.ts'
export { type ProcessContext, serve } from './process-entry.ts'
export { ProcessHost } from './process-host.ts'
export { ACTOR_PROTOCOL, MAX_VALUE, Runtime, type RuntimeMesh } from './runtime.ts'
export { defaultRestart, type RestartPolicy } from './supervision-core.ts'

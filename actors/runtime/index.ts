/**
 * @packageDocumentation
 *
 * The actor runtime: definitions, addresses, mailboxes, placement and supervision. An actor lives inside the node's process or in
 * a supervised process of its own; a call finds it by its address from anywhere on the mesh.
 *
 * @example
 * const Counter = actor('counter', {
 *   state: z.object({ n: z.number().default(0) }),
 *   calls: { add: ({ state }, by: number) => (state.n += by) }
 * })
 * const runtime = new Runtime({ mesh, logger, store })
 * runtime.register(Counter)
 * console.log(await runtime.at(Counter, 'a').call('add', 2))
 */
export { type Address, address, formatAddress, parseAddress } from './address.ts'
export * from './definition.ts'
export type { Recovery } from './epochs.ts'
export { type CallOptions, DEFAULT_DEADLINE, type Handle, type HandleOptions, type StreamOptions } from './handle.ts'
export type { Lease, Ledger } from './ledger.ts'
export { type HostedActor, host } from './local.ts'
export { type ProcessContext, serve } from './process-entry.ts'
export { ProcessHost } from './process-host.ts'
export { Runtime } from './runtime.ts'
export type { RuntimeInit, RuntimeMesh } from './runtime-types.ts'
export type { StandardSchema, StateSpec, VersionedState } from './schema.ts'
export { defaultRestart, type RestartPolicy } from './supervision-core.ts'
export type { TraceHeaders } from './trace.ts'
export { MAX_VALUE } from './values.ts'
export { ACTOR_PROTOCOL } from './wire.ts'

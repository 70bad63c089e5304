/**
 * @packageDocumentation
 *
 * The state folder of a node: who it is, what it has promised, whom it knows. Held by one process at a time through a lock of the
 * kernel that dies with the process; what is put is on the disk when `put` returns.
 *
 * @example
 * import { openState } from './mesh/state/index.ts'
 * const state = openState('/var/lib/gradmesh/node')
 * const kv = state.kv('notes')
 * kv.put('greeting', new TextEncoder().encode('hello'))
 * console.log(state.boot, kv.get('greeting'))
 * state.close()
 */
export { type FirstFree, openFirstFree, openState, type State, stateBase } from './folder.ts'
export { makeFolder } from './make-folder.ts'
export type { KeyValue } from './store.ts'

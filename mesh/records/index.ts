/**
 * @packageDocumentation
 *
 * Small facts that every member should know (what a node has, which jobs there are, who was revoked): signed records with a version
 * and an expiry, the newest of each (kind, key) on every node. Changes are pushed at once; comparing digests with a random member
 * every two seconds makes up for what was lost.
 *
 * @example
 * import type { Records } from './mesh/records/index.ts'
 * function announce(records: Records) {
 *   records.define('motto', { owner: 'any' })
 *   records.on('motto', record => console.log(record.author, new TextDecoder().decode(record.payload)))
 *   records.put('motto', 'today', new TextEncoder().encode('no driver'), { ttl: 60_000 })
 * }
 */
export type { MeshRecord } from './record.ts'
export { createRecords, type PutOptions, type Records, type RecordsInit } from './records.ts'
export type { KindRule, Ownership } from './store.ts'

/**
 * @packageDocumentation
 *
 * Bulk bytes and small exchange messages between two trainers, on connections of their own. A receiver names where a transfer shall
 * land; only then does the sender let its bytes go, so that nothing is held in between and nobody writes where it was not asked to.
 *
 * `stream` opens on a libp2p stream, encrypted by Noise, and goes over to a TLS 1.3 connection whose key was agreed there
 * (`tls-lane.ts`), or stays where none can be made. Other implementations of the same contract, over RDMA or the memory of one host,
 * stand beside it in this folder: they share `Landing` and `Departures`, which decide who may write what and where, and differ in how
 * a chunk moves.
 *
 * @example
 * const endpoint = createBulkEndpoint(host.libp2p, { admitted: host.admission })
 * endpoint.allow(peer => members.has(peer))
 * const channel = await endpoint.connect(peer, candidates)
 * await Promise.all([
 *   channel.receive('g1/s0/rs/0', landing),
 *   channel.send('g1/s0/rs/1', slice)
 * ])
 */
export type { BulkChannel, BulkEndpoint, BulkStatistics } from './channel.ts'
export { type BulkEndpointOptions, createBulkEndpoint } from './endpoint.ts'
export { BULK_PROTOCOL, MAX_ID_BYTES, MAX_MESSAGE_BYTES, MAX_REGIONS } from './limits.ts'

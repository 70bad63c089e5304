/**
 * @packageDocumentation
 *
 * Bulk bytes and small exchange messages between two trainers, on connections of their own. A receiver names where a transfer shall
 * land; only then does the sender let its bytes go, so that nothing is held in between and nobody writes where it was not asked to.
 *
 * `stream` opens on a libp2p stream, encrypted by Noise, and goes over to a TLS 1.3 connection whose key was agreed there
 * (`tls-lane.ts`), or stays where none can be made. Where both trainers have a faster way, `boarding.ts` finds it, and frames leave
 * by a `Carrier` over it: `shm`, the memory of one host, or `rdma`. `Landing` and `Departures` decide who may write what and where,
 * whichever way a frame came. When a carrier fails, the wire goes on over the next way from the first frame that was not taken.
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
export type { FastWay } from './boarding.ts'
export type { BulkChannel, BulkEndpoint, BulkStatistics } from './channel.ts'
export { type BulkEndpointOptions, createBulkEndpoint } from './endpoint.ts'
export { type FabricChoice, fastWays } from './fast-ways.ts'
export { BULK_PROTOCOL, MAX_ID_BYTES, MAX_MESSAGE_BYTES, MAX_REGIONS } from './limits.ts'

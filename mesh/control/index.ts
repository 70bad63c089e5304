/**
 * @packageDocumentation
 *
 * What members say to each other: requests with one reply, requests with a sequence of replies, and one-way messages. Protobuf frames
 * behind a length prefix, on long-lived streams, all of it bounded; errors travel as the closed set they are.
 *
 * @example
 * import { createControl } from './mesh/control/index.ts'
 * import type { Host } from './mesh/host.ts'
 * async function echo(a: Host, b: Host) {
 *   const [left, right] = [await createControl({ host: a }), await createControl({ host: b })]
 *   right.handle('/example/echo/1.0.0', async request => request)
 *   return await left.request(b.peer, '/example/echo/1.0.0', new Uint8Array([1, 2, 3]), { deadline: 1000 })
 * }
 */
export { type ControlInit, createControl } from './control.ts'
export { encodeFrame, FrameReader } from './frames.ts'
export type { Control, NotifyHandler, RequestContext, RequestHandler, RequestOptions, StreamHandler } from './types.ts'

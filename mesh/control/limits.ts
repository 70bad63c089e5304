import { MAX_CONTROL_MESSAGE } from '../../common/index.ts'

/** A frame is a message and its envelope. */
export const MAX_FRAME = MAX_CONTROL_MESSAGE + 1024
/** Requests of one peer that wait for their reply, each way. */
export const MAX_IN_FLIGHT = 1024
/** Bytes that wait to be written to one peer, and bytes of its requests that are being answered. */
export const MAX_QUEUE = 32 * 1024 * 1024
/** Bytes of replies that one peer may leave unread before it is cut off; at {@link MAX_QUEUE} its new requests are refused. */
export const MAX_REPLIES = 256 * 1024 * 1024
/** Bytes of one-way messages that wait for one peer and protocol. */
export const MAX_NOTIFY_QUEUE = 4 * 1024 * 1024
/** Items' bytes of a streamed reply that wait for their reader, or for the network. */
export const STREAM_BUFFER = 256 * 1024
/** Streamed replies of one peer at a time. */
export const MAX_STREAMS_PER_PEER = 64
/** How long a request waits for its reply unless it says otherwise, ms. */
export const DEFAULT_DEADLINE = 30_000
/** Longest name of a protocol, characters. */
export const MAX_PROTOCOL_NAME = 128

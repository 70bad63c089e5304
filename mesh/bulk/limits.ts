import { MAX_BULK_CHUNK } from '../../common/index.ts'

/** Protocol id of the stream implementation. */
export const BULK_PROTOCOL = '/gradmesh/bulk/1.1.0'

/** Bytes of the fixed header every frame starts with. */
export const HEADER_BYTES = 20

/**
 * Payload of one chunk. A frame of header and payload, with yamux's 12 bytes before it, fills four Noise messages of 65,519 bytes
 * to the last byte, so that no small remainder is encrypted on its own.
 */
export const CHUNK_BYTES = 4 * 65_519 - 12 - HEADER_BYTES

/** Largest chunk payload accepted from a peer. */
export const MAX_CHUNK_BYTES = MAX_BULK_CHUNK

/** Largest message body. */
export const MAX_MESSAGE_BYTES = 64 * 1024

/** Longest transfer id, UTF-8 bytes. */
export const MAX_ID_BYTES = 128

/** Regions named and not yet settled on one channel, transfers offered on one channel, and regions a peer may have named: each. */
export const MAX_REGIONS = 4096

/** Messages that wait to be sent on one channel. */
export const MAX_QUEUED_MESSAGES = 1024

/** Bytes of messages that wait to be sent on one channel, or to be taken by a first `onMessage` callback. */
export const MAX_QUEUED_MESSAGE_BYTES = 4 * 1024 * 1024

/**
 * Bytes of control frames that wait to be sent. An honest peer cannot cause more than a grant, a revocation, an acknowledgement and
 * a withdrawal for each of {@link MAX_REGIONS}; a peer that does is cut off.
 */
export const MAX_QUEUED_CONTROL_BYTES = 4 * 1024 * 1024

/** Largest region, bytes: what a float64 still counts exactly. */
export const MAX_REGION_BYTES = Number.MAX_SAFE_INTEGER

/** Addresses tried for one peer. */
export const MAX_CANDIDATES = 32

/** Longest endpoint candidate, characters. */
export const MAX_CANDIDATE_LENGTH = 512

/** Inbound streams that have not been decided on, all peers together. */
export const MAX_UNDECIDED = 256

/** Of these, of one peer. */
export const MAX_UNDECIDED_PER_PEER = 4

/** Time an inbound stream may stay undecided (not yet greeted, not yet allowed, a dial of our own still running), ms. */
export const UNDECIDED_TIMEOUT = 15_000

/** Time a dial may take from first packet to acceptance, ms, unless the caller's signal ends it sooner. */
export const CONNECT_TIMEOUT = 20_000

/** An idle channel sends a heartbeat this often, ms. */
export const HEARTBEAT_INTERVAL = 3_000

/** A peer from which nothing came for so long is taken for gone, ms. */
export const SILENCE_TIMEOUT = 20_000

/** Time in which an offered lane must be made, ms. */
export const LANE_TIMEOUT = 15_000

/** Buffers of one chunk that a channel keeps for the next ones. */
export const SPARE_CHUNKS = 4

/** Time in which two sides must have agreed on a faster way and tried it, ms; for each way. */
export const FIT_TIMEOUT = 15_000

/** Largest body of a frame that describes such a way. */
export const MAX_FIT_BYTES = 4096

/** Bytes of a ring of shared memory or of an RDMA landing, for each direction of a channel. */
export const RING_BYTES = 2 * 1024 * 1024

/** Bytes taken from a ring, or written to one, in one turn of the event loop: some hundred microseconds. */
export const TURN_BYTES = 1024 * 1024

/** Time `close()` waits for queued messages to leave, ms. */
export const CLOSE_TIMEOUT = 1_000

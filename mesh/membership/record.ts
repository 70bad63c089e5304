/** What a node holds of a member. A suspect is still taken for alive; dead and left are final until the member itself says more. */
export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

/** One statement about one member, as it travels. */
export interface MemberRecord {
  peer: string
  /** Life of the member's process; a restart has a higher one. */
  epoch: number
  /** Grows within a life with each refutation or change of addresses. */
  incarnation: number
  state: MemberState
  /** Multiaddrs; empty in news of suspicion and death. */
  addresses: string[]
  /** Opaque bytes of the member about its software. */
  version: Uint8Array
  /** Who suspects; '' unless state is suspect. */
  by: string
  /** The member's signature on its leave; empty unless state is left. */
  proof: Uint8Array
}

/** Negative when `a` speaks of an earlier moment of the member than `b`, 0 for the same, positive for a later. */
export function compareLife(a: { epoch: number; incarnation: number }, b: { epoch: number; incarnation: number }): number {
  return a.epoch - b.epoch || a.incarnation - b.incarnation
}

export const noBytes: Uint8Array = new Uint8Array(0)

/** Multiaddrs of one member. */
export const MAX_ADDRESSES = 8
/** Bytes (UTF-8) of one multiaddr. */
export const MAX_ADDRESS_BYTES = 256
/** Bytes (UTF-8) of one peer id. */
export const MAX_PEER_BYTES = 128
/** Bytes of a member's version field. */
export const MAX_VERSION_BYTES = 256
/** Bytes of a leave's signature. */
export const MAX_PROOF_BYTES = 512
/** Highest epoch: fits milliseconds since 1970 for 280,000 years. */
export const MAX_EPOCH = 2 ** 53 - 2 ** 32
/** Highest incarnation of one life; then a new life begins. */
export const MAX_INCARNATION = 2 ** 32 - 2
/** Records in one message. */
export const MAX_RECORDS_PER_MESSAGE = 64
/** Bytes of one membership message. */
export const MAX_MEMBERSHIP_MESSAGE = 256 * 1024

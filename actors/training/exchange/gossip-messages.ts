/** What trainers of a gossip job tell one another beside the transfers. */
export type GossipMessage =
  /** A share of the sender's weight follows as a transfer; told again until it is acknowledged or refused. */
  | { type: 'offer'; share: number; attempt: number; weight: number; clock: number }
  /**
   * - `ack`: the share is merged; told again until confirmed
   * - `confirm`: the sender has struck the acknowledged share off its books
   * - `refuse`: the receiver leaves and will not take the share
   * - `void`: the sender has taken the share back, since the receiver seemed dead
   */
  | { type: 'ack' | 'confirm' | 'refuse' | 'void'; share: number }
  /** The sender is new and asks for half the receiver's weight. */
  | { type: 'join' }

const kinds = ['offer', 'ack', 'confirm', 'refuse', 'void', 'join'] as const
const lengths = { offer: 25, ack: 5, confirm: 5, refuse: 5, void: 5, join: 1 }

/** Largest weight that is believed: all weights sum to 1, and for a moment to a little more while a partition heals. */
const MAX_WEIGHT = 64

/** One byte of kind, then little-endian fields: share u32, attempt u32, weight f64, clock f64. */
export function encodeGossip(message: GossipMessage): Uint8Array {
  const body = new Uint8Array(lengths[message.type])
  const data = new DataView(body.buffer)
  data.setUint8(0, kinds.indexOf(message.type))
  if (message.type === 'join') return body
  data.setUint32(1, message.share, true)
  if (message.type !== 'offer') return body
  data.setUint32(5, message.attempt, true)
  data.setFloat64(9, message.weight, true)
  data.setFloat64(17, message.clock, true)
  return body
}

/** @returns undefined for bytes that no trainer of this version sends */
export function decodeGossip(body: Uint8Array): GossipMessage | undefined {
  const type = kinds[body[0]]
  if (type === undefined || body.length !== lengths[type]) return undefined
  if (type === 'join') return { type }
  const data = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const share = data.getUint32(1, true)
  if (type !== 'offer') return { type, share }
  const attempt = data.getUint32(5, true)
  const weight = data.getFloat64(9, true)
  const clock = data.getFloat64(17, true)
  if (!(weight > 0 && weight <= MAX_WEIGHT && Number.isSafeInteger(clock) && clock >= 0)) return undefined
  return { type, share, attempt, weight, clock }
}

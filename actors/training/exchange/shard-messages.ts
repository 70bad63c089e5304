import type { StrategyEffect } from './strategy.ts'

const kinds = ['push', 'exchange', 'fetch', 'reply', 'moved', 'hello', 'rest', 'query', 'have', 'give'] as const

/**
 * What trainers of member-owned shards tell one another beside the transfers.
 *
 * - `push`: a gradient follows; `exchange`: one follows and the shard is wanted back; `fetch`: only the shard is wanted
 * - `reply`: the shard follows, at `clock`; `moved`: ask its owner
 * - `hello`: the sender takes part from now on; `rest`: it has nothing to train for now
 * - `query`: the sender owns the shard now: who has what? `have`: a copy at `clock`, the owner's own where `value` is 1; `give`: send it
 */
export interface ShardMessage {
  type: (typeof kinds)[number]
  shard: number
  /** The sender's number of the request. */
  seq: number
  attempt: number
  /** Of the copy that a gradient was computed on, or that follows. */
  clock: number
  /** Of a gradient: the learning rate. */
  value: number
}

/** One byte of kind, then little-endian: shard u16, attempt u16, seq u32, clock f64, value f64. */
export function tellShard(to: string, message: Partial<ShardMessage> & { type: ShardMessage['type'] }, effects: StrategyEffect[]): void {
  const { type, shard = 0, seq = 0, attempt = 0, clock = 0, value = 0 } = message
  const body = new Uint8Array(25)
  const data = new DataView(body.buffer)
  data.setUint8(0, kinds.indexOf(type))
  data.setUint16(1, shard, true)
  data.setUint16(3, attempt, true)
  data.setUint32(5, seq, true)
  data.setFloat64(9, clock, true)
  data.setFloat64(17, value, true)
  effects.push({ type: 'message', to, body })
}

/** @returns undefined for bytes that no trainer of this version sends */
export function decodeShard(body: Uint8Array): ShardMessage | undefined {
  const type = kinds[body[0] ?? 255]
  if (type === undefined || body.length !== 25) return undefined
  const data = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const clock = data.getFloat64(9, true)
  const value = data.getFloat64(17, true)
  if (!Number.isSafeInteger(clock) || clock < 0 || !(value >= 0 && value <= 1e6)) return undefined
  return { type, shard: data.getUint16(1, true), attempt: data.getUint16(3, true), seq: data.getUint32(5, true), clock, value }
}

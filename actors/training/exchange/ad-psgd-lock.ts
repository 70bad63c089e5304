import type { StrategyEffect } from './strategy.ts'

/** An exchange that locks its two trainers. */
export interface Locked {
  peer: string
  /** The asker's number of it. */
  id: number
  /** It is also the average that this trainer's own gradients wait for. */
  active: boolean
  granted: boolean
  /** The other copy will not come. */
  broken: boolean
  /** Transfers under way. */
  sending?: string | undefined
  receiving?: string | undefined
}

/**
 * - `ask`: for an average; `join`: for a copy of the parameters
 * - `grant`: the answerer is locked and its copy follows; `refuse`: it is locked in another exchange
 */
export interface Ask {
  type: 'ask' | 'join' | 'grant' | 'refuse'
  id: number
}

const kinds = ['ask', 'join', 'grant', 'refuse'] as const

/** One byte of kind, then the number, u32 little-endian. */
export function tellAsk(to: string, { type, id }: Ask, effects: StrategyEffect[]): void {
  const body = new Uint8Array(5)
  body[0] = kinds.indexOf(type)
  new DataView(body.buffer).setUint32(1, id, true)
  effects.push({ type: 'message', to, body })
}

/** @returns undefined for bytes that no trainer of this version sends */
export function decodeAsk(body: Uint8Array): Ask | undefined {
  const type = kinds[body[0] ?? 255]
  if (type === undefined || body.length !== 5) return undefined
  return { type, id: new DataView(body.buffer, body.byteOffset).getUint32(1, true) }
}

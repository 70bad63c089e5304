import type { StrategyEffect } from './strategy.ts'

/** What trainers that meet tell one another beside the transfers. */
export interface MeetingMessage {
  /**
   * - `at`: the sender waits for the receiver in this round
   * - `join`: the sender is new and asks for a copy of the parameters
   * - `welcome`: it follows, as transfer number `attempt`; the sender is in this round
   * - `hello`: the sender takes part from this round on
   */
  type: 'at' | 'join' | 'welcome' | 'hello'
  round: number
  attempt?: number
}

const kinds = ['at', 'join', 'welcome', 'hello'] as const

/** One byte of kind, then little-endian: round u32, attempt u32. */
export function tellMeeting(to: string, { type, round, attempt = 0 }: MeetingMessage, effects: StrategyEffect[]): void {
  const body = new Uint8Array(9)
  const data = new DataView(body.buffer)
  data.setUint8(0, kinds.indexOf(type))
  data.setUint32(1, round, true)
  data.setUint32(5, attempt, true)
  effects.push({ type: 'message', to, body })
}

/** @returns undefined for bytes that no trainer of this version sends */
export function decodeMeeting(body: Uint8Array): MeetingMessage | undefined {
  const type = kinds[body[0] ?? 255]
  if (type === undefined || body.length !== 9) return undefined
  const data = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const round = data.getUint32(1, true)
  // a round that far off is nobody's, and would never be reached again
  if (round > 2 ** 31) return undefined
  return { type, round, attempt: data.getUint32(5, true) }
}

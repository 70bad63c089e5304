/**
 * Number of one attempt to decide. Ordered by round, then peer, then nonce. The nonce is drawn anew for each attempt, so that a peer
 * that restarts without memory of its attempts does not repeat one, and an equal ballot always means the same attempt.
 */
export interface Ballot {
  round: number
  peer: string
  nonce: number
}

/** Negative when `a` is lower than `b`; no ballot is lower than any. */
export function compareBallots(a: Ballot | undefined, b: Ballot | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  if (a.round !== b.round) return a.round - b.round
  if (a.peer !== b.peer) return a.peer < b.peer ? -1 : 1
  return a.nonce - b.nonce
}

/** Highest round; the next one after it would not fit its field. */
export const MAX_ROUND = 2 ** 32 - 2

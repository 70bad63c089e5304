import { Writer } from './bytes.ts'
import { isCommitted } from './ledger.ts'
import type { Claim, NamedClaim } from './messages.ts'
import { writeSection } from './sections.ts'
import type { LedgerState } from './state.ts'

/** Nobody alive is at the range, and it is promised to nobody. */
export function isFree(state: LedgerState, epoch: number, range: number): boolean {
  for (const { at } of state.claims.values()) if (at?.epoch === epoch && at.range === range) return false
  return state.grants.size === 0 || !state.grants.has(`${epoch}/${range}`)
}

/** A claim's number says all about it, so that a trainer's claims may come by any way and in any order. */
export function hearClaim(state: LedgerState, name: string, claim: Claim): void {
  if (name === state.self || !state.ownership.view.includes(name)) return
  const known = state.claims.get(name)
  const newer = known === undefined || claim.seq > known.seq || (claim.seq === known.seq && known.at === undefined)
  if (newer) state.claims.set(name, claim)
}

/**
 * What a newcomer must know before it takes over ranges: what others are at, and what is promised to them. A grant counts as the claim
 * with the number of its question, which gives way to whatever its taker does next.
 */
export function othersAt(state: LedgerState, newcomer: string): NamedClaim[] {
  const others = new Map(state.claims)
  for (const { to, number, epoch, range } of state.grants.values()) {
    if ((others.get(to)?.seq ?? 0) <= number) others.set(to, { seq: number, at: { epoch, range } })
  }
  return [...others].filter(([name]) => name !== newcomer).map(([name, claim]) => ({ name, claim }))
}

/** Commits that a newcomer is told of with what others are at: more than are on their way to it at a time. */
const RECENT = 64

export function noteRecent({ recent }: LedgerState, epoch: number, range: number): void {
  recent.push({ epoch, range })
  if (recent.length > RECENT) recent.shift()
}

export function recentSections({ ledger, recent }: LedgerState): Uint8Array {
  const writer = new Writer()
  for (const { epoch, range } of recent) writeSection(writer, ledger, epoch, range, 1)
  return writer.finish()
}

/** A grant ends when its range is committed, or its taker is gone or turns out to be at something else. */
export function settleGrants(state: LedgerState): void {
  for (const [key, { epoch, range, to, number }] of state.grants) {
    const claim = state.claims.get(to)
    const elsewhere = claim !== undefined && claim.seq > number
    // while the taker claims the range the claim protects it
    if (isCommitted(state.ledger, epoch, range) || elsewhere || !state.ownership.view.includes(to)) state.grants.delete(key)
  }
}

export function claimOf({ seq, current }: LedgerState): Claim {
  return current === undefined ? { seq } : { seq, at: current }
}

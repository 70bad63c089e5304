import { tellMeeting } from './meeting-messages.ts'
import type { MeetingsState } from './meetings.ts'
import type { Range, StrategyEffect } from './strategy.ts'

/** Whoever has not come is told after this long that it is waited for, ms. */
const NUDGE = 200

/** One trainer of a meeting. */
interface Guest {
  name: string
  weight: number
  /** `named`: its copy may land in `slot`; `landed`: it lies there; `done`: it is summed, or will not come. */
  at: 'waiting' | 'named' | 'landed' | 'done'
  slot: number
}

/** A round of exchanging copies, on its way. */
export interface Meeting {
  round: number
  /** All that take part, this one included, by name: the order of the sum. */
  guests: Guest[]
  /** Peers that still read the own copy. */
  sending: Set<string>
  free: number[]
  /** Weight that is nobody's: its own, and that of those who did not come. */
  left: number
}

const copyOf = (size: number): Range => ({ arena: 'outgoing', offset: 0, length: size })
const meanOf = (size: number): Range => ({ arena: 'outgoing', offset: size, length: size })
const slotOf = (size: number, slot: number): Range => ({ arena: 'landing', offset: slot * size, length: size })
const idOf = (round: number, from: string, to: string) => `m${round}.${from}>${to}`

/** Begins the meeting of this round with a copy of the parameters as they are. */
export function enter(state: MeetingsState, effects: StrategyEffect[]): void {
  const { size, self, round, options, variant, job } = state
  const names = [...state.neighbours.filter(name => state.taking.has(name)), self].sort()
  const weights = variant.weights(options, names, self, round, job)
  const meeting: Meeting = {
    round,
    guests: [],
    sending: new Set(weights.keys()),
    free: Array.from({ length: state.slots }, (_, i) => i),
    left: 0
  }
  let own = 1
  for (const weight of weights.values()) own -= weight
  for (const name of [...weights.keys(), self].sort()) {
    meeting.guests.push({ name, weight: weights.get(name) ?? own, at: name === self ? 'landed' : 'waiting', slot: -1 })
  }
  state.meeting = meeting
  effects.push({ type: 'copy', into: copyOf(size), from: { arena: 'parameters', offset: 0, length: size } })
  effects.push({ type: 'fill', into: meanOf(size), value: 0 })
  for (const to of meeting.sending) effects.push({ type: 'send', id: idOf(round, self, to), to, range: copyOf(size) })
  if (meeting.sending.size > 0) {
    effects.push({ type: 'setTimer', id: 'patience', delay: state.patience }, { type: 'setTimer', id: 'nudge', delay: NUDGE })
  }
  advanceMeeting(state, effects)
}

/** Sums what has landed, in the order of names, and names landings for those who follow. @returns whether the meeting is complete */
export function advanceMeeting(state: MeetingsState, effects: StrategyEffect[]): boolean {
  const { size, self } = state
  const { guests, free, round, sending } = state.meeting!
  for (const guest of guests) {
    if (guest.at === 'waiting' && free.length > 0) {
      guest.slot = free.shift()!
      guest.at = 'named'
      effects.push({ type: 'receive', id: idOf(round, guest.name, self), from: guest.name, into: slotOf(size, guest.slot) })
    }
  }
  for (const guest of guests) {
    if (guest.at === 'done') continue
    if (guest.at !== 'landed') break
    const from = guest.name === self ? copyOf(size) : slotOf(size, guest.slot)
    effects.push({ type: 'combine', into: meanOf(size), from, alpha: 1, beta: guest.weight })
    guest.at = 'done'
    if (guest.slot >= 0) free.push(guest.slot)
    if (guests.some(g => g.at === 'waiting')) return advanceMeeting(state, effects)
  }
  return sending.size === 0 && guests.every(g => g.at === 'done')
}

export function landedIn(state: MeetingsState, id: string, _effects: StrategyEffect[]): boolean {
  const { meeting, self } = state
  const guest = meeting?.guests.find(g => g.at === 'named' && idOf(meeting.round, g.name, self) === id)
  if (guest === undefined) return false
  guest.at = 'landed'
  return true
}

/** A transfer is over: what was sent is there, or one broke and is done without. */
export function failedIn(state: MeetingsState, id: string, sent: boolean, effects: StrategyEffect[]): void {
  const { meeting, self, donation } = state
  if (donation?.id === id && (sent || state.phase !== 'joining')) state.donation = undefined
  else if (donation?.id === id) {
    state.donation = undefined
    effects.push({ type: 'setTimer', id: 'join', delay: NUDGE })
  }
  if (meeting === undefined) return
  for (const name of meeting.sending) if (idOf(meeting.round, self, name) === id) meeting.sending.delete(name)
  if (sent) return
  for (const guest of meeting.guests) if (guest.at === 'named' && idOf(meeting.round, guest.name, self) === id) miss(meeting, guest)
}

function miss(meeting: Meeting, guest: Guest): void {
  if (guest.slot >= 0) meeting.free.push(guest.slot)
  guest.at = 'done'
  meeting.left += guest.weight
}

/** Goes on without those that `absent` holds for. */
export function withoutPatience(state: MeetingsState, effects: StrategyEffect[], absent: (name: string) => boolean = () => true): void {
  const { meeting, self } = state
  if (meeting === undefined) return
  for (const guest of meeting.guests) {
    if (guest.name === self || !absent(guest.name) || (guest.at !== 'waiting' && guest.at !== 'named')) continue
    if (guest.at === 'named') effects.push({ type: 'cancel', id: idOf(meeting.round, guest.name, self) })
    miss(meeting, guest)
  }
  for (const name of meeting.sending) {
    if (!absent(name)) continue
    effects.push({ type: 'cancel', id: idOf(meeting.round, self, name) })
    meeting.sending.delete(name)
  }
}

/** Tells those who have not come in which round they are waited for. */
export function nudge(state: MeetingsState, effects: StrategyEffect[]): void {
  const { meeting, round } = state
  if (meeting === undefined) return
  for (const { name, at } of meeting.guests) if (at === 'waiting' || at === 'named') tellMeeting(name, { type: 'at', round }, effects)
  effects.push({ type: 'setTimer', id: 'nudge', delay: NUDGE })
}

/** Gives the meeting up: nothing of it is used. */
export function abort(state: MeetingsState, effects: StrategyEffect[]): void {
  if (state.meeting === undefined) return
  withoutPatience(state, effects)
  state.meeting = undefined
  effects.push({ type: 'cancelTimer', id: 'patience' }, { type: 'cancelTimer', id: 'nudge' })
}

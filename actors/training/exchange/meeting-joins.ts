import type { Env } from '../../../common/index.ts'
import { type MeetingMessage, tellMeeting } from './meeting-messages.ts'
import type { MeetingsState } from './meetings.ts'
import type { StrategyEffect } from './strategy.ts'

/** A newcomer asks another trainer after this long, ms. */
const RETRY = 1000

const transferOf = (attempt: number, donor: string, newcomer: string) => `d${attempt}.${donor}>${newcomer}`

/** Asks a random neighbour for its parameters. */
export function joinAgain(state: MeetingsState, env: Env, effects: StrategyEffect[]): void {
  const { neighbours, donation } = state
  if (donation !== undefined) effects.push({ type: 'cancel', id: donation.id })
  state.donation = undefined
  if (neighbours.length > 0) tellMeeting(neighbours[env.random.int(neighbours.length)]!, { type: 'join', round: 0 }, effects)
  effects.push({ type: 'setTimer', id: 'join', delay: RETRY })
}

/** Sends a copy of the parameters to a newcomer; one at a time, the others ask again. */
export function donate(state: MeetingsState, to: string, effects: StrategyEffect[]): void {
  const { donation, self, size, round } = state
  if (donation !== undefined && donation.peer !== to) return
  if (donation !== undefined) effects.push({ type: 'cancel', id: donation.id })
  const attempt = ++state.attempts
  const id = transferOf(attempt, self, to)
  const copy = { arena: 'outgoing', offset: 2 * size, length: size } as const
  effects.push({ type: 'copy', into: copy, from: { arena: 'parameters', offset: 0, length: size } }, { type: 'send', id, to, range: copy })
  state.donation = { id, peer: to }
  tellMeeting(to, { type: 'welcome', round, attempt }, effects)
}

export function heardOfJoin(state: MeetingsState, from: string, message: MeetingMessage, _env: Env, effects: StrategyEffect[]): void {
  if (message.type !== 'welcome' || state.phase !== 'joining' || state.donation !== undefined) return
  const id = transferOf(message.attempt!, from, state.self)
  state.round = message.round
  state.donation = { id, peer: from }
  effects.push({ type: 'receive', id, from, into: { arena: 'parameters', offset: 0, length: state.size } })
  // a slow transfer is no reason to ask another
  effects.push({ type: 'cancelTimer', id: 'join' })
}

/** A transfer is whole. @returns whether this newcomer now has parameters */
export function donated(state: MeetingsState, id: string, effects: StrategyEffect[]): boolean {
  if (state.phase !== 'joining' || state.donation?.id !== id) return false
  state.donation = undefined
  state.phase = 'training'
  for (const name of state.neighbours) {
    state.taking.add(name)
    tellMeeting(name, { type: 'hello', round: state.round }, effects)
  }
  effects.push({ type: 'cancelTimer', id: 'join' }, ...(state.variant.begin?.(state.size) ?? []))
  return true
}

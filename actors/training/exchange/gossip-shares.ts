import { type Env, MAX_TRAINERS } from '../../../common/index.ts'
import { encodeGossip, type GossipMessage } from './gossip-messages.ts'
import {
  clockOf,
  type GossipState,
  givable,
  heardRound,
  type IncomingShare,
  landingId,
  outgoing,
  type PendingShare,
  parameters,
  pendingId,
  pick,
  tooEarly
} from './gossip-state.ts'
import type { Range, StrategyEffect } from './strategy.ts'

/** What is unanswered is told again after this long, ms. */
export const RETRY = 1000
/** A weight below this is kept: its share would move nobody, and halving would end in nothing. */
const MIN_WEIGHT = 2 ** -40
/** Trainers and shares of the past that are remembered. */
const MAX_REMEMBERED = 4 * MAX_TRAINERS

// --- giving ---

/** Gives half the weight, or all of a leaver's, to `to`. */
export function give(state: GossipState, to: string | undefined, env: Env, effects: StrategyEffect[]): void {
  const weight = state.phase === 'leaving' ? state.weight : givable(state) / 2
  if (to === undefined || weight < MIN_WEIGHT) return
  state.weight -= weight
  state.pending = { share: state.nextShare++, attempt: 0, to, weight, clock: clockOf(state), since: env.now, sending: true }
  effects.push({ type: 'copy', into: outgoing(state), from: parameters(state) })
  effects.push({ type: 'report', name: 'weight', value: state.weight })
  send(state, state.pending, effects)
}

function send(state: GossipState, pending: PendingShare, effects: StrategyEffect[]): void {
  pending.sending = true
  effects.push({ type: 'send', id: pendingId(state, pending), to: pending.to, range: outgoing(state) })
  offer(pending, effects)
}

function offer({ share, attempt, weight, clock, to }: PendingShare, effects: StrategyEffect[]): void {
  tell(to, { type: 'offer', share, attempt, weight, clock }, effects)
  effects.push({ type: 'setTimer', id: 'offer', delay: RETRY })
}

/** No answer yet: slow, or a connection broke and took a transfer or a message with it. A share is merged once, however often offered. */
export function offerAgain(state: GossipState, effects: StrategyEffect[]): void {
  const { pending } = state
  if (pending === undefined) return
  if (pending.sending) {
    offer(pending, effects)
  } else {
    pending.attempt++
    send(state, pending, effects)
  }
}

/**
 * The share in flight counts here again; the parameters have gone on and stay. Should the receiver live and have merged it after all,
 * it gives the weight up: until the sender confirms, it gives nothing of it on.
 */
export function takeBack(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  const { share, to, weight } = state.pending!
  state.weight += weight
  state.takenBack.add(share)
  if (state.takenBack.size > MAX_REMEMBERED) state.takenBack.delete(state.takenBack.values().next().value!)
  tell(to, { type: 'void', share }, effects)
  effects.push({ type: 'report', name: 'weight', value: state.weight })
  resolve(state, env, effects)
}

/** The share in flight is at one place: the outgoing arena is free, for whoever waits for it. */
function resolve(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  const pending = state.pending!
  if (pending.sending) effects.push({ type: 'cancel', id: pendingId(state, pending) })
  effects.push({ type: 'cancelTimer', id: 'offer' })
  state.pending = undefined
  proceed(state, env, effects)
}

/** With no share in flight: a leaver hands its weight on, a donor serves the next joiner. */
export function proceed(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  if (state.pending !== undefined) return
  if (state.phase === 'leaving') {
    const owing = state.neighbours.some(name => state.unconfirmed.has(name))
    if (state.incoming.size > 0 || owing) return
    const willing = state.neighbours.filter(name => !state.refused.has(name))
    give(state, pick(willing, env), env, effects)
    if (state.pending === undefined) state.phase = 'left'
  } else {
    const joiner = state.neighbours.find(name => state.joiners.has(name))
    if (joiner === undefined) return
    state.joiners.delete(joiner)
    give(state, joiner, env, effects)
  }
}

// --- receiving ---

/** A message about a share. */
export function heard(
  state: GossipState,
  from: string,
  message: GossipMessage & { share: number },
  env: Env,
  effects: StrategyEffect[]
): void {
  const { type, share } = message
  const mine = state.pending?.to === from && state.pending.share === share
  switch (type) {
    case 'offer':
      offered(state, from, message, effects)
      break
    case 'ack':
      tell(from, { type: state.takenBack.has(share) ? 'void' : 'confirm', share }, effects)
      if (mine) resolve(state, env, effects)
      break
    case 'refuse':
      if (!mine) break
      if (state.phase === 'leaving') state.refused.add(from)
      takeBack(state, env, effects)
      break
    case 'confirm':
      if (state.unconfirmed.get(from)?.share !== share) break
      state.unconfirmed.delete(from)
      proceed(state, env, effects)
      break
    case 'void':
      voided(state, from, share, effects)
      proceed(state, env, effects)
  }
}

function offered(state: GossipState, from: string, message: GossipMessage & { type: 'offer' }, effects: StrategyEffect[]): void {
  const { share, attempt, weight, clock } = message
  if (share <= (state.merged.get(from) ?? 0)) {
    tell(from, { type: 'ack', share }, effects)
    return
  }
  // the last share's confirmation is lost, or the sender had taken it back; it will offer this one again
  const unconfirmed = state.unconfirmed.get(from)
  if (unconfirmed !== undefined) {
    tell(from, { type: 'ack', share: unconfirmed.share }, effects)
    return
  }
  const known = state.incoming.get(from)
  if (known?.share === share && known.attempt === attempt) return
  if (known !== undefined) drop(state, from, known, effects)
  if (state.phase === 'leaving' || state.phase === 'left') {
    tell(from, { type: 'refuse', share }, effects)
    return
  }
  if (state.incoming.size >= MAX_TRAINERS) return
  state.incoming.set(from, { share, attempt, weight, clock })
  nameLandings(state, effects)
}

/** A transfer is whole. @returns whether it was a share, and now is merged */
export function landed(state: GossipState, id: string, effects: StrategyEffect[]): boolean {
  const found = incomingBy(state, id)
  if (found === undefined) return false
  const [from, incoming] = found
  merge(state, from, incoming, effects)
  state.incoming.delete(from)
  remember(state.merged, from, incoming.share, MAX_REMEMBERED)
  remember(state.unconfirmed, from, { share: incoming.share, weight: incoming.weight }, MAX_TRAINERS)
  tell(from, { type: 'ack', share: incoming.share }, effects)
  effects.push({ type: 'setTimer', id: 'ack', delay: RETRY })
  state.free.push(incoming.slot!)
  nameLandings(state, effects)
  return true
}

function merge(state: GossipState, sender: string, { weight, clock, slot }: IncomingShare, effects: StrategyEffect[]): void {
  const into = parameters(state)
  const from: Range = { arena: 'landing', offset: slot! * state.size, length: state.size }
  const staleness = Math.max(0, state.clock - clock)
  if (state.weight === 0) {
    effects.push({ type: 'copy', into, from })
  } else {
    const trust = state.rule.discount ? 1 / (1 + staleness / (state.neighbours.length + 1)) : 1
    effects.push({ type: 'blend', into, from, factor: (trust * weight) / (state.weight + weight) })
    if (state.rule.push === undefined) effects.push({ type: 'report', name: 'staleness', value: staleness })
  }
  state.weight += weight
  payDebt(state)
  if (state.rule.push === undefined) state.clock = Math.max(state.clock, clock)
  else heardRound(state, sender, clock)
  effects.push({ type: 'report', name: 'weight', value: state.weight })
}

/** Acknowledges again what no living sender has confirmed; what one that seems dead has not stays locked until it is back. */
export function acknowledgeAgain(state: GossipState, effects: StrategyEffect[]): void {
  const owed = state.neighbours.filter(name => state.unconfirmed.has(name))
  for (const from of owed) tell(from, { type: 'ack', share: state.unconfirmed.get(from)!.share }, effects)
  if (owed.length > 0) effects.push({ type: 'setTimer', id: 'ack', delay: RETRY })
}

function voided(state: GossipState, from: string, share: number, effects: StrategyEffect[]): void {
  const incoming = state.incoming.get(from)
  if (incoming?.share === share) drop(state, from, incoming, effects)
  const unconfirmed = state.unconfirmed.get(from)
  if (unconfirmed?.share !== share) return
  state.unconfirmed.delete(from)
  state.debt += unconfirmed.weight
  payDebt(state)
  effects.push({ type: 'report', name: 'weight', value: state.weight })
}

function payDebt(state: GossipState): void {
  const paid = Math.min(state.debt, state.weight / 2)
  state.debt -= paid
  state.weight -= paid
}

/** A transfer broke: the sender sends anew when its timer fires, so that a broken channel is not tried in a loop. */
export function failed(state: GossipState, id: string, effects: StrategyEffect[]): void {
  const { pending } = state
  if (pending !== undefined && pendingId(state, pending) === id) pending.sending = false
  const found = incomingBy(state, id)
  if (found !== undefined) drop(state, found[0], found[1], effects)
}

/** Forgets a share that will not land. */
export function drop(state: GossipState, from: string, incoming: IncomingShare, effects: StrategyEffect[]): void {
  state.incoming.delete(from)
  if (incoming.slot === undefined) return
  effects.push({ type: 'cancel', id: landingId(from, incoming) })
  state.free.push(incoming.slot)
  nameLandings(state, effects)
}

/** Names where shares shall land, as far as there is room and their time has come. */
export function nameLandings(state: GossipState, effects: StrategyEffect[]): void {
  for (const [from, incoming] of state.incoming) {
    if (state.free.length === 0) return
    if (incoming.slot !== undefined || tooEarly(state, incoming.clock)) continue
    incoming.slot = state.free.shift()!
    const into: Range = { arena: 'landing', offset: incoming.slot * state.size, length: state.size }
    effects.push({ type: 'receive', id: landingId(from, incoming), from, into })
  }
}

function incomingBy(state: GossipState, id: string): [string, IncomingShare] | undefined {
  for (const entry of state.incoming) if (entry[1].slot !== undefined && landingId(...entry) === id) return entry
  return undefined
}

export function tell(to: string, message: GossipMessage, effects: StrategyEffect[]): void {
  effects.push({ type: 'message', to, body: encodeGossip(message) })
}

function remember<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > limit) map.delete(map.keys().next().value!)
}

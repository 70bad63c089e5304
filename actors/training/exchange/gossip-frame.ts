import { type Env, MAX_TRAINERS, MalformedError } from '../../../common/index.ts'
import { decodeGossip } from './gossip-messages.ts'
import { advance, freshRounds, idle, outOfPatience, peersChanged, turn } from './gossip-rounds.ts'
import {
  acknowledgeAgain,
  drop,
  failed,
  give,
  heard,
  landed,
  nameLandings,
  offerAgain,
  proceed,
  RETRY,
  takeBack,
  tell
} from './gossip-shares.ts'
import { type GossipRule, type GossipState, pendingId, pick, receiver } from './gossip-state.ts'
import { integerOption, onlyKnown } from './options.ts'
import type { ExchangeStrategy, Group, StrategyEffect, StrategyEvent, StrategyOptions } from './strategy.ts'

/** A strategy of shares: its name, its options beside `slots`, and the rule they make. */
export interface GossipVariant {
  name: string
  known: readonly string[]
  rule(options: StrategyOptions): GossipRule
}

/**
 * The frame of the strategies that give away shares: no owner, no barrier, no agreement. A trainer holds parameters x and a weight w.
 * It gives half of w away with a copy of x; the receiver takes the weighted mean: x_r ← x_r + w_s/(w_r + w_s) · (x_s − x_r), times a
 * discount where the rule has one; w_r ← w_r + w_s. Where nothing is discounted Σw·x is conserved as Σw is: this is push-sum on (w·x, w).
 *
 * Σw is conserved with what is in flight. A sender keeps a share on its books until it is acknowledged, and takes it back when the
 * receiver refuses or seems dead. A receiver acknowledges until the sender confirms, and gives nothing of an unconfirmed share on while
 * the sender seems to live: so it can give the share up if the sender had taken it back. Where both had thought the other dead and the
 * weight is gone already, the receiver owes it and pays out of what it is given next.
 *
 * - Messages: `offer` with each share, `ack`, `confirm`, `refuse`, `void`; `join` from a newcomer to a random neighbour. Each is
 *   repeated until answered.
 * - A join: the donor gives half its weight, and the joiner begins with its parameters and clock.
 * - A leave: the leaver hands its whole weight and parameters to a neighbour, as one last share.
 * - A death: its weight, and what it had acknowledged, is written off; Σw falls by that much and nothing is minted.
 * - A checkpoint holds w and the clock, with the share in flight counted as not given.
 */
export function shares({ name, known, rule }: GossipVariant): ExchangeStrategy<GossipState> {
  return {
    name,
    synchronous: false,

    create(options) {
      onlyKnown(name, options, ['slots', ...known])
      return {
        rule: rule(options),
        self: '',
        job: '',
        slots: integerOption(name, options, 'slots', 2, 1, 64),
        size: 0,
        generation: -1,
        step: 0,
        weight: 0,
        clock: 0,
        phase: 'new',
        neighbours: [],
        informed: false,
        nextShare: 1,
        takenBack: new Set(),
        incoming: new Map(),
        free: [],
        merged: new Map(),
        unconfirmed: new Map(),
        debt: 0,
        joiners: new Set(),
        refused: new Set(),
        speeds: new Map(),
        rounds: freshRounds()
      }
    },

    arenas: (state, { size }) => ({ outgoing: size, landing: state.slots * size, state: 0 }),

    step(state, event, env) {
      const effects: StrategyEffect[] = []
      if (event.type === 'group') begin(state, event.group, event.step, env, effects)
      else if (event.type === 'peers') peers(state, event.alive, env, effects)
      else if (state.phase !== 'new' && state.phase !== 'frozen') happened(state, event, env, effects)
      if (state.rule.push !== undefined) advance(state, env, effects)
      return effects
    },

    settled: ({ phase, pending, incoming }) =>
      phase === 'frozen' || phase === 'left' || (phase === 'training' && pending === undefined && incoming.size === 0),

    checkpoint: ({ weight, clock, pending }) => ({ weight: weight + (pending?.weight ?? 0), clock }),

    restore(options, saved) {
      const { weight, clock } = (saved ?? {}) as { weight?: unknown; clock?: unknown }
      if (typeof weight !== 'number' || !(weight >= 0 && weight < Infinity) || !Number.isSafeInteger(clock) || (clock as number) < 0) {
        throw new MalformedError(
          `the checkpoint's state of strategy '${name}' must hold a weight and a clock, not ${JSON.stringify(saved)?.slice(0, 200)}`
        )
      }
      return Object.assign(this.create(options), { weight, clock })
    }
  }
}

function happened(state: GossipState, event: StrategyEvent, env: Env, effects: StrategyEffect[]): void {
  const { rule } = state
  switch (event.type) {
    case 'gradients':
      if (state.phase !== 'training' || event.generation !== state.generation || event.step !== state.step + 1) break
      if (rule.push !== undefined) {
        turn(state, event.rate, env, effects)
        break
      }
      state.step++
      state.clock++
      effects.push({ type: 'apply', step: state.step }, { type: 'compute', generation: state.generation, step: state.step + 1 })
      // a share still on its way: this turn is skipped
      if (state.pending !== undefined || (rule.probability < 1 && env.random.float() >= rule.probability)) break
      give(state, receiver(state, env), env, effects)
      break
    case 'idle':
      if (rule.push !== undefined) idle(state, effects)
      break
    case 'landed':
      if (!landed(state, event.id, effects)) break
      if (state.phase === 'joining') train(state, effects)
      if (state.phase === 'leaving') proceed(state, env, effects)
      break
    case 'sent':
      if (state.pending === undefined || pendingId(state, state.pending) !== event.id) break
      state.pending.sending = false
      state.speeds.set(state.pending.to, state.size / Math.max(env.now - state.pending.since, 1e-3))
      break
    case 'failed':
      failed(state, event.id, effects)
      if (state.phase === 'leaving') proceed(state, env, effects)
      break
    case 'message': {
      const message = decodeGossip(event.body)
      if (message?.type === 'join') joins(state, event.from, env, effects)
      else if (message !== undefined) heard(state, event.from, message, env, effects)
      break
    }
    case 'timer':
      if (event.id === 'offer') offerAgain(state, effects)
      if (event.id === 'ack') acknowledgeAgain(state, effects)
      if (event.id === 'join' && state.phase === 'joining') askToJoin(state, env, effects)
      if (rule.push !== undefined) outOfPatience(state, event.id, env, effects)
      break
    case 'freeze':
      state.phase = 'frozen'
      break
    case 'leave':
      leave(state, env, effects)
      break
    case 'drain':
      // nobody gives any more: what is held back for its round may come
      state.rounds.over = true
      nameLandings(state, effects)
  }
}

function begin(state: GossipState, group: Group, step: number, env: Env, effects: StrategyEffect[]): void {
  // transfers of an older generation are void: a share in flight was not given
  state.weight += state.pending?.weight ?? 0
  if (state.pending !== undefined) state.takenBack.add(state.pending.share)
  state.pending = undefined
  state.incoming.clear()
  state.joiners.clear()
  state.refused.clear()
  state.free = Array.from({ length: state.slots }, (_, i) => i)
  state.self = group.self
  state.job = group.job
  state.size = group.size
  state.generation = group.generation
  state.step = step
  state.clock = Math.max(state.clock, step)
  if (!state.informed) state.neighbours = group.members.map(m => m.trainer)
  state.neighbours = state.neighbours.filter(name => name !== group.self)
  if (state.weight === 0 && group.rank >= 0) state.weight = 1 / group.members.length
  for (const { trainer } of group.members) state.rounds.heard.set(trainer, 0)
  state.rounds.total = state.weight > 0 ? state.weight * group.members.length : 1
  if (state.weight > 0) {
    train(state, effects)
  } else {
    state.phase = 'joining'
    askToJoin(state, env, effects)
  }
}

function train(state: GossipState, effects: StrategyEffect[]): void {
  state.phase = 'training'
  effects.push({ type: 'cancelTimer', id: 'join' }, { type: 'compute', generation: state.generation, step: state.step + 1 })
}

function askToJoin(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  const donor = pick(state.neighbours, env)
  if (donor !== undefined) tell(donor, { type: 'join' }, effects)
  effects.push({ type: 'setTimer', id: 'join', delay: RETRY })
}

function joins(state: GossipState, from: string, env: Env, effects: StrategyEffect[]): void {
  if (state.phase !== 'training' || state.joiners.size >= MAX_TRAINERS || state.pending?.to === from) return
  state.joiners.add(from)
  proceed(state, env, effects)
}

function peers(state: GossipState, alive: string[], env: Env, effects: StrategyEffect[]): void {
  const before = state.neighbours
  const lonely = before.length === 0
  state.neighbours = alive
    .filter(name => name !== state.self)
    .sort()
    .slice(0, MAX_TRAINERS)
  if (state.informed) peersChanged(state, before)
  state.informed = true
  // whoever is not known to live is taken for dead: a share is safe to take back, and one that is still to come is offered again
  const gone = (name: string) => !state.neighbours.includes(name)
  for (const [from, incoming] of state.incoming) if (gone(from)) drop(state, from, incoming, effects)
  for (const name of state.joiners) if (gone(name)) state.joiners.delete(name)
  for (const name of state.refused) if (gone(name)) state.refused.delete(name)
  if (state.pending !== undefined && gone(state.pending.to)) takeBack(state, env, effects)
  else proceed(state, env, effects)
  if (state.unconfirmed.size > 0) effects.push({ type: 'setTimer', id: 'ack', delay: RETRY })
  if (lonely && state.phase === 'joining') askToJoin(state, env, effects)
}

function leave(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  if (state.phase !== 'training' && state.phase !== 'joining') return
  state.phase = 'leaving'
  state.joiners.clear()
  for (const [from, incoming] of state.incoming) {
    if (incoming.slot !== undefined) continue
    state.incoming.delete(from)
    tell(from, { type: 'refuse', share: incoming.share }, effects)
  }
  proceed(state, env, effects)
}

import type { Env } from '../../../common/index.ts'
import { give, nameLandings } from './gossip-shares.ts'
import type { GossipState, RoundsOfPushSum } from './gossip-state.ts'
import type { StrategyEffect } from './strategy.ts'
import { onePeer } from './topology.ts'

/** A trainer with nothing to train takes part in a round after this long, ms: often enough for those that train. */
const IDLE = 20
/** A trainer with little weight takes steps of this many times the rate at the most. */
const MAX_SCALE = 8

export function freshRounds(): RoundsOfPushSum {
  return { round: 0, waiting: undefined, ready: undefined, heard: new Map(), waived: 0, over: false, total: 1 }
}

/** Σw is 1 at first; what the dead held is not known here, and taken for as much as everybody's mean. */
export function peersChanged(state: GossipState, before: readonly string[]): void {
  const { rounds, neighbours } = state
  const dead = before.filter(name => !neighbours.includes(name)).length
  rounds.total *= (before.length + 1 - dead) / (before.length + 1)
  if (dead > 0 || neighbours.length !== before.length) rounds.waived = rounds.round
  for (const name of rounds.heard.keys()) if (name !== state.self && !neighbours.includes(name)) rounds.heard.delete(name)
}

/** 1/w, in units in which w is 1 on average. */
export function rateScale({ rounds, weight, neighbours }: GossipState): number {
  return Math.min(MAX_SCALE, rounds.total / ((neighbours.length + 1) * weight))
}

/** The local gradients are there: step, and the round that may be due with it. */
export function turn(state: GossipState, rate: number, env: Env, effects: StrategyEffect[]): void {
  const { rounds } = state
  effects.push({ type: 'cancelTimer', id: 'idle' })
  if (rounds.waiting !== undefined) {
    rounds.ready = { rate }
    return
  }
  state.step++
  state.clock++
  effects.push({ type: 'apply', step: state.step, scale: rateScale(state) })
  if (state.step % state.rule.push!.every === 0) due(state, effects)
  else effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
  advance(state, env, effects)
}

/** Nothing to train: the others' rounds need this trainer all the same. */
export function idle(state: GossipState, effects: StrategyEffect[]): void {
  if (state.phase === 'training' && !state.rounds.over) effects.push({ type: 'setTimer', id: 'idle', delay: IDLE })
}

function due(state: GossipState, effects: StrategyEffect[]): void {
  state.rounds.waiting = 'send'
  effects.push({ type: 'setTimer', id: 'patience', delay: state.rule.push!.patience })
}

export function outOfPatience(state: GossipState, timer: string, env: Env, effects: StrategyEffect[]): void {
  const { rounds } = state
  if (timer === 'idle' && state.phase === 'training' && rounds.waiting === undefined && !rounds.over) due(state, effects)
  if (timer !== 'patience' || rounds.waiting === undefined) return
  if (rounds.waiting === 'send' && state.pending === undefined) send(state, env, effects)
  goOn(state, env, effects)
}

/** Goes on as far as what has come allows. */
export function advance(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  const { rounds, rule } = state
  if (state.phase !== 'training') return
  if (rounds.waiting === 'send' && complete(state)) {
    send(state, env, effects)
    if (rule.push!.overlap) goOn(state, env, effects)
  }
  if (rounds.waiting === 'answer' && complete(state)) goOn(state, env, effects)
}

function send(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  const { rounds, rule, neighbours, self } = state
  rounds.round++
  rounds.waiting = 'answer'
  give(state, onePeer(rule.push!.schedule, [...neighbours, self].sort(), self, rounds.round - 1).to, env, effects)
  nameLandings(state, effects)
}

/** The last share is at one place, and its counterpart has come. */
function complete({ rounds, rule, neighbours, self, pending, unconfirmed }: GossipState): boolean {
  if (pending !== undefined || neighbours.some(name => unconfirmed.has(name))) return false
  if (rounds.round === 0 || rounds.waived >= rounds.round) return true
  const { from } = onePeer(rule.push!.schedule, [...neighbours, self].sort(), self, rounds.round - 1)
  const heard = from === undefined ? undefined : rounds.heard.get(from)
  return heard === undefined || heard >= rounds.round
}

function goOn(state: GossipState, env: Env, effects: StrategyEffect[]): void {
  const { rounds } = state
  rounds.waiting = undefined
  effects.push({ type: 'cancelTimer', id: 'patience' })
  const { ready } = rounds
  rounds.ready = undefined
  if (ready !== undefined) turn(state, ready.rate, env, effects)
  else effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
}

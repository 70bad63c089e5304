import { type Env, MAX_TRAINERS } from '../../../common/index.ts'
import { integerOption, onlyKnown } from './options.ts'
import { ask, askAgain, brokenRequest, complete, fetched, landedReply, moved, replied, sentRequest } from './shard-client.ts'
import { decodeShard, tellShard } from './shard-messages.ts'
import {
  brokenPush,
  freshOwned,
  gives,
  givesUp,
  has,
  landedGiven,
  landedPush,
  queried,
  releaseAll,
  replySent,
  request,
  settleOn,
  takeOver,
  work
} from './shard-owner.ts'
import { type LocalParts, localOf, longest, ownerOf, piecesOf, type ShardsState, type ShardVariant } from './shard-state.ts'
import type { ExchangeStrategy, Group, StrategyEffect, StrategyEvent } from './strategy.ts'

/** A hello that is not answered is said again after this long, ms. */
const GREET = 500

/**
 * The frame of the strategies in which members own the parameters, in place of a parameter server: the flat parameters are cut into
 * shards, each owned by the first of the trainers in rendezvous order. A trainer pushes its gradient to the owners piece by piece and
 * takes the shards back in the same exchange; an owner applies what arrives by the strategy's rule and counts its updates in the shard's
 * clock. A piece of a gradient carries the clock of the copy it was computed on.
 *
 * - Messages of 25 bytes: `push`, `exchange`, `fetch`, `reply`, `moved`; `hello`, `rest`; `query`, `have`, `give`. A request is repeated
 *   until it is answered, and applied once by the owner that first had it.
 * - A join: the newcomer fetches all shards, says `hello`, and owns its part from then on: who owned it gives it up with the rule's arrays.
 * - A leave or a death of an owner: the next in order asks everybody, and goes on from the newest copy that a trainer last fetched. Updates
 *   since then, gradients in an unfinished sum, and the rule's arrays of that shard are lost: at most what was applied between two
 *   fetches of the trainer that fetched last. Requests under way are asked of the new owner; their gradients are of an older clock, or
 *   count as staleness 0 where the clock fell behind them.
 * - Both halves of a partition own everything; healed, the newest copy of each shard goes on and the other half's updates of it are lost.
 * - A checkpoint holds the parameters; rules begin anew with arrays of zeros. At the end everybody fetches, so that the model is the shards'.
 */
export function shards<O>(variant: ShardVariant<O>): ExchangeStrategy<ShardsState<O>> {
  const { name } = variant
  return {
    name,
    synchronous: false,

    create(options) {
      onlyKnown(name, options, ['shards', 'slots', ...variant.known])
      const slots = integerOption(name, options, 'slots', 8, 1, 1024)
      return {
        options: variant.options(options),
        variant,
        shards: integerOption(name, options, 'shards', 8, 1, 4096),
        slots,
        ...{ self: '', job: '', size: 0, whole: 0, generation: -1, phase: 'new', step: 0, rate: 0 },
        ...{ neighbours: [], taking: new Set(), unheard: new Set(), requests: [], seq: 0, clocks: [] },
        ...{ resting: false, over: false, draining: false, owned: new Map(), incoming: [], freeLandings: [], replies: [] }
      }
    },

    arenas(state, { size }) {
      const each = longest({ size, shards: state.shards })
      const pieces = variant.pieces ?? 1
      return {
        outgoing: pieces * size + (state.slots + 1) * each,
        landing: size + state.slots * pieces * each,
        state: (2 + variant.aux + (variant.local ?? 0)) * size
      }
    },

    step(state, event, env) {
      const s = state as ShardsState
      const effects: StrategyEffect[] = []
      if (event.type === 'group') begin(s, event.group, event.step, effects)
      else if (event.type === 'peers') peers(s, event.alive, effects)
      else if (s.phase !== 'new' && s.phase !== 'frozen' && s.phase !== 'left') happened(s, event, env, effects)
      if (s.phase !== 'new' && s.phase !== 'frozen' && s.phase !== 'left') {
        work(s, effects)
        goOn(s, effects)
      }
      return effects
    },

    settled: ({ phase, requests, over, draining, replies }) =>
      phase === 'frozen' ||
      phase === 'left' ||
      (phase === 'training' && !draining && (over || requests.length === 0) && replies.every(r => r.sending.size === 0)),
    checkpoint: () => ({}),
    restore(options) {
      return this.create(options)
    }
  }
}

function begin(state: ShardsState, group: Group, step: number, effects: StrategyEffect[]): void {
  const { self, job, generation, members, rank } = group
  const size = group.size - (group.statistics ?? 0)
  if (state.neighbours.length === 0) state.neighbours = members.map(m => m.trainer).filter(name => name !== self)
  Object.assign(state, { self, job, generation, size, whole: group.size, step, requests: [], incoming: [] })
  for (const { trainer } of members) if (trainer === self || state.neighbours.includes(trainer)) state.taking.add(trainer)
  state.freeLandings = Array.from({ length: state.slots }, (_, i) => i)
  state.replies = Array.from({ length: state.slots }, () => ({ sending: new Set() }))
  state.clocks = new Array(state.shards).fill(0)
  const whole = { offset: 0, length: size }
  effects.push({
    type: 'fill',
    into: { arena: 'state', offset: 0, length: (2 + state.variant.aux + (state.variant.local ?? 0)) * size },
    value: 0
  })
  if (rank < 0) {
    state.phase = 'joining'
    ask(state, 'fetch', effects)
    return
  }
  state.phase = 'training'
  for (const array of [0, 1]) {
    effects.push({ type: 'copy', into: { arena: 'state', offset: array * size, length: size }, from: { arena: 'parameters', ...whole } })
  }
  // founders begin with equal parameters: nobody has to be asked
  for (let shard = 0; shard < state.shards; shard++) if (ownerOf(state, shard) === self) state.owned.set(shard, freshOwned(0))
  effects.push({ type: 'compute', generation, step: step + 1 })
}

function happened(state: ShardsState, event: StrategyEvent, _env: Env, effects: StrategyEffect[]): void {
  switch (event.type) {
    case 'gradients':
      if (state.phase !== 'training' || event.generation !== state.generation || event.step !== state.step + 1) return
      if (state.requests.length > 0) return
      gradients(state, event.rate, effects)
      break
    case 'idle':
      // nobody is to wait for one that has nothing to train
      if (state.resting || state.variant.bound === undefined) break
      state.resting = true
      for (const name of state.taking) if (name !== state.self) tellShard(name, { type: 'rest' }, effects)
      rests(state, state.self, effects)
      break
    case 'landed':
      if (!landedReply(state, event.id) && !landedPush(state, event.id)) landedGiven(state, event.id)
      break
    case 'sent':
      replySent(state, event.id)
      sentRequest(state, event.id)
      break
    case 'failed':
      brokenPush(state, event.id, effects)
      brokenRequest(state, event.id)
      break
    case 'message':
      heard(state, event.from, event.body, effects)
      break
    case 'timer':
      if (event.id === 'again') askAgain(state, effects)
      else if (event.id === 'greet') greet(state, effects)
      else if (event.id.startsWith('rebuild ')) givesUp(state, Number(event.id.slice(8)), effects)
      break
    case 'freeze':
      state.phase = 'frozen'
      break
    case 'leave':
      state.phase = 'left'
      break
    case 'drain':
      if (state.over || state.phase !== 'training') break
      state.over = true
      state.draining = true
      if (state.requests.length === 0) ask(state, 'fetch', effects)
  }
}

function partsOf(state: ShardsState): LocalParts {
  const { size, whole, rate, step, variant, options } = state
  return {
    gradients: { arena: 'gradients', offset: 0, length: size },
    denominator: { arena: 'gradients', offset: whole + 1, length: 1 },
    parameters: { arena: 'parameters', offset: 0, length: size },
    outgoing: Array.from({ length: piecesOf(state) }, (_, i) => ({ arena: 'outgoing', offset: i * size, length: size })),
    local: localOf(state),
    rate,
    first: step % variant.every(options).push === 0
  }
}

/** The local gradients are there: the local step, and what is due with it. */
function gradients(state: ShardsState, rate: number, effects: StrategyEffect[]): void {
  const { variant, options } = state
  state.rate = rate
  const parts = partsOf(state)
  const { push, fetch } = variant.every(options)
  const mean: StrategyEffect = { type: 'divide', into: parts.outgoing[0]!, from: parts.gradients, by: parts.denominator }
  effects.push(...(variant.payload?.(options, parts) ?? [mean]))
  const local = variant.localStep?.(options, parts)
  effects.push(...(local?.effects ?? []))
  state.step++
  state.resting = false
  effects.push({ type: 'apply', step: state.step, scale: local?.scale ?? 0 })
  const pushes = state.step % push === 0
  const fetches = state.step % fetch === 0
  if (pushes) effects.push(...(variant.pushed?.(options, parts) ?? []))
  if (pushes || fetches) ask(state, pushes ? (fetches ? 'exchange' : 'push') : 'fetch', effects)
  else effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
}

/** With all shards back: the next step. */
function goOn(state: ShardsState, effects: StrategyEffect[]): void {
  if (!complete(state)) return
  const whole = state.requests.every(r => r.kind !== 'push')
  fetched(state, effects)
  // answers to itself may have come in the same turn
  if (state.over) {
    if (!state.draining) return
    if (!whole) {
      ask(state, 'fetch', effects)
      return
    }
    state.draining = false
    effects.push({
      type: 'copy',
      into: { arena: 'parameters', offset: 0, length: state.size },
      from: { arena: 'state', offset: state.size, length: state.size }
    })
    return
  }
  if (state.phase === 'joining') {
    state.phase = 'training'
    effects.push({
      type: 'copy',
      into: { arena: 'parameters', offset: 0, length: state.size },
      from: { arena: 'state', offset: state.size, length: state.size }
    })
    state.taking.add(state.self)
    state.unheard = new Set(state.neighbours)
    greet(state, effects)
    takeOver(state, effects)
  }
  effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
}

function heard(state: ShardsState, from: string, body: Uint8Array, effects: StrategyEffect[]): void {
  const message = decodeShard(body)
  if (message === undefined || message.shard >= state.shards) return
  switch (message.type) {
    case 'push':
    case 'exchange':
    case 'fetch':
      request(state, from, message, effects)
      break
    case 'reply':
      replied(state, from, message)
      break
    case 'moved':
      moved(state, from, message, effects)
      break
    case 'hello':
      if (state.phase !== 'training') break
      if (message.value === 0) tellShard(from, { type: 'hello', value: 1 }, effects)
      else state.unheard.delete(from)
      takesPart(state, from, effects)
      break
    case 'rest':
      rests(state, from, effects)
      break
    case 'query':
      takesPart(state, from, effects)
      queried(state, from, message.shard, effects)
      break
    case 'have':
      has(state, from, message, effects)
      break
    case 'give':
      gives(state, from, message, effects)
  }
}

/** Tells those who do not know it that this trainer takes part, until they answer. */
function greet(state: ShardsState, effects: StrategyEffect[]): void {
  if (state.phase !== 'training' || state.unheard.size === 0) return
  for (const name of state.unheard) tellShard(name, { type: 'hello' }, effects)
  effects.push({ type: 'setTimer', id: 'greet', delay: GREET })
}

function takesPart(state: ShardsState, name: string, effects: StrategyEffect[]): void {
  if (state.taking.has(name) || !state.neighbours.includes(name)) return
  state.taking.add(name)
  // whoever is ahead does not wait until a newcomer has caught up
  for (const owned of state.owned.values()) owned.progress.set(name, Number.POSITIVE_INFINITY)
  askAgain(state, effects)
  takeOver(state, effects)
}

function rests(state: ShardsState, name: string, effects: StrategyEffect[]): void {
  for (const owned of state.owned.values()) owned.progress.set(name, Number.POSITIVE_INFINITY)
  releaseAll(state, effects)
}

function peers(state: ShardsState, alive: string[], effects: StrategyEffect[]): void {
  state.neighbours = alive
    .filter(name => name !== state.self)
    .sort()
    .slice(0, MAX_TRAINERS)
  let lost = false
  for (const name of state.taking) if (name !== state.self && !state.neighbours.includes(name)) lost = state.taking.delete(name)
  for (const name of state.unheard) if (!state.neighbours.includes(name)) state.unheard.delete(name)
  if (state.phase === 'new' || state.phase === 'frozen' || state.phase === 'left') return
  // one that seemed dead, or is new: whoever of the two takes part says so
  for (const name of state.neighbours) if (!state.taking.has(name)) state.unheard.add(name)
  greet(state, effects)
  if (lost) {
    for (const [shard, owned] of state.owned) {
      owned.held = owned.held.filter(i => i.from === state.self || state.taking.has(i.from))
      if (owned.rebuilding === undefined) continue
      for (const name of owned.rebuilding.asked) if (!state.taking.has(name)) owned.rebuilding.asked.delete(name)
      if (owned.rebuilding.best.from !== state.self && !state.taking.has(owned.rebuilding.best.from)) givesUp(state, shard, effects)
      else settleOn(state, shard, effects)
    }
    for (const i of [...state.incoming]) {
      const [first] = i.missing
      if (first !== undefined && !state.taking.has(i.from)) brokenPush(state, first, effects)
    }
    for (const { sending } of state.replies)
      for (const id of sending)
        if (!state.neighbours.some(name => id.endsWith(name))) {
          effects.push({ type: 'cancel', id })
          sending.delete(id)
        }
    if (state.phase === 'training') takeOver(state, effects)
    releaseAll(state, effects)
  }
  askAgain(state, effects)
  if (state.phase === 'joining' && state.requests.length === 0) ask(state, 'fetch', effects)
}

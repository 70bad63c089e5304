import { type Env, MAX_TRAINERS } from '../../../common/index.ts'
import { type Ask, decodeAsk, type Locked, tellAsk } from './ad-psgd-lock.ts'
import { choiceOption, integerOption, onlyKnown } from './options.ts'
import type { ExchangeStrategy, Range, StrategyEffect, StrategyEvent } from './strategy.ts'
import { type GraphName, graphNames, neighboursOf } from './topology.ts'

interface AdPsgdState {
  graph: GraphName
  patience: number
  self: string
  job: string
  size: number
  generation: number
  phase: 'new' | 'joining' | 'training' | 'left' | 'frozen'
  step: number
  neighbours: string[]
  /** The exchange this trainer is locked in. */
  lock?: Locked
  /** Number of the last exchange asked for. */
  asked: number
  /** Gradients are there and wait for the average; the neighbours not yet asked for it. */
  candidates?: string[]
}

/**
 * AD-PSGD: a trainer computes a gradient at its own, possibly stale copy, takes the average with one random neighbour, then applies the
 * gradient. Averages are atomic: both sides are locked from the copy they send until both have the mean, (x_i + x_j)/2. One that is
 * locked refuses, and the next neighbour is asked; where all refuse the gradient is applied without an average. Of two that ask each
 * other the one whose name sorts first is heeded. A neighbour answers while it computes.
 *
 * - Sends: n floats each way to one neighbour a step; messages `ask`, `grant`, `refuse` of 5 bytes.
 * - State: none but the parameters; a checkpoint holds nothing more.
 * - A join: the newcomer asks as for an average, and takes the neighbour's parameters as they are. A leave or a death: its parameters go
 *   with it; there is no mass to lose. An average that broke half-way may have reached one side only: the mean over trainers then moves
 *   by 1/p of half their distance.
 *
 * Options: `topology`; `patience`, ms, after which an answer that does not come counts as a refusal.
 *
 * @see Lian et al. 2018, arXiv 1710.06952
 */
export const adPsgd: ExchangeStrategy<AdPsgdState> = {
  name: 'ad-psgd',
  synchronous: false,

  create(options) {
    onlyKnown('ad-psgd', options, ['topology', 'patience'])
    const graph = choiceOption('ad-psgd', options, 'topology', graphNames)
    const patience = integerOption('ad-psgd', options, 'patience', 2000, 1, 3_600_000)
    const fresh = { self: '', job: '', size: 0, generation: -1, step: 0, asked: 0 }
    return { graph, patience, ...fresh, phase: 'new', neighbours: [] }
  },

  arenas: (_, { size }) => ({ outgoing: size, landing: size, state: 0 }),

  step(state, event, env) {
    const effects: StrategyEffect[] = []
    if (event.type === 'group') {
      const { self, job, size, generation, members, rank } = event.group
      if (state.neighbours.length === 0) state.neighbours = members.map(m => m.trainer).filter(name => name !== self)
      Object.assign(state, { self, job, size, generation, step: event.step, lock: undefined, candidates: undefined })
      state.phase = rank >= 0 ? 'training' : 'joining'
      if (rank >= 0) compute(state, effects)
      else askNext(state, env, effects)
    } else if (event.type === 'peers') peers(state, event.alive, env, effects)
    else if (state.phase === 'training' || state.phase === 'joining') happened(state, event, env, effects)
    return effects
  },

  settled: ({ phase, lock, candidates }) =>
    phase === 'frozen' || phase === 'left' || (phase === 'training' && lock === undefined && candidates === undefined),
  checkpoint: () => ({}),
  restore: options => adPsgd.create(options)
}

function happened(state: AdPsgdState, event: StrategyEvent, env: Env, effects: StrategyEffect[]): void {
  const { lock } = state
  if (event.type === 'gradients') {
    if (state.phase !== 'training' || event.generation !== state.generation || event.step !== state.step + 1) return
    state.candidates = neighboursOf(state.graph, [...state.neighbours, state.self].sort(), state.self, state.job)
    if (lock === undefined) askNext(state, env, effects)
  } else if (event.type === 'message') {
    const ask = decodeAsk(event.body)
    if (ask !== undefined) heard(state, event.from, ask, env, effects)
  } else if (event.type === 'landed' && lock?.receiving === event.id) {
    const [into, from] = [parameters(state), landing(state)]
    effects.push(state.phase === 'joining' ? { type: 'copy', into, from } : { type: 'blend', into, from, factor: 0.5 })
    lock.receiving = undefined
    release(state, env, effects)
  } else if ((event.type === 'sent' || event.type === 'failed') && lock !== undefined) {
    if (lock.sending === event.id) lock.sending = undefined
    else if (lock.receiving === event.id) lock.broken = true
    else return
    if (lock.broken) lock.receiving = undefined
    release(state, env, effects)
  } else if (event.type === 'timer' && event.id === 'ask') giveUp(state, env, effects)
  else if (event.type === 'freeze') state.phase = 'frozen'
  else if (event.type === 'leave') {
    if (lock !== undefined) giveUp(state, env, effects)
    state.phase = 'left'
  }
}

/** Asks the next neighbour at random; with none left, the gradient is applied as it is. */
function askNext(state: AdPsgdState, env: Env, effects: StrategyEffect[]): void {
  const joining = state.phase === 'joining'
  const candidates = joining ? [...state.neighbours] : state.candidates
  if (candidates === undefined) return
  const peer = candidates.length > 0 ? candidates.splice(env.random.int(candidates.length), 1)[0]! : undefined
  if (peer === undefined) {
    // a newcomer without neighbours will be told of some
    if (!joining) finish(state, effects)
    return
  }
  state.asked = (state.asked + 1) >>> 0
  state.lock = { peer, id: state.asked, active: true, granted: false, broken: false }
  tellAsk(peer, { type: joining ? 'join' : 'ask', id: state.asked }, effects)
  effects.push({ type: 'setTimer', id: 'ask', delay: state.patience })
}

function heard(state: AdPsgdState, from: string, { type, id }: Ask, env: Env, effects: StrategyEffect[]): void {
  const { lock, self } = state
  const mine = lock?.active === true && lock.peer === from && !lock.granted
  if (type === 'ask' || type === 'join') {
    // of two that ask each other, the first by name is heeded by both
    const crossed = mine && type === 'ask' && state.phase === 'training'
    if (crossed && self < from) return
    if ((lock !== undefined && !crossed) || state.phase !== 'training') {
      tellAsk(from, { type: 'refuse', id }, effects)
      return
    }
    state.lock = { peer: from, id, active: crossed, granted: true, broken: false }
    tellAsk(from, { type: 'grant', id }, effects)
    exchange(state, type === 'ask', true, from, effects)
  } else if (mine && lock.id === id) {
    if (type === 'grant') {
      lock.granted = true
      exchange(state, true, state.phase === 'training', self, effects)
    } else {
      state.lock = undefined
      effects.push(state.phase === 'joining' ? { type: 'setTimer', id: 'ask', delay: 50 } : { type: 'cancelTimer', id: 'ask' })
      if (state.phase === 'training') askNext(state, env, effects)
    }
  }
}

/** Both copies go on their way; `asker` numbered the exchange. */
function exchange(state: AdPsgdState, receives: boolean, sends: boolean, asker: string, effects: StrategyEffect[]): void {
  const lock = state.lock!
  const idOf = (from: string) => `v${lock.id}.${asker}.${from === asker ? 'a' : 'b'}`
  if (sends) {
    lock.sending = idOf(state.self)
    const range: Range = { arena: 'outgoing', offset: 0, length: state.size }
    effects.push({ type: 'copy', into: range, from: parameters(state) }, { type: 'send', id: lock.sending, to: lock.peer, range })
  }
  if (receives) {
    lock.receiving = idOf(lock.peer)
    effects.push({ type: 'receive', id: lock.receiving, from: lock.peer, into: landing(state) })
  }
  effects.push({ type: 'setTimer', id: 'ask', delay: state.patience })
}

/** Unlocks where nothing is on its way any more, and goes on with what waits. */
function release(state: AdPsgdState, env: Env, effects: StrategyEffect[]): void {
  const { lock } = state
  if (lock === undefined || lock.sending !== undefined || lock.receiving !== undefined) return
  state.lock = undefined
  effects.push({ type: 'cancelTimer', id: 'ask' })
  if (state.phase === 'joining') {
    if (lock.broken) askNext(state, env, effects)
    else {
      state.phase = 'training'
      compute(state, effects)
    }
  } else if (lock.active) finish(state, effects)
  else askNext(state, env, effects)
}

/** The answer or the exchange does not come. */
function giveUp(state: AdPsgdState, env: Env, effects: StrategyEffect[]): void {
  const { lock } = state
  if (lock !== undefined) {
    for (const id of [lock.sending, lock.receiving]) if (id !== undefined) effects.push({ type: 'cancel', id })
    state.lock = undefined
  }
  effects.push({ type: 'cancelTimer', id: 'ask' })
  askNext(state, env, effects)
}

function finish(state: AdPsgdState, effects: StrategyEffect[]): void {
  if (state.candidates === undefined) return
  state.candidates = undefined
  effects.push({ type: 'apply', step: ++state.step })
  compute(state, effects)
}

function compute(state: AdPsgdState, effects: StrategyEffect[]): void {
  effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
}

function peers(state: AdPsgdState, alive: string[], env: Env, effects: StrategyEffect[]): void {
  const others = alive.filter(name => name !== state.self)
  state.neighbours = others.sort().slice(0, MAX_TRAINERS)
  if (state.phase !== 'training' && state.phase !== 'joining') return
  state.candidates = state.candidates?.filter(name => state.neighbours.includes(name))
  const gone = state.lock !== undefined && !state.neighbours.includes(state.lock.peer)
  if (gone || (state.phase === 'joining' && state.lock === undefined)) giveUp(state, env, effects)
}

const parameters = ({ size }: AdPsgdState): Range => ({ arena: 'parameters', offset: 0, length: size })
const landing = ({ size }: AdPsgdState): Range => ({ arena: 'landing', offset: 0, length: size })

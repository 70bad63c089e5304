import { type Env, MAX_TRAINERS } from '../../../common/index.ts'
import { donate, donated, heardOfJoin, joinAgain } from './meeting-joins.ts'
import { decodeMeeting, tellMeeting } from './meeting-messages.ts'
import { abort, advanceMeeting, enter, failedIn, landedIn, type Meeting, nudge, withoutPatience } from './meeting-transfers.ts'
import { integerOption, onlyKnown } from './options.ts'
import type { ExchangeStrategy, Group, Range, StrategyEffect, StrategyOptions } from './strategy.ts'

/** What tells one strategy of meetings from another. */
export interface MeetingVariant<O> {
  name: string
  /** Options beside `patience` and `slots`. */
  known: readonly string[]
  options(options: StrategyOptions): O
  /** A meeting is held while the gradients are computed, and ends before they are applied; else it follows local steps. */
  overlap: boolean
  /** Local steps between two meetings. */
  h(options: O): number
  /** A trainer that is so many rounds behind one that waits for it has been left behind, and goes on with the other's round. */
  lead: number
  /** Copies of the model kept in arena `state`. */
  kept: number
  /** Whom `self` meets in `round`, with the weight of each; what is left of 1 is its own. `names` are sorted and hold `self`. */
  weights(options: O, names: readonly string[], self: string, round: number, key: string): Map<string, number>
  /** Before the first step. */
  begin?(size: number): StrategyEffect[]
  /** What the weighted mean is used for; else it becomes the parameters. */
  update?(options: O, mean: Range, size: number): StrategyEffect[]
}

export interface MeetingsState<O = unknown> {
  options: O
  variant: MeetingVariant<O>
  patience: number
  slots: number
  self: string
  job: string
  size: number
  generation: number
  phase: 'new' | 'joining' | 'training' | 'left' | 'frozen'
  /** Local steps applied. */
  step: number
  /** Number of the meeting that is held or comes next. */
  round: number
  /** Live trainers but this one, sorted; and those of them that take part as far as is known. */
  neighbours: string[]
  taking: Set<string>
  meeting?: Meeting
  /** What came while a meeting is held: gradients, or nothing to train. */
  ready?: 'gradients' | 'idle'
  /** The epochs are over: no meeting begins any more. */
  over: boolean
  /** A copy of the parameters on its way to a newcomer, or on its way here. */
  donation?: { id: string; peer: string }
  attempts: number
}

/** A trainer with nothing to train comes to a meeting after this long, ms. */
const IDLE = 20

/**
 * The frame of the strategies that meet: in round r a trainer and those it meets send each other copies of their parameters, and each
 * takes the mean with weights that are the same both ways: a symmetric, doubly stochastic step, so that the mean over trainers stays.
 *
 * - Messages: `at` says in which round one waits; `join`, `welcome` and `hello` bring a newcomer in.
 * - A join: a random neighbour sends a copy of its parameters and its round; who hears the newcomer's `hello` meets it from then on.
 * - A leave or a death: nobody holds anything for it. Whoever waits for it drops it, and its weight in the mean becomes its own: a meeting
 *   that broke for one side only moves the mean over trainers by that weight times the distance of the two. There is no mass to lose.
 * - A trainer is waited for `patience` at most: views of who lives may differ. One without data comes to meetings all the same.
 */
export function meetings<O>(variant: MeetingVariant<O>): ExchangeStrategy<MeetingsState<O>> {
  const { name, kept } = variant
  return {
    name,
    synchronous: false,

    create(options) {
      onlyKnown(name, options, ['patience', 'slots', ...variant.known])
      return {
        options: variant.options(options),
        variant,
        patience: integerOption(name, options, 'patience', 5000, 1, 3_600_000),
        slots: integerOption(name, options, 'slots', 2, 1, 64),
        self: '',
        job: '',
        size: 0,
        generation: -1,
        phase: 'new',
        step: 0,
        round: 0,
        neighbours: [],
        taking: new Set(),
        over: false,
        attempts: 0
      }
    },

    // outgoing: the copy others read, the mean, and a copy for a newcomer
    arenas: ({ slots }, { size }) => ({ outgoing: 3 * size, landing: slots * size, state: kept * size }),

    step(state, event, env) {
      const s = state as MeetingsState
      const effects: StrategyEffect[] = []
      if (event.type === 'group') begin(s, event.group, event.step, env, effects)
      else if (event.type === 'peers') peers(s, event.alive, env, effects)
      else if (s.phase === 'new' || s.phase === 'frozen') return effects
      else if (event.type === 'gradients') gradients(s, event.generation, event.step, effects)
      else if (event.type === 'idle' && s.phase === 'training' && !s.over) effects.push({ type: 'setTimer', id: 'idle', delay: IDLE })
      else if (event.type === 'landed' && !landedIn(s, event.id, effects) && donated(s, event.id, effects)) startStep(s, effects)
      else if (event.type === 'sent' || event.type === 'failed') failedIn(s, event.id, event.type === 'sent', effects)
      else if (event.type === 'message') heard(s, event.from, event.body, env, effects)
      else if (event.type === 'timer') timer(s, event.id, env, effects)
      else if (event.type === 'freeze') s.phase = 'frozen'
      else if (event.type === 'drain' || event.type === 'leave') over(s, event.type === 'leave', effects)
      if (s.phase === 'training' && !s.over) proceed(s, effects)
      return effects
    },

    settled: ({ phase, meeting, donation, over }) =>
      phase === 'frozen' || phase === 'left' || (phase === 'training' && (over || (meeting === undefined && donation === undefined))),
    checkpoint: () => ({}),
    restore(options) {
      return this.create(options)
    }
  }
}

function begin(state: MeetingsState, group: Group, step: number, env: Env, effects: StrategyEffect[]): void {
  const { self, job, size, generation } = group
  const neighbours = (state.neighbours.length > 0 ? state.neighbours : group.members.map(m => m.trainer)).filter(name => name !== self)
  Object.assign(state, { self, job, size, generation, step, neighbours, meeting: undefined, donation: undefined, ready: undefined })
  for (const { trainer } of group.members) state.taking.add(trainer)
  if (group.rank >= 0) {
    state.phase = 'training'
    effects.push(...(state.variant.begin?.(size) ?? []))
    startStep(state, effects)
  } else {
    state.phase = 'joining'
    joinAgain(state, env, effects)
  }
}

function startStep(state: MeetingsState, effects: StrategyEffect[]): void {
  if (state.variant.overlap) enter(state, effects)
  effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
}

function gradients(state: MeetingsState, generation: number, step: number, effects: StrategyEffect[]): void {
  if (state.phase !== 'training' || generation !== state.generation || step !== state.step + 1) return
  effects.push({ type: 'cancelTimer', id: 'idle' })
  state.ready = 'gradients'
}

/** Goes on as far as the meeting and the gradients allow. */
function proceed(state: MeetingsState, effects: StrategyEffect[]): void {
  const { variant } = state
  for (;;) {
    if (state.meeting !== undefined && !advanceMeeting(state, effects)) return
    if (variant.overlap) {
      // the engine reads the parameters until the gradients are there
      if (state.ready === undefined) return
      endMeeting(state, effects)
      apply(state, effects)
      startStep(state, effects)
    } else if (state.meeting !== undefined) {
      endMeeting(state, effects)
      if (state.ready === undefined) effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
    } else if (state.ready !== undefined) {
      const idle = state.ready === 'idle'
      apply(state, effects)
      if (idle || state.step % variant.h(state.options) === 0) enter(state, effects)
      else effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
    } else return
  }
}

function apply(state: MeetingsState, effects: StrategyEffect[]): void {
  if (state.ready === 'gradients') effects.push({ type: 'apply', step: ++state.step })
  state.ready = undefined
}

function endMeeting(state: MeetingsState, effects: StrategyEffect[]): void {
  const { size, variant, options, meeting } = state
  state.meeting = undefined
  state.round++
  effects.push({ type: 'cancelTimer', id: 'patience' }, { type: 'cancelTimer', id: 'nudge' })
  const mean: Range = { arena: 'outgoing', offset: size, length: size }
  const own: Range = { arena: 'outgoing', offset: 0, length: size }
  // what is left of the weights is the own copy's, which is summed in its place where nobody is missing
  if (meeting!.left !== 0) effects.push({ type: 'combine', into: mean, from: own, alpha: 1, beta: meeting!.left })
  effects.push(...(variant.update?.(options, mean, size) ?? [{ type: 'copy', into: { ...own, arena: 'parameters' as const }, from: mean }]))
}

function heard(state: MeetingsState, from: string, body: Uint8Array, env: Env, effects: StrategyEffect[]): void {
  const message = decodeMeeting(body)
  if (message === undefined) return
  const { round } = message
  if (message.type !== 'at') {
    if (message.type === 'hello' && state.taking.size < MAX_TRAINERS) state.taking.add(from)
    if (message.type === 'join' && state.phase === 'training' && !state.over) donate(state, from, effects)
    else heardOfJoin(state, from, message, env, effects)
    return
  }
  const { lead } = state.variant
  if (state.phase !== 'training' || state.over) return
  if (state.round >= round + lead) tellMeeting(from, { type: 'at', round: state.round }, effects)
  if (round < state.round + lead) return
  const held = state.meeting !== undefined
  abort(state, effects)
  state.round = round
  if (held) enter(state, effects)
}

function timer(state: MeetingsState, id: string, env: Env, effects: StrategyEffect[]): void {
  if (id === 'join' && state.phase === 'joining') joinAgain(state, env, effects)
  if (state.phase !== 'training' || state.over) return
  if (id === 'idle' && state.ready === undefined) state.ready = 'idle'
  if (id === 'nudge') nudge(state, effects)
  if (id === 'patience') withoutPatience(state, effects)
}

function peers(state: MeetingsState, alive: string[], env: Env, effects: StrategyEffect[]): void {
  const before = state.neighbours.length
  state.neighbours = alive
    .filter(name => name !== state.self)
    .sort()
    .slice(0, MAX_TRAINERS)
  for (const name of state.taking) if (name !== state.self && !state.neighbours.includes(name)) state.taking.delete(name)
  if (state.meeting !== undefined) withoutPatience(state, effects, name => !state.neighbours.includes(name))
  if (state.donation !== undefined && !state.neighbours.includes(state.donation.peer)) {
    effects.push({ type: 'cancel', id: state.donation.id })
    state.donation = undefined
  }
  if (state.phase === 'joining' && before === 0) joinAgain(state, env, effects)
}

/** Nothing more is begun; a meeting that is held is given up, as its others will. */
function over(state: MeetingsState, leaves: boolean, effects: StrategyEffect[]): void {
  abort(state, effects)
  effects.push({ type: 'cancelTimer', id: 'idle' })
  state.over = true
  if (leaves) state.phase = 'left'
}

import { InvalidParametersError } from '../../../common/index.ts'
import {
  type Collective,
  collective,
  collectiveLanded,
  collectiveSent,
  contribute,
  inHand,
  landingOf,
  nextRound,
  roundOver,
  SEGMENT
} from './collective.ts'
import { type Gathered, gatheredArenas, gatheredBy, gatheredSettled, gatheredStep } from './gathered.ts'
import { integerOption, onlyKnown } from './options.ts'
import { algorithmNamed, algorithmNames, reductionOf } from './programs.ts'
import type { ExchangeStrategy, Group, StrategyEffect } from './strategy.ts'

export interface AllreduceState {
  algorithm: string
  segment: number
  generation: number
  /** Steps applied here. */
  step: number
  /** The sum of `step + 1`; absent before the first group and after a freeze. */
  collective?: Collective
  /** Step `step + 1` is applied, and only peers' receipts are missing before the next one. */
  applied: boolean
  /** In place of `collective`, where every rank needs what every other has. */
  gathered: Gathered | undefined
}

/**
 * Synchronous SGD: every step, the gradients and the tail behind them are summed over all ranks in an order that depends on the group
 * alone, and each rank applies the same sum. A rank applies a step only with the whole sum in hand; a death freezes the generation,
 * and the next one goes on from the highest applied step. It has no state that a checkpoint must hold.
 *
 * Transfers of step k+1 are the first messages that say their sender applied step k. Once a rank applies k+1, every rank has
 * therefore applied k.
 *
 * With a codec or an aggregation every rank sends what it has to every other, (p−1) times; see gathered.ts.
 *
 * Options: `codec` (codecs.ts), `error-feedback`; `aggregate` (aggregation.ts), `trainer-momentum`; or `algorithm` (programs.ts); `segment`, floats a transfer.
 */
export const allreduce: ExchangeStrategy<AllreduceState> = {
  name: 'allreduce',
  synchronous: true,

  create(options) {
    onlyKnown('allreduce', options, ['algorithm', 'segment', 'codec', 'error-feedback', 'aggregate', 'trainer-momentum'])
    const algorithm = options['algorithm'] ?? algorithmNames[0]
    if (typeof algorithm !== 'string') throw new InvalidParametersError(`option 'algorithm' must be one of ${algorithmNames.join(', ')}`)
    algorithmNamed(algorithm, reductionOf([], 0))
    const segment = integerOption('allreduce', options, 'segment', SEGMENT, 1, 2 ** 24)
    const gathered = gatheredBy('allreduce', options)
    if (gathered !== undefined && (options['algorithm'] !== undefined || options['segment'] !== undefined)) {
      throw new InvalidParametersError(
        `'algorithm' and 'segment' are of sums made on the way; with a codec, an aggregation or a trainer-momentum every rank sends to every other`
      )
    }
    return { algorithm, segment, generation: -1, step: 0, applied: false, gathered }
  },

  arenas(state, { size, tail, members }) {
    if (state.gathered !== undefined) return gatheredArenas(state.gathered, { size, tail, members })
    const world = members.length
    const algorithm = algorithmNamed(state.algorithm, reductionOf(members, size + tail))
    let landing = 0
    // ranks differ by a float or so where p does not divide n
    for (let rank = 0; rank < world; rank++) landing = Math.max(landing, landingOf({ algorithm, rank, world, length: size + tail }))
    return { landing, outgoing: 0, state: 0 }
  },

  step(state, event) {
    if (state.gathered !== undefined) return gatheredStep(state.gathered, event)
    const effects: StrategyEffect[] = []
    const c = state.collective
    switch (event.type) {
      case 'group':
        begin(state, event.group, event.step, effects)
        break
      case 'gradients':
        if (c === undefined || event.generation !== state.generation || event.step !== c.round || c.ready) break
        contribute(c, effects)
        progress(state, c, effects)
        break
      case 'landed':
        if (c !== undefined && collectiveLanded(c, event.id, effects)) progress(state, c, effects)
        break
      case 'sent':
        if (c !== undefined && collectiveSent(c, event.id, effects)) progress(state, c, effects)
        break
      case 'freeze':
        state.collective = undefined
        break
    }
    return effects
  },

  // a rank that applied a step may still owe a peer its part of the sum
  settled: state =>
    state.gathered !== undefined
      ? gatheredSettled(state.gathered)
      : state.collective === undefined || (!state.collective.ready && state.collective.sending.size === 0),
  checkpoint: () => ({}),
  restore: options => allreduce.create(options)
}

function begin(state: AllreduceState, group: Group, step: number, effects: StrategyEffect[]): void {
  const trainers = group.members.map(m => m.trainer)
  if (trainers[group.rank] !== group.self) {
    throw new InvalidParametersError(
      `trainer ${group.self} is not rank ${group.rank} of generation ${group.generation}; a synchronous job's trainers are its ranks`
    )
  }
  state.generation = group.generation
  state.step = step
  state.applied = false
  state.collective = collective(
    {
      key: `a${group.generation}`,
      trainers,
      rank: group.rank,
      algorithm: algorithmNamed(state.algorithm, reductionOf(group.members, group.size + group.tail)),
      arena: 'gradients',
      length: group.size + group.tail,
      segment: state.segment
    },
    step + 1,
    effects
  )
  effects.push({ type: 'compute', generation: group.generation, step: step + 1 })
}

function progress(state: AllreduceState, c: Collective, effects: StrategyEffect[]): void {
  if (!state.applied && inHand(c)) {
    state.applied = true
    state.step = c.round
    effects.push({ type: 'apply', step: c.round })
  }
  // peers still read from the gradients until they have said that they got them
  if (!roundOver(c)) return
  nextRound(c)
  state.applied = false
  effects.push({ type: 'compute', generation: state.generation, step: c.round })
}

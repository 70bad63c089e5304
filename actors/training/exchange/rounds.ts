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
  roundOver
} from './collective.ts'
import { integerOption, onlyKnown } from './options.ts'
import { algorithmNamed, reductionOf } from './programs.ts'
import type { ExchangeStrategy, Group, Range, StrategyEffect, StrategyOptions } from './strategy.ts'

/** What an outer update works on, between the mean of a round and the next round. */
export interface Round {
  /** Where the round began, W: equal on all ranks. */
  anchor: Range
  /** G: the mean over ranks of (parameters after the local steps − anchor), weighted by the samples that each rank trained. */
  mean: Range
  /** Kept from round to round; zeros at first. Of length 0 where the strategy keeps none. */
  momentum: Range
  /** Where the next round begins; the update writes it. */
  parameters: Range
  /** Learning rate of the round's last local step. */
  rate: number
  ranks: number
  /** No round follows. */
  last: boolean
}

/** What tells one strategy of rounds from another: its options, and its outer update as arithmetic. */
export interface Outer<O> {
  name: string
  /** Default of option `h`. */
  h: number
  /** Options beside `h` and `algorithm`. */
  known: readonly string[]
  options(options: StrategyOptions): O
  /** Whether {@link Round.momentum} is kept. */
  momentum: boolean
  /** Whether the mean is also taken of the local optimizers' state. */
  averagesOptimizer?(options: O): boolean
  update(options: O, round: Round): StrategyEffect[]
}

export interface RoundsState<O> {
  options: O
  h: number
  algorithm: string
  size: number
  optimizer: number
  statistics: number
  generation: number
  /** Local steps applied, and the number of them at the last commit. */
  step: number
  committed: number
  /** Samples trained here since then. */
  samples: number
  rate: number
  last: boolean
  ranks: number
  collective?: Collective
}

/**
 * Local steps and a mean: the frame of local SGD, BMUF, SlowMo and DiLoCo. Every rank takes `h` local steps with its own optimizer,
 * then all ranks take the mean of how far they moved by an allreduce, and {@link Outer.update} says where the next round begins.
 *
 * - Sent: once a round, what the allreduce of `size` floats and one more sends. The last float is the rank's samples, so that the
 *   mean is Σ n_r·Δ_r / Σ n_r and a rank that had nothing to train moves nobody.
 * - State: the anchor, and the outer momentum where there is one, in arena `state`: equal on all ranks, and part of a checkpoint.
 *   The local optimizers' state stays with its rank, unless it is averaged too.
 * - A death, a leave or a join freezes the generation: local steps since the last commit are undone and their samples trained anew in
 *   the next one; the outer momentum is kept. A newcomer takes parameters, optimizer and state of a rank that holds the commit.
 */
export function rounds<O>(outer: Outer<O>): ExchangeStrategy<RoundsState<O>> {
  const averages = (state: RoundsState<O>) => outer.averagesOptimizer?.(state.options) ?? false
  const payload = (state: RoundsState<O>, { size, optimizer }: { size: number; optimizer: number }) =>
    size + (averages(state) ? optimizer : 0) + 1

  function begin(state: RoundsState<O>, group: Group, step: number, effects: StrategyEffect[]): void {
    const trainers = group.members.map(m => m.trainer)
    if (trainers[group.rank] !== group.self) {
      throw new InvalidParametersError(`trainer ${group.self} is not rank ${group.rank} of generation ${group.generation}`)
    }
    Object.assign(state, {
      generation: group.generation,
      size: group.size,
      optimizer: group.optimizer,
      statistics: group.statistics ?? 0,
      ranks: trainers.length
    })
    Object.assign(state, { step, committed: step, samples: 0, last: false })
    const algorithm = algorithmNamed(state.algorithm, reductionOf(group.members, payload(state, group)))
    const init = { key: `r${group.generation}`, trainers, rank: group.rank, algorithm, arena: 'outgoing' as const }
    effects.push({ type: 'copy', into: anchorOf(state), from: parametersOf(state) })
    state.collective = collective({ ...init, length: payload(state, group) }, 1, effects)
    effects.push({ type: 'compute', generation: group.generation, step: step + 1 })
  }

  /** outgoing ← [n·(parameters − anchor), n·optimizer, n] */
  function offer(state: RoundsState<O>, c: Collective, effects: StrategyEffect[]): void {
    const moved: Range = { arena: 'outgoing', offset: 0, length: state.size }
    const samples: Range = { arena: 'outgoing', offset: c.init.length - 1, length: 1 }
    effects.push(
      { type: 'copy', into: moved, from: parametersOf(state) },
      { type: 'combine', into: moved, from: anchorOf(state), alpha: 1, beta: -1 }
    )
    if (averages(state)) effects.push({ type: 'copy', into: optimizerPart(state), from: optimizerOf(state) })
    const whole: Range = { arena: 'outgoing', offset: 0, length: c.init.length - 1 }
    effects.push({ type: 'fill', into: samples, value: state.samples }, { type: 'multiply', into: whole, from: whole, by: samples })
    contribute(c, effects)
    progress(state, c, effects)
  }

  function progress(state: RoundsState<O>, c: Collective, effects: StrategyEffect[]): void {
    if (c.ready && inHand(c) && state.committed < state.step) {
      // peers still read what was summed; the gradients were applied and are free
      const mean: Range = { arena: 'gradients', offset: 0, length: state.size }
      const samples: Range = { arena: 'outgoing', offset: c.init.length - 1, length: 1 }
      effects.push({ type: 'divide', into: mean, from: { arena: 'outgoing', offset: 0, length: state.size }, by: samples })
      if (averages(state)) effects.push({ type: 'divide', into: optimizerOf(state), from: optimizerPart(state), by: samples })
      const momentum: Range = { arena: 'state', offset: state.size, length: outer.momentum ? state.size : 0 }
      const { rate, ranks, last } = state
      const round: Round = { anchor: anchorOf(state), mean, momentum, parameters: parametersOf(state), rate, ranks, last }
      // Running statistics take the mean itself: seen from where it leads there is nothing left to add momentum to.
      const statistics = (of: Range): Range => ({
        arena: of.arena,
        offset: of.offset + state.size - state.statistics,
        length: state.statistics
      })
      if (state.statistics > 0) {
        effects.push({ type: 'combine', into: statistics(round.anchor), from: statistics(mean), alpha: 1, beta: 1 })
        effects.push({ type: 'fill', into: statistics(mean), value: 0 })
      }
      effects.push(...outer.update(state.options, round))
      effects.push({ type: 'copy', into: anchorOf(state), from: parametersOf(state) }, { type: 'commit', step: state.step })
      state.committed = state.step
      state.samples = 0
    }
    if (roundOver(c)) {
      nextRound(c)
      effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
    }
  }

  return {
    name: outer.name,
    synchronous: true,
    rounds: true,

    create(options) {
      onlyKnown(outer.name, options, ['h', 'algorithm', ...outer.known])
      const algorithm = String(options['algorithm'] ?? 'ring')
      algorithmNamed(algorithm, reductionOf([], 0))
      const h = integerOption(outer.name, options, 'h', outer.h, 1, 1_000_000)
      const fresh = {
        size: 0,
        optimizer: 0,
        statistics: 0,
        generation: -1,
        step: 0,
        committed: 0,
        samples: 0,
        rate: 0,
        last: false,
        ranks: 1
      }
      return { options: outer.options(options), h, algorithm, ...fresh }
    },

    arenas(state, group) {
      const world = group.members.length
      const length = payload(state, group)
      const algorithm = algorithmNamed(state.algorithm, reductionOf(group.members, length))
      const landing = Math.max(...group.members.map((_, rank) => landingOf({ algorithm, rank, world, length })))
      return { landing, outgoing: length, state: group.size * (outer.momentum ? 2 : 1) }
    },

    step(state, event) {
      const effects: StrategyEffect[] = []
      const c = state.collective
      if (event.type === 'group') begin(state, event.group, event.step, effects)
      else if (event.type === 'freeze') state.collective = undefined
      else if (c === undefined) return effects
      else if (event.type === 'landed' && collectiveLanded(c, event.id, effects)) progress(state, c, effects)
      else if (event.type === 'sent' && collectiveSent(c, event.id, effects)) progress(state, c, effects)
      else if (event.type === 'gradients' && event.generation === state.generation && event.step === state.step + 1 && !c.ready) {
        state.step++
        state.samples += event.samples
        state.rate = event.rate
        state.last = event.last ?? false
        effects.push({ type: 'apply', step: state.step })
        if (state.step - state.committed >= state.h || state.last) offer(state, c, effects)
        else effects.push({ type: 'compute', generation: state.generation, step: state.step + 1 })
      }
      return effects
    },

    // a rank that committed may still owe a peer its part of the sum
    settled: ({ collective: c, step, committed }) => c === undefined || (step === committed && c.sending.size === 0),
    checkpoint: () => ({}),
    restore(options) {
      return this.create(options)
    }
  }
}

const parametersOf = ({ size }: { size: number }): Range => ({ arena: 'parameters', offset: 0, length: size })
const anchorOf = ({ size }: { size: number }): Range => ({ arena: 'state', offset: 0, length: size })
const optimizerOf = ({ optimizer }: { optimizer: number }): Range => ({ arena: 'optimizer', offset: 0, length: optimizer })
const optimizerPart = ({ size, optimizer }: { size: number; optimizer: number }): Range => ({
  arena: 'outgoing',
  offset: size,
  length: optimizer
})

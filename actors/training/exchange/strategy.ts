import type { CancelTimer, Env, SetTimer } from '../../../common/index.ts'

/**
 * The flat float32 arenas a strategy may name. Drivers own them; a core only ever says ranges.
 *
 * - `gradients`: the local step's gradients, `size` floats, then the tail (loss sum, denominator, correct), `tail` floats
 * - `parameters`: the live parameters, `size` floats
 * - `optimizer`: the local optimizer's state, `optimizer` floats
 * - `outgoing`, `landing`: scratch of the strategy's own sizes: what peers read, what peers write
 * - `state`: floats the strategy keeps across steps and that a checkpoint must hold (an anchor, an outer momentum)
 */
export type Arena = 'gradients' | 'parameters' | 'optimizer' | 'outgoing' | 'landing' | 'state'

/** Part of an arena, in floats. */
export interface Range {
  arena: Arena
  offset: number
  length: number
}

/** A trainer of a group. Its name is used once: a process that was restarted comes back under another. */
export interface Member {
  trainer: string
  /** The node that hosts it; trainers of one node are near one another. */
  node?: string
}

/** Who trains together, from one agreement to the next (design.md rule 3). */
export interface Group {
  job: string
  generation: number
  /** This trainer's own name. */
  self: string
  /**
   * Sorted by trainer. Synchronous: exactly the ranks. Asynchronous: the founders, who share the weight evenly; a trainer that is
   * not among them joins, and takes its parameters from a neighbour before its first step.
   */
  members: Member[]
  /** Index of `self` in `members`, −1 for a joiner. */
  rank: number
  /** Floats of the parameters. */
  size: number
  /** Floats behind the gradients (loss sum, denominator, correct) that are summed with them. */
  tail: number
  /** Floats of the local optimizer's state. */
  optimizer: number
  /**
   * Floats at the end of `size` that are running statistics, not weights. In arena `gradients` their place holds what the step changes in
   * them, times the tail's denominator: `apply` adds the mean, whatever the rate. They are averaged like weights; a rule that does more with
   * gradients or movements than average them (a rate, a momentum) must leave them out, since a variance may not overshoot. @default 0
   */
  statistics?: number
}

/**
 * What a strategy is told. Steps are counted from 1: step k is the one after which k steps are applied here.
 *
 * - `group`: a (new) generation starts after `step` applied steps; every earlier transfer, computation and timer is void
 * - `gradients`: what the effect `compute` with the same generation and step asked for lies in arena `gradients`. `samples` is the
 *   loss's own denominator here, which may be 0; `rate` the learning rate that `apply` will use; `last` says that the epochs end with
 *   this step (synchronous jobs, equal on all ranks)
 * - `idle`: there is nothing to train now; the computation stays asked for, and asking again is answered by `idle` again or by its
 *   gradients (asynchronous jobs)
 * - `landed`, `sent`: a transfer is whole in the receiver's range; the receiver has it, so that the sent range is free
 * - `failed`: a transfer broke; the sender does not know whether the receiver has it. Only an asynchronous strategy goes on after
 *   one: the driver of a synchronous one freezes
 * - `message`: a small message of a peer's strategy, ordered per pair; one may be lost where a connection breaks
 * - `peers`: who of the job's trainers lives (with or without this one), and who was declared dead or left since the last such
 *   event; when a partition heals, one that was declared dead may live again
 * - `freeze`: stop this generation for good; nothing more of it may be applied, the driver drops its transfers
 * - `leave`: this trainer goes in good order; hand on what must not be lost, then be `settled`
 * - `drain`: the epochs are over: bring into `parameters` what the model is made of, then be `settled`
 * - `timer`: a timer the strategy set
 */
export type StrategyEvent =
  | { type: 'group'; group: Group; step: number }
  | { type: 'gradients'; generation: number; step: number; samples: number; rate: number; last?: boolean }
  | { type: 'idle'; generation: number; step: number }
  | { type: 'landed'; id: string }
  | { type: 'sent'; id: string }
  | { type: 'failed'; id: string }
  | { type: 'message'; from: string; body: Uint8Array }
  | { type: 'peers'; alive: string[]; dead: string[] }
  | { type: 'freeze' }
  | { type: 'leave' }
  | { type: 'drain' }
  | { type: 'timer'; id: string }

/**
 * What a strategy asks for. The driver carries effects out strictly in order and gives the core no further event before all of a
 * step's effects are carried out (it may yield to other work between two). Arithmetic and `apply` are complete before the next
 * effect begins; `receive` and `send` only begin.
 *
 * - `receive`: name where the transfer `id` of peer `from` shall land; only then may the peer send it. The range is not touched
 *   by anyone else until `landed`, or until `cancel`
 * - `send`: send the range as transfer `id`; it stays untouched until `sent` or `cancel`. An id names one transfer from one
 *   trainer to another, both sides use the same. A `receive` over a range that is being sent is allowed where the peer cannot have
 *   the data for it before it has the whole of what is sent
 * - `reduce`: into[i] = from[i] + into[i], float32
 * - `copy`: into[i] = from[i]
 * - `blend`: into[i] += factor · (from[i] − into[i])
 * - `combine`: into[i] = alpha · into[i] + beta · from[i]
 * - `fill`: into[i] = value; `offset`: into[i] += value
 * - `multiply`: into[i] = from[i] · by[i]; `divide`: into[i] = from[i] / by[i], 0 where by[i] is 0. A `by` of one float stands for all
 * - `root`: into[i] = √(max(0, from[i]) + epsilon)
 * - `encode`: the codec's words of `from` (plus the residual, which is then what the words leave out) into `into`; `decode`: into[i] += the
 *   i-th float of the words. Words that no encoder writes add nothing
 * - `aggregate`: `from` holds vectors as long as `into`, one behind the other; the rule makes one of them
 * - `apply`: the optimizer applies arena `gradients` (scaled by 1 / the tail's denominator) to arena `parameters`, at `scale` times
 *   the rate (1 where absent; 0: not at all, since the gradients went elsewhere); now `step` steps are applied here
 * - `commit`: synchronous strategies with `rounds`: parameters, optimizer and arena `state` as they now are, after `step` steps, are
 *   what a freeze goes back to and a checkpoint holds
 * - `compute`: the arena `gradients` is free; compute the local gradients of `step` from the parameters as they are
 * - `cancel`: forget the transfer `id` in both roles; its range is free
 * - `report`: a figure for the metrics
 */
export type StrategyEffect =
  | { type: 'receive'; id: string; from: string; into: Range }
  | { type: 'send'; id: string; to: string; range: Range }
  | { type: 'reduce'; into: Range; from: Range }
  | { type: 'copy'; into: Range; from: Range }
  | { type: 'blend'; into: Range; from: Range; factor: number }
  | { type: 'combine'; into: Range; from: Range; alpha: number; beta: number }
  | { type: 'fill'; into: Range; value: number }
  | { type: 'offset'; into: Range; value: number }
  | { type: 'multiply' | 'divide'; into: Range; from: Range; by: Range }
  | { type: 'root'; into: Range; from: Range; epsilon: number }
  | { type: 'encode'; codec: string; from: Range; into: Range; residual?: Range; seed: number }
  | { type: 'decode'; codec: string; from: Range; into: Range }
  | { type: 'aggregate'; rule: string; from: Range; into: Range }
  | { type: 'apply'; step: number; scale?: number }
  | { type: 'commit'; step: number }
  | { type: 'compute'; generation: number; step: number }
  | { type: 'message'; to: string; body: Uint8Array }
  | { type: 'cancel'; id: string }
  | { type: 'report'; name: 'staleness' | 'weight'; value: number }
  | SetTimer
  | CancelTimer

/** Floats of scratch a strategy needs of the driver. */
export interface ArenaSizes {
  outgoing: number
  landing: number
  state: number
}

/** Options of a strategy as the job's specification holds them. */
export type StrategyOptions = Record<string, unknown>

/**
 * The one interface behind which every algorithm of exchange stands. A strategy is a protocol core: it does no I/O, reads no clock
 * and moves no bytes itself.
 */
export interface ExchangeStrategy<S = unknown> {
  readonly name: string
  /** Every rank applies the same steps in the same order, and a change of members needs a new generation. */
  readonly synchronous: boolean
  /**
   * Synchronous only: ranks take local steps that differ between two `commit`s. A freeze goes back to the last one, and votes compare
   * parameters alone, since optimizers differ. Without it every `apply` commits.
   */
  readonly rounds?: boolean
  /** @throws InvalidParametersError that names a wrong option and says what it may be */
  create(options: StrategyOptions): S
  /** What the driver allocates before it gives the `group` event. */
  arenas(state: S, group: Pick<Group, 'size' | 'tail' | 'optimizer' | 'members'>): ArenaSizes
  step(state: S, event: StrategyEvent, env: Env): StrategyEffect[]
  /** Nothing of this trainer is on its way or owed: its parameters (and weight) may be read as final. */
  settled(state: S): boolean
  /** What of the state a checkpoint holds, apart from arena `state`; survives JSON. */
  checkpoint(state: S): unknown
  /** @param saved - what {@link checkpoint} gave; from a file, so it is checked. @throws MalformedError */
  restore(options: StrategyOptions, saved: unknown): S
}

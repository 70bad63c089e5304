import { rendezvousOwner } from '../../../common/index.ts'
import { sliceBounds } from './collective.ts'
import type { ShardMessage } from './shard-messages.ts'
import type { Range, StrategyEffect, StrategyOptions } from './strategy.ts'

/** A gradient that has come to the owner of its shard, and what it works on. */
export interface Arrival {
  /** The shard's parameters. */
  master: Range
  /** The rule's own arrays, zeros at first. */
  aux: Range[]
  /** The pieces of what was pushed; the first is the rule's to spoil, and so is `scratch`. */
  pieces: Range[]
  scratch: Range
  /** τ: updates of the shard since the copy that the gradient was computed on. */
  staleness: number
  rate: number
  /** λ: trainers that take part. */
  trainers: number
  /** Gradients summed since the last update, this one included. */
  count: number
  /** Updates of the shard by this owner. */
  updates: number
}

/** What tells one strategy of member-owned shards from another. */
export interface ShardVariant<O> {
  name: string
  /** Options beside `shards` and `slots`. */
  known: readonly string[]
  options(options: StrategyOptions): O
  /** Arrays as long as the model that an owner keeps beside the parameters. */
  aux: number
  /** Arrays as long as the model that a trainer keeps for itself. */
  local?: number
  /** Arrays that a push holds: the gradient, and what `payload` puts behind it. @default 1 */
  pieces?: number
  /** Steps between two pushes, and between two fetches. */
  every(options: O): { push: number; fetch: number }
  /** What is pushed, before the local step; the mean gradient where absent. */
  payload?(options: O, parts: LocalParts): StrategyEffect[]
  /** What is pushed, after the local step. */
  pushed?(options: O, parts: LocalParts): StrategyEffect[]
  /** The local step; where absent the local copy changes by what is fetched alone. */
  localStep?(options: O, parts: LocalParts): { effects: StrategyEffect[]; scale: number }
  /** A shard came back: what becomes of the local copy; it is overwritten where absent. */
  fetched?(options: O, into: Range, from: Range): StrategyEffect[]
  /** The owner's rule. @returns whether it made an update, which the shard's clock counts */
  arrived(options: O, arrival: Arrival): { effects: StrategyEffect[]; updated: boolean }
  /** The owner answers with the shard as it was before the push. */
  before?: boolean
  /** SSP: how far the fastest trainer may be ahead of the slowest. */
  bound?(options: O): number
}

/** Arrays of a trainer's own, each as long as the model. */
export interface LocalParts {
  /** Gradients of the summed loss, and the float they are divided by. */
  gradients: Range
  denominator: Range
  parameters: Range
  /** What is pushed, piece by piece. */
  outgoing: Range[]
  local: Range[]
  rate: number
  /** The first step after a push. */
  first: boolean
}

/** What this trainer waits for from the owner of a shard. */
export interface Request {
  kind: 'push' | 'exchange' | 'fetch'
  shard: number
  owner: string
  attempt: number
  /** Pieces of the gradient that are on their way. */
  sending: Set<string>
  landed: boolean
  clock: number | undefined
  /** The owner has the gradient. */
  done: boolean
  /** A transfer broke; a piece of the gradient. */
  broken: boolean
  lost: boolean
  /** Names of its transfers; none where the owner is this trainer. */
  pieces: string[]
  reply: string
}

/** What has come to an owner. */
export interface Incoming extends ShardMessage {
  from: string
  slot: number | undefined
  /** Transfers of it that are still to land; and whether none is. */
  missing: Set<string>
  landed: boolean
}

/** A shard that this trainer owns. */
export interface Owned {
  clock: number
  /** By this owner and those whose arrays it took over; 0 where they began anew. */
  updates: number
  /** Gradients in the sum that makes the next update. */
  count: number
  /** Last request applied, by trainer. */
  last: Map<string, number>
  /** Gradients so far, by trainer; Infinity for one that rests. */
  progress: Map<string, number>
  /** Answers that wait for the slowest. */
  held: Incoming[]
  /** Not yet whole: who was asked, and what they have. */
  rebuilding?: { asked: Set<string>; best: { from: string; clock: number; whole: boolean }; giving?: Set<string> }
}

export interface ShardsState<O = unknown> {
  options: O
  variant: ShardVariant<O>
  shards: number
  slots: number
  self: string
  job: string
  /** Floats of the model that are trained, and of all. */
  size: number
  whole: number
  generation: number
  phase: 'new' | 'joining' | 'training' | 'left' | 'frozen'
  step: number
  rate: number
  neighbours: string[]
  taking: Set<string>
  /** Live trainers that have not answered this one's hello. */
  unheard: Set<string>
  /** Requests of the present step, by shard. */
  requests: Request[]
  seq: number
  /** Clock of the last fetched copy of each shard. */
  clocks: number[]
  resting: boolean
  over: boolean
  draining: boolean
  owned: Map<number, Owned>
  incoming: Incoming[]
  freeLandings: number[]
  /** Copies of shards that peers read, by slot: who still does. */
  replies: { sending: Set<string> }[]
}

/** Floats of the longest shard. */
export const longest = ({ size, shards }: { size: number; shards: number }) => Math.ceil(size / shards) + 1

/** Shard s of `array` copies of the model that begin at `base` of `arena`. */
export function part({ shards, size }: ShardsState, shard: number, arena: Range['arena'], base = 0, array = 0): Range {
  const [start, end] = sliceBounds(shard, shards, size)
  return { arena, offset: base + array * size + start, length: end - start }
}

export const masterOf = (s: ShardsState, shard: number) => part(s, shard, 'state')
/** The last fetched copy, whatever became of the local one. */
export const copyOf = (s: ShardsState, shard: number) => part(s, shard, 'state', 0, 1)
export const auxOf = (s: ShardsState, shard: number) => Array.from({ length: s.variant.aux }, (_, i) => part(s, shard, 'state', 0, 2 + i))
export const localOf = ({ variant, size }: ShardsState): Range[] =>
  Array.from({ length: variant.local ?? 0 }, (_, i) => ({ arena: 'state', offset: (2 + variant.aux + i) * size, length: size }))
export const piecesOf = (s: ShardsState) => s.variant.pieces ?? 1

/** Where the pieces of incoming push number `slot` land, behind the landings of the own fetches. */
export function slotOf(s: ShardsState, shard: number, slot: number): Range[] {
  const { length } = masterOf(s, shard)
  const each = longest(s)
  return Array.from({ length: piecesOf(s) }, (_, i) => ({
    arena: 'landing',
    offset: s.size + (slot * piecesOf(s) + i) * each,
    length
  }))
}

/** Reply slot number `slot`, behind what is pushed; the scratch of rules is the one behind the last. */
export function replyOf(s: ShardsState, shard: number, slot: number): Range {
  return { arena: 'outgoing', offset: piecesOf(s) * s.size + slot * longest(s), length: masterOf(s, shard).length }
}

/** Who owns a shard: the first of those that take part in rendezvous order, so that a change of them moves only what it must. */
export function ownerOf({ job, taking }: ShardsState, shard: number): string | undefined {
  return rendezvousOwner(`${job}/shard/${shard}`, taking)
}

export const transferOf = (kind: 'g' | 'r', piece: number, shard: number, seq: number, attempt: number, client: string) =>
  `${kind}${piece}.${shard}.${seq}.${attempt}.${client}`

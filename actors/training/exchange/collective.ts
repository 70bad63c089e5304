import type { Action, Algorithm } from './programs.ts'
import type { Arena, Range, StrategyEffect } from './strategy.ts'

/** Floats of a segment: 256 KiB, one chunk of a bulk channel. */
export const SEGMENT = 64 * 1024

/** What {@link collective} sums, and over whom. */
export interface CollectiveInit {
  /** Prefix of every transfer's id; different for every collective that may be under way between two trainers. */
  key: string
  trainers: string[]
  rank: number
  algorithm: Algorithm
  /** The arena whose floats [0, length) are summed in place. */
  arena: Arena
  length: number
  /** First float of arena `landing` that is this collective's; it needs {@link landingOf} from there. */
  landing?: number
  /** Floats of a segment. @default SEGMENT */
  segment?: number
}

/** One piece of the array on its way through its program. */
interface Segment {
  index: number
  range: Range
  actions: Action[]
  /** The action it is at. */
  at: number
  /** Landing range and id of each `reduce` action, by action; a landing is free again once it was reduced. */
  landing: Map<number, Range>
  landed: Set<number>
}

/**
 * An allreduce of one arena, repeated round after round over the same ranks: every segment walks its own program, so that sending,
 * receiving and reducing of different segments overlap, and the order of a segment's additions is the program's, whatever the order
 * of arrival.
 *
 * Landing ranges of round k+1 are named as soon as round k has reduced what lay there, which is before any peer can begin
 * round k+1: a fast peer's first segments land while this rank still computes.
 */
export interface Collective {
  readonly init: CollectiveInit
  round: number
  /** The local contribution of `round` lies in the arena. */
  ready: boolean
  segments: Segment[]
  /** Segments whose sum is not in hand. */
  unfinished: number
  /** Transfers given to the driver that peers have not got yet. */
  sending: Map<string, Segment>
  /** Landings of this round and the next, by id. */
  expected: Map<string, { segment: Segment; action: number; round: number }>
  /** Landings of the next round that came early. */
  early: Map<Segment, number[]>
}

/** Floats of landing space that {@link collective} needs: at most what is summed. */
export function landingOf(init: Pick<CollectiveInit, 'algorithm' | 'length' | 'rank'> & { world: number }): number {
  let floats = 0
  for (let slice = 0; slice < init.world; slice++) {
    const [start, end] = sliceBounds(slice, init.world, init.length)
    for (const action of init.algorithm.program(slice, init.rank, init.world)) if (action.kind === 'reduce') floats += end - start
  }
  return floats
}

/** Slice r of n floats over p ranks is [⌊r·n/p⌋, ⌊(r+1)·n/p⌋). */
export function sliceBounds(slice: number, world: number, length: number): [number, number] {
  return [Math.floor((slice * length) / world), Math.floor(((slice + 1) * length) / world)]
}

/** A collective before its first round; `effects` receives the naming of the first round's landings. */
export function collective(init: CollectiveInit, round: number, effects: StrategyEffect[]): Collective {
  const c: Collective = {
    init,
    round,
    ready: false,
    segments: segmentsOf(init),
    unfinished: 0,
    sending: new Map(),
    expected: new Map(),
    early: new Map()
  }
  c.unfinished = c.segments.length
  for (const segment of c.segments) for (const action of segment.landing.keys()) expectReduce(c, segment, action, round, effects)
  return c
}

/** The local contribution of the current round is in the arena. */
export function contribute(c: Collective, effects: StrategyEffect[]): void {
  c.ready = true
  for (const segment of c.segments) advance(c, segment, effects)
}

/** A transfer is whole. @returns whether it was one of this collective's */
export function collectiveLanded(c: Collective, id: string, effects: StrategyEffect[]): boolean {
  const expected = c.expected.get(id)
  if (expected === undefined) return false
  c.expected.delete(id)
  const { segment, action, round } = expected
  if (round === c.round) {
    segment.landed.add(action)
    if (c.ready) advance(c, segment, effects)
  } else {
    c.early.set(segment, [...(c.early.get(segment) ?? []), action])
  }
  return true
}

/** A peer has what was sent. @returns whether it was one of this collective's */
export function collectiveSent(c: Collective, id: string, effects: StrategyEffect[]): boolean {
  const segment = c.sending.get(id)
  if (segment === undefined) return false
  c.sending.delete(id)
  if (c.ready) advance(c, segment, effects)
  return true
}

/** The whole sum is in hand. */
export function inHand(c: Collective): boolean {
  return c.ready && c.unfinished === 0
}

/** The whole sum is in hand and every peer has what this rank owed it: the arena is free. */
export function roundOver(c: Collective): boolean {
  return inHand(c) && c.sending.size === 0
}

/** Goes on to the next round; the current one is over. */
export function nextRound(c: Collective): void {
  c.round++
  c.ready = false
  c.unfinished = c.segments.length
  for (const segment of c.segments) {
    segment.at = 0
    segment.landed.clear()
    for (const action of c.early.get(segment) ?? []) segment.landed.add(action)
  }
  c.early.clear()
}

function segmentsOf(init: CollectiveInit): Segment[] {
  const world = init.trainers.length
  const size = init.segment ?? SEGMENT
  // an index must be the same on every rank, whatever the order in which a rank works
  const first: number[] = []
  let count = 0
  for (let slice = 0; slice < world; slice++) {
    const [start, end] = sliceBounds(slice, world, init.length)
    first.push(count)
    count += Math.ceil((end - start) / size)
  }
  let landing = init.landing ?? 0
  const segments: Segment[] = []
  for (const slice of init.algorithm.order(init.rank, world)) {
    const actions = init.algorithm.program(slice, init.rank, world)
    if (actions.length === 0) continue
    const [start, end] = sliceBounds(slice, world, init.length)
    for (let offset = start, i = 0; offset < end; offset += size, i++) {
      const length = Math.min(size, end - offset)
      const segment: Segment = {
        index: first[slice] + i,
        range: { arena: init.arena, offset, length },
        actions,
        at: 0,
        landing: new Map(),
        landed: new Set()
      }
      actions.forEach((action, at) => {
        if (action.kind !== 'reduce') return
        segment.landing.set(at, { arena: 'landing', offset: landing, length })
        landing += length
      })
      segments.push(segment)
    }
  }
  return segments
}

function idOf(c: Collective, round: number, segment: Segment, phase: 'reduce' | 'place', from: number, to: number): string {
  return `${c.init.key}.${round}.${phase[0]}${segment.index}.${from}-${to}`
}

function expectReduce(c: Collective, segment: Segment, action: number, round: number, effects: StrategyEffect[]): void {
  const { peer } = segment.actions[action]
  const id = idOf(c, round, segment, 'reduce', peer, c.init.rank)
  c.expected.set(id, { segment, action, round })
  effects.push({ type: 'receive', id, from: c.init.trainers[peer], into: segment.landing.get(action)! })
}

function expectPlace(c: Collective, segment: Segment, action: number, effects: StrategyEffect[]): void {
  const { peer } = segment.actions[action]
  const id = idOf(c, c.round, segment, 'place', peer, c.init.rank)
  c.expected.set(id, { segment, action, round: c.round })
  effects.push({ type: 'receive', id, from: c.init.trainers[peer], into: segment.range })
}

function advance(c: Collective, segment: Segment, effects: StrategyEffect[]): void {
  if (segment.at === segment.actions.length) return
  while (segment.at < segment.actions.length) {
    const action = segment.actions[segment.at]
    if (action.kind === 'send') {
      const id = idOf(c, c.round, segment, action.phase, c.init.rank, action.peer)
      c.sending.set(id, segment)
      effects.push({ type: 'send', id, to: c.init.trainers[action.peer], range: segment.range })
      // the peer cannot have the whole sum before it has this part of it, so the range may be named at once
      if (segment.actions[segment.at + 1]?.kind === 'place') expectPlace(c, segment, segment.at + 1, effects)
    } else {
      if (!segment.landed.has(segment.at)) return
      // two that swap partial sums each still read what is to be added to
      const before = segment.actions[segment.at - 1]
      if (action.kind === 'reduce' && before?.kind === 'send') {
        if (c.sending.has(idOf(c, c.round, segment, before.phase, c.init.rank, before.peer))) return
      }
      if (action.kind === 'reduce') {
        effects.push({ type: 'reduce', into: segment.range, from: segment.landing.get(segment.at)! })
        expectReduce(c, segment, segment.at, c.round + 1, effects)
      }
    }
    segment.at++
  }
  c.unfinished--
}

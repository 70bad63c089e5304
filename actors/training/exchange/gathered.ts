import { aggregationNamed } from './aggregation.ts'
import { type Codec, codecNamed } from './codecs.ts'
import { booleanOption, numberOption } from './options.ts'
import type { ArenaSizes, Group, Range, StrategyEffect, StrategyEvent, StrategyOptions } from './strategy.ts'

/**
 * The form of allreduce in which every rank sends what it has to every other, and all make the same of it, rank by rank: for gradients in a
 * codec, which cannot be summed on their way, and for aggregations that need each rank's own.
 */
export interface Gathered {
  codec: string
  rule: string | undefined
  /** β of a momentum that each rank keeps of its own gradients. */
  momentum: number
  feedback: boolean
  group?: Group
  words: number
  step: number
  ready: boolean
  applied: boolean
  landed: Set<number>
  sending: Set<string>
}

/** @returns undefined where the sum may be made on the way */
export function gatheredBy(name: string, options: StrategyOptions): Gathered | undefined {
  const { codec, aggregate } = options
  const feedback = booleanOption(name, options, 'error-feedback', true)
  const momentum = numberOption(name, options, 'trainer-momentum', 0, { from: 0, below: 1 })
  if (aggregate !== undefined) aggregationNamed(String(aggregate))
  codecNamed(String(codec ?? 'none'))
  if (codec === undefined && aggregate === undefined && momentum === 0) return undefined
  const rule = aggregate === undefined ? undefined : String(aggregate)
  const fresh = { words: 0, step: 0, ready: false, applied: false }
  return { codec: String(codec ?? 'none'), rule, momentum, feedback, ...fresh, landed: new Set(), sending: new Set() }
}

const codecOf = (g: Gathered): Codec => codecNamed(g.codec)

/** outgoing: words and tail; landing: those of each rank, then each rank's vector for a rule; state: residual, result, momentum */
export function gatheredArenas(g: Gathered, { size, tail, members }: Pick<Group, 'size' | 'tail' | 'members'>): ArenaSizes {
  const each = codecOf(g).words(size) + tail
  return { outgoing: each, landing: members.length * (each + (g.rule === undefined ? 0 : size)), state: 3 * size }
}

export function gatheredStep(g: Gathered, event: StrategyEvent): StrategyEffect[] {
  const effects: StrategyEffect[] = []
  const { group } = g
  if (event.type === 'group') {
    Object.assign(g, { group: event.group, words: codecOf(g).words(event.group.size), step: event.step })
    g.sending.clear()
    nextRound(g, effects)
    compute(g, effects)
  } else if (event.type === 'freeze') delete g.group
  else if (group === undefined) return effects
  else if (event.type === 'gradients') {
    if (event.generation !== group.generation || event.step !== g.step + 1 || g.ready) return effects
    contribute(g, group, effects)
  } else if (event.type === 'landed') {
    const rank = group.members.findIndex((_, r) => idOf(g, group, r, group.rank) === event.id)
    if (rank < 0) return effects
    g.landed.add(rank)
    progress(g, group, effects)
  } else if (event.type === 'sent' && g.sending.delete(event.id)) compute(g, effects)
  return effects
}

export const gatheredSettled = ({ group, ready, sending }: Gathered) => group === undefined || (!ready && sending.size === 0)

const idOf = ({ step }: Gathered, { generation }: Group, from: number, to: number) => `g${generation}.${step + 1}.${from}-${to}`
const eachOf = (g: Gathered, { tail }: Group) => g.words + tail
const landingOf = (g: Gathered, group: Group, rank: number): Range => ({
  arena: 'landing',
  offset: rank * eachOf(g, group),
  length: eachOf(g, group)
})
const vectorOf = (g: Gathered, group: Group, rank: number): Range => ({
  arena: 'landing',
  offset: group.members.length * eachOf(g, group) + rank * group.size,
  length: group.size
})
const stateOf = ({ size }: Group, array: number): Range => ({ arena: 'state', offset: array * size, length: size })
const part = (range: Range, offset: number, length: number): Range => ({ ...range, offset: range.offset + offset, length })

/** Names where the next round's words shall land. */
function nextRound(g: Gathered, effects: StrategyEffect[]): void {
  const group = g.group!
  g.ready = false
  g.landed = new Set([group.rank])
  group.members.forEach(({ trainer }, rank) => {
    if (rank === group.rank) return
    effects.push({ type: 'receive', id: idOf(g, group, rank, group.rank), from: trainer, into: landingOf(g, group, rank) })
  })
  g.applied = true
}

function contribute(g: Gathered, group: Group, effects: StrategyEffect[]): void {
  const { size, tail, rank, members } = group
  g.ready = true
  g.applied = false
  const own: Range = { arena: 'gradients', offset: 0, length: size }
  const outgoing: Range = { arena: 'outgoing', offset: 0, length: eachOf(g, group) }
  let from = own
  if (g.rule !== undefined || g.momentum > 0) {
    effects.push({ type: 'divide', into: own, from: own, by: { arena: 'gradients', offset: size + 1, length: 1 } })
  }
  if (g.momentum > 0) {
    from = stateOf(group, 2)
    effects.push({ type: 'combine', into: from, from: own, alpha: g.momentum, beta: 1 - g.momentum })
  }
  const feedback = g.feedback && codecOf(g).feedback
  const seed = (g.step + 1) * members.length + rank
  effects.push(
    {
      type: 'encode',
      codec: g.codec,
      from,
      into: part(outgoing, 0, g.words),
      seed,
      ...(feedback ? { residual: stateOf(group, 0) } : {})
    },
    { type: 'copy', into: part(outgoing, g.words, tail), from: { arena: 'gradients', offset: size, length: tail } },
    { type: 'copy', into: landingOf(g, group, rank), from: outgoing }
  )
  members.forEach(({ trainer }, other) => {
    if (other === rank) return
    const id = idOf(g, group, rank, other)
    g.sending.add(id)
    effects.push({ type: 'send', id, to: trainer, range: outgoing })
  })
  progress(g, group, effects)
}

function progress(g: Gathered, group: Group, effects: StrategyEffect[]): void {
  const { size, tail, members } = group
  if (!g.ready || g.landed.size < members.length) return
  const sum: Range = { arena: 'gradients', offset: 0, length: size }
  const tails: Range = { arena: 'gradients', offset: size, length: tail }
  effects.push({ type: 'fill', into: { ...sum, length: size + tail }, value: 0 })
  members.forEach((_, rank) => {
    const words = landingOf(g, group, rank)
    const into = g.rule === undefined ? sum : vectorOf(g, group, rank)
    if (g.rule !== undefined) effects.push({ type: 'fill', into, value: 0 })
    effects.push({ type: 'decode', codec: g.codec, from: part(words, 0, g.words), into })
    effects.push({ type: 'reduce', into: tails, from: part(words, g.words, tail) })
  })
  // the optimizer divides by the samples of all
  const samples = part(tails, 1, 1)
  if (g.rule !== undefined) {
    const result = stateOf(group, 1)
    const vectors: Range = { ...vectorOf(g, group, 0), length: members.length * size }
    effects.push({ type: 'aggregate', rule: g.rule, from: vectors, into: result })
    effects.push({ type: 'multiply', into: sum, from: result, by: samples })
  } else if (g.momentum > 0) {
    effects.push({ type: 'combine', into: sum, from: sum, alpha: 0, beta: 1 / members.length })
    effects.push({ type: 'multiply', into: sum, from: sum, by: samples })
  }
  g.step++
  effects.push({ type: 'apply', step: g.step })
  nextRound(g, effects)
  compute(g, effects)
}

/** What was sent is there, and the round is over: the next gradients. */
function compute(g: Gathered, effects: StrategyEffect[]): void {
  if (!g.applied || g.ready || g.sending.size > 0) return
  g.applied = false
  effects.push({ type: 'compute', generation: g.group!.generation, step: g.step + 1 })
}

import { type ShardMessage, tellShard } from './shard-messages.ts'
import { request } from './shard-owner.ts'
import { copyOf, ownerOf, part, type Request, type ShardsState, transferOf } from './shard-state.ts'
import type { StrategyEffect } from './strategy.ts'

/** What is unanswered is looked at again after this long, ms. */
const AGAIN = 500

/** Asks the owners of all shards. */
export function ask(state: ShardsState, kind: Request['kind'], effects: StrategyEffect[]): void {
  state.seq++
  state.requests = []
  for (let shard = 0; shard < state.shards; shard++) {
    const owner = ownerOf(state, shard)
    // a newcomer that knows nobody is told of some
    if (owner === undefined) {
      state.requests = []
      return
    }
    const fresh = {
      sending: new Set<string>(),
      landed: false,
      clock: undefined,
      done: false,
      broken: false,
      lost: false,
      pieces: [],
      reply: ''
    }
    state.requests.push({ kind, shard, owner, attempt: 0, ...fresh })
  }
  for (const r of state.requests) begin(state, r, effects)
  effects.push({ type: 'setTimer', id: 'again', delay: AGAIN })
}

function named({ self, seq, variant }: ShardsState, r: Request): void {
  const { shard, attempt } = r
  r.pieces = Array.from({ length: variant.pieces ?? 1 }, (_, piece) => transferOf('g', piece, shard, seq, attempt, self))
  r.reply = transferOf('r', 0, shard, seq, attempt, self)
}

function begin(state: ShardsState, r: Request, effects: StrategyEffect[]): void {
  const { seq, self, rate } = state
  const message: ShardMessage = { type: r.kind, shard: r.shard, seq, attempt: r.attempt, clock: state.clocks[r.shard] ?? 0, value: rate }
  if (r.owner === self) {
    request(state, self, message, effects)
    return
  }
  named(state, r)
  const { pieces, reply } = r
  if (r.kind !== 'push') effects.push({ type: 'receive', id: reply, from: r.owner, into: part(state, r.shard, 'landing') })
  tellShard(r.owner, message, effects)
  if (r.kind === 'fetch' || r.done) return
  r.sending = new Set(pieces)
  for (const [i, id] of pieces.entries()) effects.push({ type: 'send', id, to: r.owner, range: part(state, r.shard, 'outgoing', 0, i) })
}

/** Asks again what was not answered: its owner may be another now, and a message may be lost. */
export function askAgain(state: ShardsState, effects: StrategyEffect[]): void {
  if (state.requests.length === 0) return
  for (const r of state.requests) {
    const owner = isDone(state, r) ? undefined : ownerOf(state, r.shard)
    if (owner === undefined) continue
    if (owner !== r.owner || r.broken || (r.landed && r.clock === undefined)) again(state, r, owner, effects)
    else retell(state, r, effects)
  }
  effects.push({ type: 'setTimer', id: 'again', delay: AGAIN })
}

/** Under the same number, so that it is done once: its transfers still wait. */
function retell(state: ShardsState, r: Request, effects: StrategyEffect[]): void {
  const { seq, self, rate } = state
  const message: ShardMessage = { type: r.kind, shard: r.shard, seq, attempt: r.attempt, clock: state.clocks[r.shard] ?? 0, value: rate }
  if (r.owner === self) request(state, self, message, effects)
  else tellShard(r.owner, message, effects)
}

/** With transfers of another name. */
function again(state: ShardsState, r: Request, owner: string, effects: StrategyEffect[]): void {
  forget(state, r, effects)
  // a gradient that its owner has is not sent to it twice
  const done = r.done && !r.lost && owner === r.owner
  Object.assign(r, { owner, attempt: (r.attempt + 1) & 0xffff, landed: false, clock: undefined, broken: false, lost: false, done })
  begin(state, r, effects)
}

function forget(state: ShardsState, r: Request, effects: StrategyEffect[]): void {
  if (r.owner === state.self) return
  if (r.kind !== 'push' && !r.landed) effects.push({ type: 'cancel', id: r.reply })
  for (const id of r.sending) effects.push({ type: 'cancel', id })
  r.sending.clear()
}

export function moved(state: ShardsState, from: string, { shard, seq, attempt }: ShardMessage, effects: StrategyEffect[]): void {
  const r = state.requests.find(x => x.shard === shard)
  if (r === undefined || seq !== state.seq || attempt !== r.attempt || r.owner !== from || isDone(state, r)) return
  const owner = ownerOf(state, shard)
  if (owner !== undefined && owner !== from) again(state, r, owner, effects)
}

export function replied(state: ShardsState, from: string, { shard, seq, attempt, clock }: ShardMessage): void {
  const r = state.requests.find(x => x.shard === shard)
  if (r !== undefined && r.owner === from && seq === state.seq && attempt === r.attempt) Object.assign(r, { clock, done: true })
}

export function landedReply(state: ShardsState, id: string): boolean {
  const r = state.requests.find(x => !x.landed && x.reply === id)
  if (r !== undefined) r.landed = true
  return r !== undefined
}

export function sentRequest(state: ShardsState, id: string): void {
  // Pieces may arrive in any order: it is done with the last of them.
  for (const r of state.requests) if (r.sending.delete(id) && r.sending.size === 0) r.done = true
}

/** A transfer broke: asked again when the timer fires, so that a broken channel is not tried in a loop. */
export function brokenRequest(state: ShardsState, id: string): void {
  for (const r of state.requests) {
    const { pieces, reply } = r
    const lost = pieces.includes(id)
    if ((reply === id && !r.landed) || lost) r.broken = true
    if (lost) r.lost = true
  }
}

function isDone(state: ShardsState, r: Request): boolean {
  // an answer says that the owner needs the gradient no more
  if (r.kind !== 'push') return r.landed && r.clock !== undefined
  return r.owner === state.self ? !state.incoming.some(i => i.from === state.self && i.shard === r.shard) : r.done
}

export function complete(state: ShardsState): boolean {
  return state.requests.length > 0 && state.requests.every(r => isDone(state, r))
}

/** Takes up what came back. */
export function fetched(state: ShardsState, effects: StrategyEffect[]): void {
  const { variant, options } = state
  for (const r of state.requests) {
    forget(state, r, effects)
    if (r.kind === 'push') continue
    const from = part(state, r.shard, 'landing')
    const into = part(state, r.shard, 'parameters')
    effects.push({ type: 'copy', into: copyOf(state, r.shard), from })
    effects.push(...(variant.fetched?.(options, into, from) ?? [{ type: 'copy', into, from }]))
    state.clocks[r.shard] = r.clock!
  }
  state.requests = []
  effects.push({ type: 'cancelTimer', id: 'again' })
}

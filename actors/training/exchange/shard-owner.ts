import { type ShardMessage, tellShard } from './shard-messages.ts'
import {
  auxOf,
  copyOf,
  type Incoming,
  masterOf,
  type Owned,
  ownerOf,
  part,
  piecesOf,
  replyOf,
  type ShardsState,
  slotOf,
  transferOf
} from './shard-state.ts'
import type { StrategyEffect } from './strategy.ts'

/** Pushes that an owner has in hand at once: one of each trainer and shard, and as many again of a faulty one. */
const MAX_INCOMING = 65_536
/** How long an owner waits to hear what others have, ms. */
export const REBUILD = 1000

export function freshOwned(clock: number): Owned {
  return { clock, updates: 0, count: 0, last: new Map(), progress: new Map(), held: [] }
}

/** A push or a fetch of a peer, or of this trainer itself. */
export function request(state: ShardsState, from: string, message: ShardMessage, effects: StrategyEffect[]): void {
  const { shard, seq, attempt } = message
  const owned = state.owned.get(shard)
  if (owned === undefined) {
    if (ownerOf(state, shard) !== state.self && from !== state.self) tellShard(from, { type: 'moved', shard, seq, attempt }, effects)
    return
  }
  const same = (i: { from: string; seq: number; attempt: number }) => i.from === from && i.seq === seq && i.attempt === attempt
  const reply = transferOf('r', 0, shard, seq, attempt, from)
  // told again: it is on its way
  if (state.incoming.some(i => i.shard === shard && same(i)) || owned.held.some(same) || state.replies.some(r => r.sending.has(reply)))
    return
  // an answer to an earlier attempt is not waited for any more, and would hold its place for ever
  for (const { sending } of state.replies) {
    for (const id of sending) {
      if (!id.startsWith(`r0.${shard}.`) || !id.endsWith(`.${from}`)) continue
      effects.push({ type: 'cancel', id })
      sending.delete(id)
    }
  }
  for (const old of state.incoming.filter(i => i.from === from && i.shard === shard)) {
    if (old.seq === seq && old.landed && old.slot !== undefined) {
      // the gradient is here; only the answer goes by the later attempt's name
      Object.assign(old, { attempt })
      return
    }
    drop(state, old, effects)
  }
  if (state.incoming.length >= MAX_INCOMING) return
  const bare = message.type === 'fetch' || from === state.self || seq <= (owned.last.get(from) ?? 0)
  state.incoming.push({ ...message, from, slot: undefined, missing: new Set(), landed: bare })
}

/** Forgets a push that will not land. */
function drop(state: ShardsState, incoming: Incoming, effects: StrategyEffect[]): void {
  state.incoming.splice(state.incoming.indexOf(incoming), 1)
  const { slot, missing } = incoming
  if (slot === undefined) return
  state.freeLandings.push(slot)
  for (const id of missing) effects.push({ type: 'cancel', id })
}

export function landedPush(state: ShardsState, id: string): boolean {
  const found = state.incoming.find(i => i.missing.delete(id))
  if (found !== undefined && found.missing.size === 0) found.landed = true
  return found !== undefined
}

export function brokenPush(state: ShardsState, id: string, effects: StrategyEffect[]): void {
  for (const i of [...state.incoming]) if (i.missing.has(id)) drop(state, i, effects)
  replySent(state, id)
}

export function replySent(state: ShardsState, id: string): void {
  for (const { sending } of state.replies) sending.delete(id)
}

/** Does what has come and can be done: names landings, applies what landed, answers. */
export function work(state: ShardsState, effects: StrategyEffect[]): void {
  for (const i of state.incoming) {
    if (i.landed || i.slot !== undefined || state.freeLandings.length === 0) continue
    i.slot = state.freeLandings.shift()!
    slotOf(state, i.shard, i.slot).forEach((into, piece) => {
      const id = transferOf('g', piece, i.shard, i.seq, i.attempt, i.from)
      i.missing.add(id)
      effects.push({ type: 'receive', id, from: i.from, into })
    })
  }
  for (const incoming of [...state.incoming]) {
    const owned = state.owned.get(incoming.shard)
    if (owned === undefined) drop(state, incoming, effects)
    else if (incoming.landed && owned.rebuilding === undefined) {
      // an answer is a copy of the shard at this very moment, which needs a place
      const free = state.replies.findIndex(r => r.sending.size === 0)
      if (free < 0) return
      handle(state, owned, incoming, free, effects)
    }
  }
}

function handle(state: ShardsState, owned: Owned, incoming: Incoming, free: number, effects: StrategyEffect[]): void {
  const { shard, from, seq, type } = incoming
  const { variant } = state
  const fresh = type !== 'fetch' && seq > (owned.last.get(from) ?? 0)
  const answers: Incoming[] = []
  if (variant.before && type !== 'push') answers.push(incoming)
  if (answers.length > 0) answer(state, owned, answers, free, effects)
  if (fresh) {
    owned.last.set(from, seq)
    const staleness = Math.max(0, owned.clock - incoming.clock)
    const pieces =
      from === state.self
        ? Array.from({ length: piecesOf(state) }, (_, i) => part(state, shard, 'outgoing', 0, i))
        : slotOf(state, shard, incoming.slot!)
    owned.count++
    const { effects: rule, updated } = variant.arrived(state.options, {
      master: masterOf(state, shard),
      aux: auxOf(state, shard),
      pieces,
      scratch: replyOf(state, shard, state.replies.length),
      staleness,
      rate: incoming.value,
      trainers: state.taking.size,
      count: owned.count,
      updates: owned.updates
    })
    effects.push(...rule, { type: 'report', name: 'staleness', value: staleness })
    if (updated) {
      owned.clock++
      owned.updates++
      owned.count = 0
    }
    const before = owned.progress.get(from) ?? 0
    owned.progress.set(from, Number.isFinite(before) ? before + 1 : Math.max(1, fastest(owned)))
  } else if (type === 'push' && from !== state.self) {
    tellShard(from, { type: 'reply', shard, seq, attempt: incoming.attempt, clock: owned.clock }, effects)
  }
  if (incoming.slot !== undefined) state.freeLandings.push(incoming.slot)
  state.incoming.splice(state.incoming.indexOf(incoming), 1)
  if (type === 'push' || variant.before) return
  owned.held.push(incoming)
  release(state, owned, free, effects)
}

const fastest = ({ progress }: Owned) => Math.max(0, ...[...progress.values()].filter(Number.isFinite))

/** Answers whoever is no further ahead of the slowest than allowed, all with one copy. */
export function release(state: ShardsState, owned: Owned, free: number, effects: StrategyEffect[]): void {
  const bound = state.variant.bound?.(state.options) ?? Number.POSITIVE_INFINITY
  let slowest = Number.POSITIVE_INFINITY
  for (const name of state.taking) slowest = Math.min(slowest, owned.progress.get(name) ?? 0)
  const ready = owned.held.filter(i => i.type === 'fetch' || (owned.progress.get(i.from) ?? 0) - slowest <= bound)
  owned.held = owned.held.filter(i => !ready.includes(i))
  if (ready.length > 0) answer(state, owned, ready, free, effects)
}

/** Who trains has changed: whoever waited for one of them may go on. */
export function releaseAll(state: ShardsState, effects: StrategyEffect[]): void {
  for (const owned of state.owned.values()) {
    const free = state.replies.findIndex(r => r.sending.size === 0)
    // held answers go out with the next request there is room for
    if (free < 0) return
    release(state, owned, free, effects)
  }
}

function answer(state: ShardsState, owned: Owned, to: Incoming[], free: number, effects: StrategyEffect[]): void {
  const { shard } = to[0]!
  const master = masterOf(state, shard)
  const range = replyOf(state, shard, free)
  if (to.some(i => i.from !== state.self)) effects.push({ type: 'copy', into: range, from: master })
  for (const { from, seq, attempt } of to) {
    if (from === state.self) {
      effects.push({ type: 'copy', into: { ...master, arena: 'landing' }, from: master })
      const request = state.requests.find(r => r.shard === shard && r.attempt === attempt)
      if (request !== undefined) Object.assign(request, { landed: true, clock: owned.clock })
      continue
    }
    const id = transferOf('r', 0, shard, seq, attempt, from)
    state.replies[free]!.sending.add(id)
    tellShard(from, { type: 'reply', shard, seq, attempt, clock: owned.clock }, effects)
    effects.push({ type: 'send', id, to: from, range })
  }
}

// --- a shard that comes to a new owner ---

const giveOf = (piece: number, shard: number, from: string, to: string) => `o${piece}.${shard}.${from}>${to}`

/** Takes over what this trainer owns now, and begins to ask for what it does not have. */
export function takeOver(state: ShardsState, effects: StrategyEffect[]): void {
  for (let shard = 0; shard < state.shards; shard++) {
    if (ownerOf(state, shard) !== state.self || state.owned.has(shard)) continue
    const owned = freshOwned(0)
    const asked = new Set([...state.taking].filter(name => name !== state.self))
    owned.rebuilding = { asked, best: { from: state.self, clock: state.clocks[shard] ?? 0, whole: false } }
    state.owned.set(shard, owned)
    for (const name of asked) tellShard(name, { type: 'query', shard }, effects)
    effects.push({ type: 'setTimer', id: `rebuild ${shard}`, delay: REBUILD })
    settleOn(state, shard, effects)
  }
}

/** The owner that was gives the shard up at once: two must not apply what comes. */
export function queried(state: ShardsState, from: string, shard: number, effects: StrategyEffect[]): void {
  const owned = state.owned.get(shard)
  const whole = owned !== undefined && owned.rebuilding === undefined
  tellShard(from, { type: 'have', shard, clock: whole ? owned.clock : (state.clocks[shard] ?? 0), value: whole ? 1 : 0 }, effects)
  if (owned === undefined) return
  for (const { from: client, seq, attempt } of owned.held) {
    if (client !== state.self) tellShard(client, { type: 'moved', shard, seq, attempt }, effects)
  }
  state.owned.delete(shard)
}

export function has(state: ShardsState, from: string, { shard, clock, value }: ShardMessage, effects: StrategyEffect[]): void {
  const { rebuilding } = state.owned.get(shard) ?? {}
  if (rebuilding === undefined || rebuilding.giving !== undefined || !rebuilding.asked.delete(from)) return
  const whole = value === 1
  const { best } = rebuilding
  if (whole ? !best.whole || clock > best.clock : !best.whole && clock > best.clock) rebuilding.best = { from, clock, whole }
  settleOn(state, shard, effects)
}

/** With all answers, or without patience: takes the newest copy there is. */
export function settleOn(state: ShardsState, shard: number, effects: StrategyEffect[], patient = true): void {
  const owned = state.owned.get(shard)
  const rebuilding = owned?.rebuilding
  if (owned === undefined || rebuilding === undefined || rebuilding.giving !== undefined) return
  if (patient && rebuilding.asked.size > 0) return
  effects.push({ type: 'cancelTimer', id: `rebuild ${shard}` })
  const { best } = rebuilding
  owned.clock = best.clock
  if (best.from === state.self) {
    effects.push({ type: 'copy', into: masterOf(state, shard), from: copyOf(state, shard) })
    for (const into of auxOf(state, shard)) effects.push({ type: 'fill', into, value: 0 })
    owned.rebuilding = undefined
    return
  }
  owned.updates = best.whole ? 1 : 0
  const into = best.whole ? [masterOf(state, shard), ...auxOf(state, shard)] : [masterOf(state, shard)]
  if (!best.whole) for (const range of auxOf(state, shard)) effects.push({ type: 'fill', into: range, value: 0 })
  rebuilding.giving = new Set()
  into.forEach((range, piece) => {
    const id = giveOf(piece, shard, best.from, state.self)
    rebuilding.giving!.add(id)
    effects.push({ type: 'receive', id, from: best.from, into: range })
  })
  tellShard(best.from, { type: 'give', shard, value: best.whole ? 1 : 0 }, effects)
  effects.push({ type: 'setTimer', id: `rebuild ${shard}`, delay: 4 * REBUILD })
}

export function gives(state: ShardsState, to: string, { shard, value }: ShardMessage, effects: StrategyEffect[]): void {
  if (state.owned.has(shard)) return
  const id = (piece: number) => giveOf(piece, shard, state.self, to)
  if (value === 1) {
    const all = [masterOf(state, shard), ...auxOf(state, shard)]
    for (const [piece, range] of all.entries()) effects.push({ type: 'send', id: id(piece), to, range })
    return
  }
  // the fetched copy is overwritten by the next fetch; without room for another, the asker falls back on its own
  const free = state.replies.findIndex(r => r.sending.size === 0)
  if (free < 0) return
  const range = replyOf(state, shard, free)
  state.replies[free]!.sending.add(id(0))
  effects.push({ type: 'copy', into: range, from: copyOf(state, shard) }, { type: 'send', id: id(0), to, range })
}

export function landedGiven(state: ShardsState, id: string): boolean {
  for (const owned of state.owned.values()) {
    if (!owned.rebuilding?.giving?.delete(id)) continue
    if (owned.rebuilding.giving.size === 0) owned.rebuilding = undefined
    return true
  }
  return false
}

/** Whoever was to give a shard will not: the own copy is what is left. */
export function givesUp(state: ShardsState, shard: number, effects: StrategyEffect[]): void {
  const { rebuilding } = state.owned.get(shard) ?? {}
  if (rebuilding === undefined) return
  for (const id of rebuilding.giving ?? []) effects.push({ type: 'cancel', id })
  if (rebuilding.giving !== undefined) {
    rebuilding.giving = undefined
    rebuilding.best = { from: state.self, clock: state.clocks[shard] ?? 0, whole: false }
  }
  settleOn(state, shard, effects, false)
}

import { type Env, MalformedError, shuffle } from '../../../common/index.ts'
import { Reader, Writer } from './bytes.ts'
import { claimOf, hearClaim, isFree, noteRecent, othersAt, recentSections, settleGrants } from './claims.ts'
import { answerTo, digestsOf } from './digests.ts'
import { bounds, commit, isCommitted, isComplete, isFinished } from './ledger.ts'
import { decodeMessage, encodeMessage, FAN_OUT, type LedgerMessage, MAX_VIEW } from './messages.ts'
import { openRanges, ownerOf, ownership } from './ownership.ts'
import { readSection, writeSection } from './sections.ts'
import type { LedgerEffect, LedgerEvent, LedgerState } from './state.ts'

/** Time between two rounds of anti-entropy, and after which an unanswered question is given up, ms. */
const ROUND = 1000
/** A joiner asks those who have not welcomed it again after this long, and this often, then begins. */
const HELLO = 300
const HELLOS = 5
/** A newcomer counts as living for this long before the membership confirms it, ms. */
const INTRODUCTION = 10_000
/** How many epochs a trainer may be ahead of the first incomplete one. */
const AHEAD = 1

/**
 * The sample ledger of an asynchronous job (design.md rule 7): every range of an epoch is trained by the first live trainer in
 * rendezvous order; what is committed spreads by gossip and is merged by union; a range known as committed is never started.
 *
 * - A trainer takes its own ranges in ascending order. Without one it asks the trainer that has most left for one (its owner decides,
 *   so that nobody trains it twice), then goes on to the next epoch.
 * - News go at once to up to {@link FAN_OUT} trainers, and once a second digests are compared with one at random.
 * - A joiner learns the ledger, and tells everybody that it takes over what it owns, before it begins: nothing is trained twice.
 * - After a death its ranges go to the next in order, also the one it was at; if it had committed that and the news died with it, the
 *   range is `duplicated`. So are ranges that both sides of a partition train.
 */
export function ledgerStep(state: LedgerState, event: LedgerEvent, env: Env): LedgerEffect[] {
  const effects: LedgerEffect[] = []
  switch (event.type) {
    case 'start':
      if (state.phase !== 'new') break
      state.alive = event.alive.slice(0, MAX_VIEW)
      state.phase = event.joining ? 'joining' : 'running'
      review(state, env)
      effects.push({ type: 'setTimer', id: 'round', delay: ROUND })
      if (event.joining) join(state, env, effects)
      break
    case 'peers':
      state.alive = event.alive.slice(0, MAX_VIEW)
      review(state, env)
      break
    case 'trained':
      trained(state, event, env, effects)
      break
    case 'message':
      message(state, event.from, event.body, env, effects)
      break
    case 'timer':
      if (event.id === 'round') round(state, env, effects)
      if (event.id === 'hello') join(state, env, effects)
      if (event.id === 'ask' && state.asked !== undefined) deny(state, state.asked.owner, env)
      break
    case 'leave':
      if (state.phase === 'new' || state.phase === 'left') break
      state.phase = 'left'
      state.current = undefined
      state.asked = undefined
      state.seq++
      for (const to of gossipTo(state, env)) tell(to, { type: 'update', claim: claimOf(state), sections: new Uint8Array(0) }, effects)
      break
  }
  if (take(state, env, effects)) tellNews(state, undefined, env, effects)
  report(state, effects)
  return effects
}

function trained(state: LedgerState, done: { epoch: number; range: number }, env: Env, effects: LedgerEffect[]): void {
  const { self, ledger, current } = state
  if (current?.epoch !== done.epoch || current.range !== done.range) return
  commit(ledger, done.epoch, done.range, self)
  noteRecent(state, done.epoch, done.range)
  state.current = undefined
  state.seq++
  const next: LedgerEffect[] = []
  take(state, env, next)
  // the commit must be known wherever it is known that this trainer is at something else; beyond the fan-out, by the owner at least
  tellNews(state, done, env, effects, ownerOf(state.ownership, ledger, done.epoch, done.range))
  effects.push(...next)
}

/** Takes a range, or asks for one, where this trainer is at none. @returns whether it took one */
function take(state: LedgerState, env: Env, effects: LedgerEffect[]): boolean {
  if (state.phase !== 'running' || state.current !== undefined || state.asked !== undefined) return false
  const { ledger } = state
  for (let epoch = ledger.low; epoch < Math.min(ledger.low + AHEAD + 1, ledger.spec.epochs); epoch++) {
    const remaining = new Map<string, number>()
    for (const range of openRanges(ledger, epoch, range => isFree(state, epoch, range))) {
      const owner = ownerOf(state.ownership, ledger, epoch, range)!
      if (owner === state.self) {
        begin(state, epoch, range, effects)
        return true
      }
      remaining.set(owner, (remaining.get(owner) ?? 0) + 1)
    }
    if (ask(state, epoch, remaining, env, effects)) return false
  }
  return false
}

function begin(state: LedgerState, epoch: number, range: number, effects: LedgerEffect[]): void {
  state.current = { epoch, range }
  state.seq++
  effects.push({ type: 'train', epoch, range, ...bounds(state.ledger, range) })
}

function ask(state: LedgerState, epoch: number, remaining: Map<string, number>, env: Env, effects: LedgerEffect[]): boolean {
  let owner: string | undefined
  for (const [name, count] of remaining) {
    if ((state.denied.get(name) ?? 0) > env.now) continue
    if (owner === undefined || count > remaining.get(owner)! || (count === remaining.get(owner) && name < owner)) owner = name
  }
  if (owner === undefined) return false
  state.seq++
  state.asked = { owner, epoch, number: state.seq }
  tell(owner, { type: 'ask', claim: claimOf(state), number: state.seq, epoch }, effects)
  effects.push({ type: 'setTimer', id: 'ask', delay: ROUND })
  return true
}

function deny(state: LedgerState, owner: string, env: Env): void {
  state.denied.set(owner, env.now + ROUND)
  state.asked = undefined
}

function message(state: LedgerState, from: string, body: Uint8Array, env: Env, effects: LedgerEffect[]): void {
  if (state.phase === 'new' || from === state.self) return
  let heard: LedgerMessage
  try {
    heard = decodeMessage(body, state.ledger)
    if (heard.type === 'update' || heard.type === 'welcome') {
      const reader = new Reader(heard.sections, 'a ledger message')
      while (!reader.done) {
        const { epoch, start, count, news } = readSection(reader, state.ledger)
        if (news && count === 1) noteRecent(state, epoch, start)
      }
    }
  } catch (error) {
    if (error instanceof MalformedError) return
    throw error
  }
  if (heard.type === 'hello' && !state.alive.includes(from) && state.introduced.size < MAX_VIEW) {
    state.introduced.set(from, env.now + INTRODUCTION)
    review(state, env)
  }
  if (!state.ownership.view.includes(from)) return
  hearClaim(state, from, heard.claim)
  if (heard.type === 'welcome') for (const { name, claim } of heard.others) hearClaim(state, name, claim)
  settleGrants(state)
  const claim = claimOf(state)
  switch (heard.type) {
    case 'hello':
      tell(from, { type: 'welcome', claim, others: othersAt(state, from), sections: recentSections(state) }, effects)
      break
    case 'welcome':
      if (state.unwelcomed.delete(from)) welcome(state)
      break
    case 'digest':
      for (const sections of answerTo(state.ledger, heard.digests)) tell(from, { type: 'update', claim, sections }, effects)
      if (!heard.reply) tell(from, { type: 'digest', claim, reply: true, digests: digestsOf(state.ledger) }, effects)
      else if (state.phase === 'joining' && !state.informed) {
        state.informed = true
        welcome(state)
      }
      break
    case 'ask':
      answerAsk(state, from, heard.number, heard.epoch, effects)
      break
    case 'grant':
    case 'deny':
      if (state.asked?.owner !== from || state.asked.number !== heard.number) break
      if (heard.type === 'grant' && state.phase === 'running' && !isCommitted(state.ledger, heard.epoch, heard.range)) {
        state.asked = undefined
        begin(state, heard.epoch, heard.range, effects)
        tellNews(state, undefined, env, effects, from)
      } else {
        deny(state, from, env)
      }
      effects.push({ type: 'cancelTimer', id: 'ask' })
  }
}

/** The owner of a range decides who trains it: here, the asker gets the last open one of this trainer's own. */
function answerAsk(state: LedgerState, from: string, number: number, epoch: number, effects: LedgerEffect[]): void {
  const { ledger } = state
  const claim = claimOf(state)
  let last: number | undefined
  if (state.phase === 'running') {
    for (const range of openRanges(ledger, epoch, range => isFree(state, epoch, range))) {
      const mine = ownerOf(state.ownership, ledger, epoch, range) === state.self
      if (mine && (state.current?.epoch !== epoch || state.current.range !== range)) last = range
    }
  }
  if (last === undefined) {
    tell(from, { type: 'deny', claim, number, epoch }, effects)
  } else {
    state.grants.set(`${epoch}/${last}`, { epoch, range: last, to: from, number })
    tell(from, { type: 'grant', claim, number, epoch, range: last }, effects)
  }
}

/** Who lives may have changed. */
function review(state: LedgerState, env: Env): void {
  for (const [name, until] of state.introduced) if (until <= env.now || state.alive.includes(name)) state.introduced.delete(name)
  const next = ownership([...state.alive, ...state.introduced.keys(), state.self])
  const same = next.view.length === state.ownership.view.length && next.view.every((name, i) => name === state.ownership.view[i])
  if (!same) {
    // whoever appears while this trainer joins has to know of it too
    const news = state.phase === 'joining' ? next.view.filter(name => !state.ownership.view.includes(name)) : []
    for (const name of news) state.unwelcomed.add(name)
    state.ownership = next
  }
  const gone = (name: string) => !state.ownership.view.includes(name)
  for (const name of state.claims.keys()) if (gone(name)) state.claims.delete(name)
  for (const name of state.denied.keys()) if (gone(name)) state.denied.delete(name)
  for (const name of state.unwelcomed) if (gone(name)) state.unwelcomed.delete(name)
  if (state.asked !== undefined && gone(state.asked.owner)) state.asked = undefined
  settleGrants(state)
  welcome(state)
}

/** Says hello to whoever has not welcomed this trainer, and asks one for the ledger. */
function join(state: LedgerState, env: Env, effects: LedgerEffect[]): void {
  if (state.phase !== 'joining') return
  const others = state.ownership.view.filter(name => name !== state.self)
  if (others.length === 0 || state.hellos++ >= HELLOS) {
    state.informed = true
    state.unwelcomed.clear()
    welcome(state)
    return
  }
  const claim = claimOf(state)
  for (const to of state.unwelcomed) tell(to, { type: 'hello', claim }, effects)
  if (!state.informed)
    tell(others[env.random.int(others.length)], { type: 'digest', claim, reply: false, digests: digestsOf(state.ledger) }, effects)
  effects.push({ type: 'setTimer', id: 'hello', delay: HELLO })
}

function welcome(state: LedgerState): void {
  if (state.phase === 'joining' && state.informed && state.unwelcomed.size === 0) state.phase = 'running'
}

/** Anti-entropy: what two trainers know is compared by digests, and each sends what the other lacks. */
function round(state: LedgerState, env: Env, effects: LedgerEffect[]): void {
  review(state, env)
  const others = state.ownership.view.filter(name => name !== state.self)
  if (others.length > 0) {
    const to = others[env.random.int(others.length)]
    tell(to, { type: 'digest', claim: claimOf(state), reply: false, digests: digestsOf(state.ledger) }, effects)
  }
  effects.push({ type: 'setTimer', id: 'round', delay: ROUND })
}

/** Tells what this trainer is at, and the range it has just committed. */
function tellNews(
  state: LedgerState,
  trained: { epoch: number; range: number } | undefined,
  env: Env,
  effects: LedgerEffect[],
  also?: string
): void {
  const writer = new Writer()
  if (trained !== undefined) writeSection(writer, state.ledger, trained.epoch, trained.range, 1)
  const body = encodeMessage({ type: 'update', claim: claimOf(state), sections: writer.finish() })
  const to = gossipTo(state, env)
  if (also !== undefined && also !== state.self && !to.includes(also)) to.push(also)
  for (const name of to) effects.push({ type: 'message', to: name, body })
}

function gossipTo(state: LedgerState, env: Env): string[] {
  const others = state.ownership.view.filter(name => name !== state.self)
  return others.length <= FAN_OUT ? others : shuffle(others, env.random).slice(0, FAN_OUT)
}

function tell(to: string, message: LedgerMessage, effects: LedgerEffect[]): void {
  effects.push({ type: 'message', to, body: encodeMessage(message) })
}

function report(state: LedgerState, effects: LedgerEffect[]): void {
  while (state.reported < state.ledger.spec.epochs && isComplete(state.ledger, state.reported)) {
    effects.push({ type: 'complete', epoch: state.reported++ })
  }
  if (!state.finished && isFinished(state.ledger)) {
    state.finished = true
    effects.push({ type: 'finished' })
  }
}

import type { CancelTimer, Env, SetTimer, TimerEvent } from '../../common/index.ts'
import { type EpochRecord, laterThan, type Position, type ReplicaReply, type ReplicaRequest } from './replica-core.ts'

/** An unanswered question is repeated after so long, ms. */
export const RESEND = 250
/** Without a majority for so long the owner stops, ms. */
export const PATIENCE = 4000

/** The one that may write an actor's state, as long as its epoch is the newest. */
export interface OwnerState {
  name: string
  record: EpochRecord
  phase: 'reading' | 'serving' | 'lost'
  /** What the sources hold, by peer. */
  read: Map<string, { held: Position; base: Uint8Array; log: Uint8Array[] }>
  base: Uint8Array
  log: Uint8Array[]
  seq: number
  /** Number of the latest question to all. */
  round: number
  /** A question that has no majority yet; 0 when none is out. */
  open: number
  /** When the open question was asked first. */
  asked: number
  /** Latest answered question of each voter, and how far it had come. */
  acked: Map<string, { round: number; seq: number }>
  /** Writers that wait, in order. */
  waiting: { id: number; seq: number; round: number }[]
  /** Somebody waits for a question that is not asked yet. */
  again: boolean
}

export type OwnerEvent =
  /** The epoch was decided for this node. */
  | { type: 'begin' }
  | { type: 'reply'; from: string; reply: ReplicaReply }
  /** Make a change safe; without one, make sure that the epoch is still the newest. */
  | { type: 'commit'; id: number; entry: Uint8Array | undefined }
  /** The log was folded into the snapshot. */
  | { type: 'folded'; base: Uint8Array; entries: number }
  | TimerEvent

export type OwnerEffect =
  | { type: 'send'; to: string; request: ReplicaRequest }
  | { type: 'recovered'; base: Uint8Array; log: Uint8Array[] }
  | { type: 'safe'; id: number }
  | { type: 'lost'; reason: 'fenced' | 'no-quorum'; missing: string[] }
  | SetTimer
  | CancelTimer

export function createOwner(name: string, record: EpochRecord): OwnerState {
  const nothing = new Uint8Array(0)
  return {
    name,
    record,
    phase: 'reading',
    read: new Map(),
    base: nothing,
    log: [],
    seq: 0,
    round: 0,
    open: 0,
    asked: 0,
    acked: new Map(),
    waiting: [],
    again: false
  }
}

export function quorum(voters: readonly string[]): number {
  return Math.floor(voters.length / 2) + 1
}

/**
 * The owner's side of replication: reads the newest state that a majority of the sources holds, then lets every change be stored by a
 * majority of its voters, one question at a time with all that has come since the last.
 */
export function ownerStep(s: OwnerState, event: OwnerEvent, env: Pick<Env, 'now'>): OwnerEffect[] {
  if (s.phase === 'lost') return []
  const out: OwnerEffect[] = []
  switch (event.type) {
    case 'begin':
      s.asked = env.now
      if (s.record.sources.length === 0) recovered(s, out)
      else ask(s, out)
      if (s.phase === 'reading') out.push({ type: 'setTimer', id: 'resend', delay: RESEND })
      return out
    case 'commit': {
      if (event.entry !== undefined) {
        s.log.push(event.entry)
        s.seq++
      }
      s.waiting.push({ id: event.id, seq: s.seq, round: s.round + 1 })
      if (s.open === 0 && s.phase === 'serving') next(s, env, out)
      else s.again = true
      return out
    }
    case 'folded':
      s.base = event.base
      s.log.splice(0, event.entries)
      return out
    case 'timer':
      if (s.phase === 'serving' && s.open === 0) return out
      if (env.now - s.asked > PATIENCE) return lose(s, 'no-quorum', out)
      ask(s, out)
      out.push({ type: 'setTimer', id: 'resend', delay: RESEND })
      return out
    case 'reply':
      return onReply(s, event.from, event.reply, env, out)
  }
}

function onReply(s: OwnerState, from: string, reply: ReplicaReply, env: Pick<Env, 'now'>, out: OwnerEffect[]): OwnerEffect[] {
  if (reply.epoch !== s.record.epoch) return out
  if (reply.kind === 'fenced') return reply.fence > s.record.epoch ? lose(s, 'fenced', out) : out
  if (reply.kind === 'state') {
    if (s.phase !== 'reading' || !s.record.sources.includes(from)) return out
    s.read.set(from, reply)
    if (s.read.size >= quorum(s.record.sources)) {
      recovered(s, out)
      if (s.waiting.length > 0) next(s, env, out)
    }
    return out
  }
  if (s.phase !== 'serving' || !s.record.voters.includes(from)) return out
  if (reply.kind === 'gap') {
    out.push({ type: 'send', to: from, request: install(s) })
    return out
  }
  const known = s.acked.get(from)
  s.acked.set(from, { round: Math.max(reply.round, known?.round ?? 0), seq: Math.max(reply.seq, known?.seq ?? 0) })
  settle(s, env, out)
  return out
}

function recovered(s: OwnerState, out: OwnerEffect[]): void {
  let best: { held: Position; base: Uint8Array; log: Uint8Array[] } | undefined
  for (const read of s.read.values()) if (best === undefined || laterThan(read.held, best.held)) best = read
  if (best !== undefined) {
    s.base = best.base
    s.log = [...best.log]
    s.seq = best.held.seq
  }
  s.read.clear()
  s.phase = 'serving'
  out.push({ type: 'cancelTimer', id: 'resend' }, { type: 'recovered', base: s.base, log: [...s.log] })
}

/** Asks all voters the next question, with all that has changed. */
function next(s: OwnerState, env: Pick<Env, 'now'>, out: OwnerEffect[]): void {
  s.again = false
  s.open = ++s.round
  s.asked = env.now
  ask(s, out)
  out.push({ type: 'setTimer', id: 'resend', delay: RESEND })
}

/** Asks those that have not answered. */
function ask(s: OwnerState, out: OwnerEffect[]): void {
  const { name, record, round } = s
  const { epoch } = record
  if (s.phase === 'reading') {
    for (const to of record.sources) if (!s.read.has(to)) out.push({ type: 'send', to, request: { kind: 'read', name, epoch, round } })
    return
  }
  for (const to of record.voters) {
    const known = s.acked.get(to)
    if (known !== undefined && known.round >= s.open) continue
    const first = s.seq - s.log.length
    if (known === undefined || known.seq < first) out.push({ type: 'send', to, request: install(s) })
    else
      out.push({
        type: 'send',
        to,
        request: { kind: 'append', name, epoch, round, after: known.seq, entries: s.log.slice(known.seq - first) }
      })
  }
}

function install(s: OwnerState): ReplicaRequest {
  return { kind: 'install', name: s.name, epoch: s.record.epoch, round: s.round, seq: s.seq, base: s.base, log: [...s.log] }
}

/** Who waited is told once a majority has answered its question with its change stored. */
function settle(s: OwnerState, env: Pick<Env, 'now'>, out: OwnerEffect[]): void {
  const needed = quorum(s.record.voters)
  const acks = [...s.acked.values()]
  while (s.waiting.length > 0) {
    const { id, seq, round } = s.waiting[0]!
    if (acks.filter(a => a.round >= round && a.seq >= seq).length < needed) break
    s.waiting.shift()
    out.push({ type: 'safe', id })
  }
  if (s.open === 0 || acks.filter(a => a.round >= s.open).length < needed) return
  s.open = 0
  if (s.again || s.waiting.length > 0) next(s, env, out)
  else out.push({ type: 'cancelTimer', id: 'resend' })
}

function lose(s: OwnerState, reason: 'fenced' | 'no-quorum', out: OwnerEffect[]): OwnerEffect[] {
  const asked = s.phase === 'reading' ? s.record.sources : s.record.voters
  const missing = asked.filter(peer => (s.phase === 'reading' ? !s.read.has(peer) : (s.acked.get(peer)?.round ?? 0) < s.open))
  s.phase = 'lost'
  out.push({ type: 'cancelTimer', id: 'resend' }, { type: 'lost', reason, missing })
  return out
}

import { compareBallots } from './ballot.ts'
import { MAX_REPORTING, MAX_WAITING } from './limits.ts'
import {
  type AgreementEffect,
  type AgreementMessage,
  type AgreementState,
  type Decision,
  finish,
  heldBy,
  type Register,
  sameBytes
} from './state.ts'

type Message<K> = Extract<AgreementMessage, { kind: K }>

/**
 * A proposer asks this voter to promise that it votes for no lower ballot. The application is asked for its report first; the promise
 * is given when both are there and the promise is on disk.
 */
export function onPrepare(s: AgreementState, from: string, message: Message<'prepare'>, out: AgreementEffect[]): void {
  const { key, ballot, group } = message
  if (ballot.peer !== from || refuses(s, from, message, out)) return
  // the vote of this very attempt is cast: the prepare is an old copy
  if (compareBallots(s.registers.get(key)?.vote?.ballot, ballot) === 0) return
  const pending = s.reporting.get(key)
  if (pending !== undefined) {
    const order = compareBallots(ballot, pending.ballot)
    if (order < 0) out.push(refusal(from, message, pending.ballot))
    if (order <= 0) return
    out.push(refusal(pending.from, { ...message, ballot: pending.ballot }, ballot))
    Object.assign(pending, { from, ballot, group })
    return
  }
  if (s.reporting.size >= MAX_REPORTING) return
  const id = `report-${s.nextId++}`
  s.reporting.set(key, { id, key, from, ballot, group })
  out.push({ type: 'report', id, key })
}

export function onReported(s: AgreementState, id: string, report: Uint8Array | undefined, out: AgreementEffect[]): void {
  const pending = [...s.reporting.values()].find(p => p.id === id)
  if (pending === undefined) return
  const { key, from, ballot, group } = pending
  s.reporting.delete(key)
  if (report === undefined || refuses(s, from, { kind: 'prepare', key, ballot, group }, out)) return
  const register = open(s, key, group)
  register.promised = ballot
  const vote = register.vote
  persistThen(s, key, register, from, { kind: 'promise', key, ballot, report, ...(vote === undefined ? {} : { vote }) }, out)
}

export function onAccept(s: AgreementState, from: string, message: Message<'accept'>, out: AgreementEffect[]): void {
  const { key, ballot, group, value } = message
  if (ballot.peer !== from || refuses(s, from, message, out)) return
  const register = open(s, key, group)
  register.promised = ballot
  const before = heldBy(register)
  register.vote = { ballot, value }
  s.held += heldBy(register) - before
  persistThen(s, key, register, from, { kind: 'accepted', key, ballot }, out)
}

export function onDecided(s: AgreementState, key: string, decision: Decision, out: AgreementEffect[]): void {
  const known = s.registers.get(key)
  if (known?.decision !== undefined) {
    if (!sameBytes(known.decision.value, decision.value)) {
      out.push({ type: 'conflict', key, ours: known.decision.value, theirs: decision.value })
    }
    return
  }
  if (known !== undefined || hasRoom(s, decision.value.length)) {
    const register = open(s, key, known?.group ?? '')
    s.held -= heldBy(register)
    register.decision = decision
    delete register.promised
    delete register.vote
    s.held += heldBy(register)
    out.push({ type: 'persist', id: `persist-${s.nextId++}`, key, value: { ...register } })
  }
  out.push({ type: 'decided', key, decision })
  for (const proposal of s.proposals.values()) {
    if (proposal.key !== key) continue
    const mine = proposal.chosen !== undefined && sameBytes(proposal.chosen, decision.value)
    finish(s, proposal.id, out)
    out.push({ type: 'done', id: proposal.id, decision, reports: proposal.reports, mine })
  }
  for (const question of s.questions.values()) {
    if (question.key !== key) continue
    finish(s, question.id, out)
    out.push({ type: 'done', id: question.id, decision, reports: [], mine: false })
  }
}

export function onQuery(s: AgreementState, from: string, key: string, out: AgreementEffect[]): void {
  const decision = s.registers.get(key)?.decision
  out.push({ type: 'send', to: from, message: decision === undefined ? { kind: 'undecided', key } : { kind: 'decided', key, ...decision } })
}

/** What waited for the disk may be said. */
export function onPersisted(s: AgreementState, id: string, out: AgreementEffect[]): void {
  const reply = s.waiting.get(id)
  if (reply === undefined) return
  s.waiting.delete(id)
  out.push({ type: 'send', to: reply.to, message: reply.message })
}

export function onForget(s: AgreementState, key: string, out: AgreementEffect[]): void {
  s.held -= heldBy(s.registers.get(key))
  if (!s.registers.delete(key)) return
  s.reporting.delete(key)
  for (const [id, { message }] of s.waiting) if (message.key === key) s.waiting.delete(id)
  out.push({ type: 'erase', key })
}

/** Answers a ballot that cannot be taken: with the decision, if there is one. */
function refuses(s: AgreementState, from: string, message: Message<'prepare'> | Message<'accept'>, out: AgreementEffect[]): boolean {
  const { key, ballot, group } = message
  // the disk is far behind: say nothing, the proposer asks again
  if (s.waiting.size >= MAX_WAITING) return true
  const register = s.registers.get(key)
  if (register?.decision !== undefined) {
    out.push({ type: 'send', to: from, message: { kind: 'decided', key, ...register.decision } })
    return true
  }
  const more = message.kind === 'accept' ? message.value.length : 0
  if (register === undefined ? !hasRoom(s, more) : s.held + more > s.maxHeld) {
    out.push({ type: 'send', to: from, message: { kind: 'refuse', key, ballot, reason: 'full' } })
    return true
  }
  if (register === undefined) return false
  if (register.group !== group) {
    out.push({ type: 'send', to: from, message: { kind: 'refuse', key, ballot, reason: 'voters' } })
    return true
  }
  if (compareBallots(register.promised, ballot) > 0) {
    out.push(refusal(from, message, register.promised!))
    return true
  }
  return false
}

function hasRoom(s: AgreementState, more: number): boolean {
  return s.registers.size < s.maxRegisters && s.held + more <= s.maxHeld
}

function refusal(
  to: string,
  message: Message<'prepare'> | Message<'accept'>,
  promised: NonNullable<Register['promised']>
): AgreementEffect {
  return { type: 'send', to, message: { kind: 'refuse', key: message.key, ballot: message.ballot, reason: 'ballot', promised } }
}

function open(s: AgreementState, key: string, group: string): Register {
  let register = s.registers.get(key)
  if (register === undefined) {
    register = { group }
    s.registers.set(key, register)
  }
  return register
}

function persistThen(
  s: AgreementState,
  key: string,
  register: Register,
  to: string,
  message: AgreementMessage,
  out: AgreementEffect[]
): void {
  const id = `persist-${s.nextId++}`
  s.waiting.set(id, { to, message })
  out.push({ type: 'persist', id, key, value: { ...register } })
}

import type { Env } from '../../common/index.ts'
import { onDecided } from './acceptor-core.ts'
import { type Ballot, compareBallots, MAX_ROUND } from './ballot.ts'
import {
  type AgreementEffect,
  type AgreementMessage,
  type AgreementState,
  type FailReason,
  finish,
  groupOf,
  majority,
  type Proposal,
  type ProposalInit,
  type RefuseReason,
  type Vote
} from './state.ts'

type Message<K> = Extract<AgreementMessage, { kind: K }>

/** Doublings of the back-off. */
const MAX_DOUBLINGS = 4

export function onPropose(s: AgreementState, id: string, init: ProposalInit, env: Env, out: AgreementEffect[]): void {
  const decision = s.registers.get(init.key)?.decision
  if (decision !== undefined) {
    out.push({ type: 'done', id, decision, reports: [], mine: false })
    return
  }
  const proposal: Proposal = { ...init, id, group: groupOf(init.voters), attempts: 0, round: 0, reports: [], refused: new Map() }
  s.proposals.set(id, proposal)
  if (init.deadline !== Number.POSITIVE_INFINITY) out.push({ type: 'setTimer', id: `deadline:${id}`, delay: init.deadline })
  startAttempt(s, proposal, env, out)
}

function startAttempt(s: AgreementState, p: Proposal, env: Env, out: AgreementEffect[]): void {
  const held = s.registers.get(p.key)?.promised?.round ?? 0
  const round = Math.min(MAX_ROUND, Math.max(p.round, held) + 1)
  const ballot: Ballot = { round, peer: s.self, nonce: env.random.uint32() }
  p.round = round
  p.attempts++
  p.attempt = { ballot, phase: 'prepare', promises: new Map(), accepted: new Set() }
  sendPhase(p, out)
  out.push({ type: 'setTimer', id: `resend:${p.id}`, delay: s.resend })
}

/** Sends this phase's message to the voters that did not answer it. */
function sendPhase(p: Proposal, out: AgreementEffect[]): void {
  const { ballot, phase, promises, accepted, value } = p.attempt!
  const { key, group } = p
  for (const to of p.voters) {
    if (phase === 'accept') {
      if (!accepted.has(to)) out.push({ type: 'send', to, message: { kind: 'accept', key, ballot, group, value: value! } })
    } else if (!promises.has(to)) out.push({ type: 'send', to, message: { kind: 'prepare', key, ballot, group } })
  }
}

export function onPromise(s: AgreementState, from: string, message: Message<'promise'>, out: AgreementEffect[]): void {
  const p = attemptOf(s, from, message)
  if (p === undefined) return
  const attempt = p.attempt!
  if (attempt.phase !== 'prepare' && attempt.phase !== 'grace') return
  if (compareBallots(message.vote?.ballot, attempt.ballot) >= 0) return
  attempt.promises.set(from, { report: message.report, ...(message.vote === undefined ? {} : { vote: message.vote }) })
  if (attempt.promises.size < p.quorum) return
  const vote = highestVote(attempt.promises.values())
  if (vote !== undefined) {
    // a value may have been decided: only that one can be
    startAccept(s, p, vote.value, out)
  } else if (attempt.promises.size === p.voters.length) {
    choose(p, out)
  } else {
    if (attempt.phase === 'prepare') {
      attempt.phase = 'grace'
      out.push({ type: 'setTimer', id: `grace:${p.id}`, delay: p.grace })
    }
    out.push({ type: 'view', id: p.id })
  }
}

function highestVote(promises: Iterable<{ vote?: Vote }>): Vote | undefined {
  let highest: Vote | undefined
  for (const { vote } of promises) {
    if (vote !== undefined && compareBallots(vote.ballot, highest?.ballot) > 0) highest = vote
  }
  return highest
}

/** All voters that live have answered: there is nobody to wait for. */
export function onView(s: AgreementState, id: string, alive: string[], out: AgreementEffect[]): void {
  const p = s.proposals.get(id)
  if (p?.attempt?.phase !== 'grace') return
  const { promises } = p.attempt
  const living = new Set(alive)
  if (p.voters.every(v => promises.has(v) || !living.has(v))) choose(p, out)
}

function choose(p: Proposal, out: AgreementEffect[]): void {
  const attempt = p.attempt!
  attempt.phase = 'choose'
  p.reports = p.voters.filter(v => attempt.promises.has(v)).map(peer => ({ peer, report: attempt.promises.get(peer)!.report }))
  out.push({ type: 'cancelTimer', id: `grace:${p.id}` })
  out.push({ type: 'choose', id: p.id, ballot: attempt.ballot, reports: p.reports })
}

export function onChosen(s: AgreementState, id: string, ballot: Ballot, value: Uint8Array, out: AgreementEffect[]): void {
  const p = s.proposals.get(id)
  if (p?.attempt?.phase !== 'choose' || compareBallots(p.attempt.ballot, ballot) !== 0) return
  p.chosen = value
  startAccept(s, p, value, out)
}

function startAccept(s: AgreementState, p: Proposal, value: Uint8Array, out: AgreementEffect[]): void {
  const attempt = p.attempt!
  attempt.phase = 'accept'
  attempt.value = value
  out.push({ type: 'cancelTimer', id: `grace:${p.id}` })
  sendPhase(p, out)
  out.push({ type: 'setTimer', id: `resend:${p.id}`, delay: s.resend })
}

export function onAccepted(s: AgreementState, from: string, message: Message<'accepted'>, out: AgreementEffect[]): void {
  const p = attemptOf(s, from, message)
  if (p?.attempt?.phase !== 'accept') return
  p.attempt.accepted.add(from)
  if (p.attempt.accepted.size < p.quorum) return
  const decision = { value: p.attempt.value!, forced: p.quorum < majority(p.voters.length) }
  for (const to of new Set([...p.voters, ...p.learners])) {
    if (to !== s.self) out.push({ type: 'send', to, message: { kind: 'decided', key: p.key, ...decision } })
  }
  onDecided(s, p.key, decision, out)
}

export function onRefuse(s: AgreementState, from: string, message: Message<'refuse'>, env: Env, out: AgreementEffect[]): void {
  const p = attemptOf(s, from, message)
  if (p === undefined) return
  if (message.reason === 'ballot') {
    p.round = Math.max(p.round, message.promised?.round ?? 0)
    backOff(s, p, env, out)
    return
  }
  // as good as silent, while the others may be enough
  p.refused.set(from, message.reason)
  if (p.refused.size > p.voters.length - p.quorum) fail(s, p, message.reason, out)
}

/** Another proposer is at work: give it a random time to get done. */
function backOff(s: AgreementState, p: Proposal, env: Env, out: AgreementEffect[]): void {
  delete p.attempt
  const mean = s.backoff * 2 ** Math.min(MAX_DOUBLINGS, p.attempts - 1)
  out.push({ type: 'cancelTimer', id: `resend:${p.id}` }, { type: 'cancelTimer', id: `grace:${p.id}` })
  out.push({ type: 'setTimer', id: `backoff:${p.id}`, delay: mean * (0.25 + 1.5 * env.random.float()) })
}

export function onProposalTimer(s: AgreementState, timer: string, id: string, env: Env, out: AgreementEffect[]): void {
  const p = s.proposals.get(id)
  if (p === undefined) return
  switch (timer) {
    case 'resend':
      if (p.attempt === undefined) return
      sendPhase(p, out)
      out.push({ type: 'setTimer', id: `resend:${id}`, delay: s.resend })
      break
    case 'grace':
      if (p.attempt?.phase === 'grace') choose(p, out)
      break
    case 'backoff':
      startAttempt(s, p, env, out)
      break
    case 'deadline': {
      const enough = p.attempt === undefined || p.attempt.phase === 'choose' || answers(p).length >= p.quorum
      fail(s, p, enough ? 'deadline' : 'no-quorum', out)
      break
    }
  }
}

/** Voters that answered the phase this proposal is in. */
function answers(p: Proposal): string[] {
  if (p.attempt === undefined) return []
  const { phase, accepted, promises } = p.attempt
  return p.voters.filter(v => (phase === 'accept' ? accepted.has(v) : promises.has(v)))
}

function fail(s: AgreementState, p: Proposal, reason: FailReason, out: AgreementEffect[]): void {
  const answered = answers(p)
  finish(s, p.id, out)
  const missing = p.voters.filter(v => (isRefusal(reason) ? p.refused.has(v) : !answered.includes(v)))
  out.push({ type: 'failed', id: p.id, reason, missing, answered })
}

function isRefusal(reason: FailReason): reason is RefuseReason & FailReason {
  return reason === 'voters' || reason === 'full'
}

function attemptOf(s: AgreementState, from: string, message: { key: string; ballot: Ballot }): Proposal | undefined {
  for (const p of s.proposals.values()) {
    if (p.key === message.key && p.attempt !== undefined && compareBallots(p.attempt.ballot, message.ballot) === 0) {
      return p.voters.includes(from) ? p : undefined
    }
  }
  return undefined
}

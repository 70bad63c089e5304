import { type AgreementEffect, type AgreementState, finish, majority, type Question } from './state.ts'

/** Asks the voters for the decision of a key. */
export function onLearn(s: AgreementState, question: Omit<Question, 'undecided'>, deadline: number, out: AgreementEffect[]): void {
  const decision = s.registers.get(question.key)?.decision
  if (decision !== undefined) {
    out.push({ type: 'done', id: question.id, decision, reports: [], mine: false })
    return
  }
  const q: Question = { ...question, undecided: new Set() }
  s.questions.set(q.id, q)
  if (deadline !== Number.POSITIVE_INFINITY) out.push({ type: 'setTimer', id: `deadline:${q.id}`, delay: deadline })
  ask(s, q, out)
}

function ask(s: AgreementState, q: Question, out: AgreementEffect[]): void {
  for (const to of q.voters) out.push({ type: 'send', to, message: { kind: 'query', key: q.key } })
  out.push({ type: 'setTimer', id: `resend:${q.id}`, delay: s.resend })
}

export function onUndecided(s: AgreementState, from: string, key: string, out: AgreementEffect[]): void {
  for (const q of s.questions.values()) {
    if (q.key !== key || !q.voters.includes(from)) continue
    q.undecided.add(from)
    if (q.wait || q.undecided.size < majority(q.voters.length)) continue
    finish(s, q.id, out)
    out.push({ type: 'done', id: q.id, decision: undefined, reports: [], mine: false })
  }
}

export function onQuestionTimer(s: AgreementState, timer: string, id: string, out: AgreementEffect[]): void {
  const q = s.questions.get(id)
  if (q === undefined) return
  if (timer === 'resend') ask(s, q, out)
  if (timer === 'deadline') {
    const answered = [...q.undecided]
    finish(s, id, out)
    const reason = answered.length >= majority(q.voters.length) ? 'deadline' : 'no-quorum'
    out.push({ type: 'failed', id, reason, missing: q.voters.filter(v => !q.undecided.has(v)), answered })
  }
}

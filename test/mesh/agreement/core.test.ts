import t from 'tap'
import { createRng } from '../../../common/index.ts'
import { agreementStep, createAgreementState } from '../../../mesh/agreement/core.ts'
import { type AgreementEffect, type AgreementEvent, type AgreementMessage, groupOf } from '../../../mesh/agreement/state.ts'

const env = { now: 0, random: createRng(1) }
const bytes = (text: string) => new TextEncoder().encode(text)
const voters = ['a', 'b', 'c']
const group = groupOf(voters)
const ballot = (round: number, peer: string) => ({ round, peer, nonce: 0 })

/** One core with the effects of each step; the disk and the application answer when told to. */
function node(self = 'a', init: { maxRegisters?: number; maxHeld?: number } = {}) {
  const state = createAgreementState({ self, ...init })
  let effects: AgreementEffect[] = []
  const step = (event: AgreementEvent) => {
    effects = agreementStep(state, event, env)
    return effects
  }
  const of = <T extends AgreementEffect['type']>(type: T) => effects.filter(e => e.type === type) as Extract<AgreementEffect, { type: T }>[]
  return {
    state,
    step,
    of,
    hear: (from: string, message: AgreementMessage) => step({ type: 'message', from, message }),
    /** What was sent in the last step, to whom. */
    sent: () => of('send').map(e => `${e.message.kind} to ${e.to}`),
    messages: () => of('send').map(e => e.message),
    /** The report asked for last is given. */
    report(text = '') {
      return step({ type: 'reported', id: of('report')[0]!.id, report: bytes(text) })
    },
    /** The last write is durable. */
    persisted() {
      return step({ type: 'persisted', id: of('persist')[0]!.id })
    },
    propose: (change: Partial<Extract<AgreementEvent, { type: 'propose' }>> = {}) =>
      step({ type: 'propose', id: 'p', key: 'k', voters, learners: ['d'], quorum: 2, grace: 300, deadline: 1000, ...change })
  }
}

t.test('a promise is said when the report is there and the disk has it, not before', async t => {
  const n = node()
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(1, 'b'), group })
  t.same(n.sent(), [])
  n.report('step 7')
  t.same(n.sent(), [])
  t.same(n.of('persist')[0]!.value.promised, ballot(1, 'b'))
  n.persisted()
  t.same(n.sent(), ['promise to b'])
  t.match(n.messages()[0], { kind: 'promise', report: bytes('step 7') })
})

t.test('a vote is said when the disk has it', async t => {
  const n = node()
  n.hear('b', { kind: 'accept', key: 'k', ballot: ballot(1, 'b'), group, value: bytes('v') })
  t.same(n.sent(), [])
  t.same(n.of('persist')[0]!.value.vote, { ballot: ballot(1, 'b'), value: bytes('v') })
  n.persisted()
  t.same(n.sent(), ['accepted to b'])
})

t.test('without a report, or when the disk refuses, nothing is said', async t => {
  const n = node()
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(1, 'b'), group })
  n.step({ type: 'reported', id: n.of('report')[0]!.id, report: undefined })
  t.same(n.sent(), [])
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(1, 'b'), group })
  n.report()
  const { id } = n.of('persist')[0]!
  n.step({ type: 'unpersisted', id })
  t.same(n.step({ type: 'persisted', id }), [])
})

t.test('a lower ballot is refused with the higher one, and a repeated one is answered again', async t => {
  const n = node()
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(2, 'b'), group })
  n.report()
  n.persisted()
  n.hear('c', { kind: 'prepare', key: 'k', ballot: ballot(1, 'c'), group })
  t.match(n.messages(), [{ kind: 'refuse', reason: 'ballot', promised: ballot(2, 'b') }])
  n.hear('c', { kind: 'accept', key: 'k', ballot: ballot(1, 'c'), group, value: bytes('v') })
  t.same(n.sent(), ['refuse to c'])
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(2, 'b'), group })
  n.report()
  n.persisted()
  t.same(n.sent(), ['promise to b'])
})

t.test('a higher ballot that comes while the report is awaited takes its place', async t => {
  const n = node()
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(1, 'b'), group })
  const { id } = n.of('report')[0]!
  n.hear('c', { kind: 'prepare', key: 'k', ballot: ballot(2, 'c'), group })
  t.same(n.sent(), ['refuse to b'])
  n.step({ type: 'reported', id, report: bytes('') })
  n.persisted()
  t.same(n.sent(), ['promise to c'])
})

t.test('a promise tells the vote that was cast', async t => {
  const n = node()
  n.hear('b', { kind: 'accept', key: 'k', ballot: ballot(1, 'b'), group, value: bytes('v') })
  n.persisted()
  n.hear('c', { kind: 'prepare', key: 'k', ballot: ballot(2, 'c'), group })
  n.report()
  n.persisted()
  t.match(n.messages(), [{ kind: 'promise', vote: { ballot: ballot(1, 'b'), value: bytes('v') } }])
})

t.test('after a decision every ballot and question is answered with it', async t => {
  const n = node()
  n.hear('b', { kind: 'decided', key: 'k', value: bytes('v'), forced: false })
  t.match(n.of('decided'), [{ key: 'k' }])
  n.hear('b', { kind: 'decided', key: 'k', value: bytes('v'), forced: false })
  t.same(n.of('decided'), [], 'told once')
  n.hear('c', { kind: 'prepare', key: 'k', ballot: ballot(9, 'c'), group })
  t.same(n.sent(), ['decided to c'])
  n.hear('c', { kind: 'accept', key: 'k', ballot: ballot(9, 'c'), group, value: bytes('w') })
  t.same(n.sent(), ['decided to c'])
  n.hear('c', { kind: 'query', key: 'k' })
  t.same(n.sent(), ['decided to c'])
  n.hear('c', { kind: 'query', key: 'other' })
  t.same(n.sent(), ['undecided to c'])
})

t.test('a second decision of one key is told apart and not taken', async t => {
  const n = node()
  n.hear('b', { kind: 'decided', key: 'k', value: bytes('v'), forced: true })
  n.hear('c', { kind: 'decided', key: 'k', value: bytes('w'), forced: true })
  t.same(n.of('conflict'), [{ type: 'conflict', key: 'k', ours: bytes('v'), theirs: bytes('w') }])
  t.same(n.state.registers.get('k')!.decision!.value, bytes('v'))
})

t.test('ballots of others than the sender, and for other voters, are not taken', async t => {
  const n = node()
  n.hear('c', { kind: 'prepare', key: 'k', ballot: ballot(1, 'b'), group })
  t.same(n.of('report'), [])
  n.hear('b', { kind: 'prepare', key: 'k', ballot: ballot(1, 'b'), group })
  n.report()
  n.persisted()
  n.hear('c', { kind: 'prepare', key: 'k', ballot: ballot(2, 'c'), group: groupOf(['a', 'c']) })
  t.match(n.messages(), [{ kind: 'refuse', reason: 'voters' }])
})

t.test('keys and bytes are bounded; forgetting makes room', async t => {
  const n = node('a', { maxRegisters: 1, maxHeld: 10 })
  n.hear('b', { kind: 'accept', key: 'one', ballot: ballot(1, 'b'), group, value: bytes('12345678') })
  n.hear('b', { kind: 'prepare', key: 'two', ballot: ballot(1, 'b'), group })
  t.match(n.messages(), [{ kind: 'refuse', reason: 'full' }])
  n.hear('b', { kind: 'accept', key: 'one', ballot: ballot(2, 'b'), group, value: bytes('1234567890') })
  t.match(n.messages(), [{ kind: 'refuse', reason: 'full' }])
  n.hear('b', { kind: 'decided', key: 'two', value: bytes('v'), forced: false })
  t.match(n.of('decided'), [{ key: 'two' }], 'told all the same')
  t.notOk(n.state.registers.has('two'))
  n.step({ type: 'forget', key: 'one' })
  t.match(n.of('erase'), [{ key: 'one' }])
  t.equal(n.state.held, 0)
  n.hear('b', { kind: 'prepare', key: 'two', ballot: ballot(1, 'b'), group })
  t.equal(n.of('report').length, 1)
})

/** A proposer whose own promise is given; the others' are up to the test. */
function proposer(change: Parameters<ReturnType<typeof node>['propose']>[0] = {}) {
  const n = node()
  const first = n.propose(change)
  const prepare = first.find(e => e.type === 'send')!.message as Extract<AgreementMessage, { kind: 'prepare' }>
  n.report('mine')
  n.persisted()
  return {
    ...n,
    ballot: prepare.ballot,
    promise: (from: string) => n.hear(from, { kind: 'promise', key: 'k', ballot: prepare.ballot, report: bytes(from) })
  }
}

t.test('with a quorum of promises the proposer waits the grace for others, then lets the caller choose', async t => {
  const n = proposer()
  n.promise('b')
  t.same(n.of('choose'), [])
  t.match(n.of('setTimer'), [{ id: 'grace:p', delay: 300 }])
  t.match(n.of('view'), [{ id: 'p' }])
  n.step({ type: 'view', id: 'p', alive: ['a', 'b', 'c'] })
  t.same(n.of('choose'), [], 'c lives and may answer yet')
  n.step({ type: 'timer', id: 'grace:p' })
  t.same(
    n.of('choose')[0]!.reports.map(r => r.peer),
    ['a', 'b']
  )
})

t.test('nobody is waited for once all who live, or all, have promised', async t => {
  const n = proposer()
  n.promise('b')
  n.step({ type: 'view', id: 'p', alive: ['a', 'b'] })
  t.equal(n.of('choose').length, 1)
  const m = proposer()
  m.promise('b')
  m.promise('c')
  t.same(
    m.of('choose')[0]!.reports.map(r => r.peer),
    ['a', 'b', 'c']
  )
})

t.test('a vote found among the promises is proposed again, the highest of them, and the caller is not asked', async t => {
  const n = proposer({ quorum: 3 })
  const promise = (from: string, by: string, value: string) =>
    n.hear(from, { kind: 'promise', key: 'k', ballot: n.ballot, report: bytes(''), vote: { ballot: ballot(1, by), value: bytes(value) } })
  promise('b', '2', 'high')
  t.same(n.sent(), [])
  promise('c', '1', 'low')
  t.same(n.of('choose'), [])
  t.same(n.sent(), ['accept to b', 'accept to c'])
  for (const message of n.messages()) t.match(message, { value: bytes('high') })
})

t.test('a vote that cannot have been cast before this ballot is not believed', async t => {
  const n = proposer()
  n.hear('b', { kind: 'promise', key: 'k', ballot: n.ballot, report: bytes(''), vote: { ballot: ballot(7, 'b'), value: bytes('v') } })
  t.same(n.sent(), [])
  t.equal(n.state.proposals.get('p')!.attempt!.phase, 'prepare')
})

t.test('a quorum of votes decides: voters and learners are told, silent ones too', async t => {
  const n = proposer()
  n.promise('b')
  n.step({ type: 'timer', id: 'grace:p' })
  n.step({ type: 'chosen', id: 'p', ballot: n.ballot, value: bytes('v') })
  t.same(n.sent(), ['accept to b', 'accept to c'])
  n.persisted()
  t.same(n.of('done'), [])
  n.hear('b', { kind: 'accepted', key: 'k', ballot: n.ballot })
  t.same(n.sent(), ['decided to b', 'decided to c', 'decided to d'])
  t.match(n.of('done'), [{ decision: { value: bytes('v'), forced: false }, mine: true, reports: [{ peer: 'a' }, { peer: 'b' }] }])
})

t.test('answers to other ballots, from others than voters and after the end count for nothing', async t => {
  const n = proposer()
  n.hear('b', { kind: 'promise', key: 'k', ballot: { ...n.ballot, nonce: n.ballot.nonce + 1 }, report: bytes('') })
  n.hear('z', { kind: 'promise', key: 'k', ballot: n.ballot, report: bytes('') })
  t.same(n.state.proposals.get('p')!.attempt!.promises.size, 1)
  n.step({ type: 'abort', id: 'p' })
  t.same(n.promise('b'), [])
})

t.test('a refused proposer backs off and comes back with a higher round', async t => {
  const n = proposer()
  n.hear('b', { kind: 'refuse', key: 'k', ballot: n.ballot, reason: 'ballot', promised: ballot(41, 'b') })
  t.match(
    n.of('setTimer').map(e => e.id),
    ['backoff:p']
  )
  n.step({ type: 'timer', id: 'backoff:p' })
  t.match(n.messages()[0], { kind: 'prepare', ballot: { round: 42, peer: 'a' } })
})

t.test('unanswered messages are repeated to those that did not answer', async t => {
  const n = proposer({ quorum: 3 })
  n.promise('b')
  n.step({ type: 'timer', id: 'resend:p' })
  t.same(n.sent(), ['prepare to c'])
})

t.test('at the deadline the silent voters are named', async t => {
  const n = proposer()
  n.step({ type: 'timer', id: 'deadline:p' })
  t.match(n.of('failed'), [{ reason: 'no-quorum', missing: ['b', 'c'], answered: ['a'] }])
  const m = proposer()
  m.promise('b')
  m.step({ type: 'timer', id: 'deadline:p' })
  t.match(m.of('failed'), [{ reason: 'deadline' }])
})

t.test('voters that hold the key for others, or have no room, end the proposal when no quorum is left', async t => {
  for (const reason of ['voters', 'full'] as const) {
    const n = proposer()
    n.hear('b', { kind: 'refuse', key: 'k', ballot: n.ballot, reason })
    t.same(n.of('failed'), [], 'the other two may do')
    n.hear('c', { kind: 'refuse', key: 'k', ballot: n.ballot, reason })
    t.match(n.of('failed'), [{ reason, missing: ['b', 'c'] }])
  }
})

t.test('a forced quorum decides with fewer, and the decision says so', async t => {
  const n = proposer({ quorum: 1 })
  n.step({ type: 'view', id: 'p', alive: ['a'] })
  n.step({ type: 'chosen', id: 'p', ballot: n.ballot, value: bytes('v') })
  n.persisted()
  t.match(n.of('done'), [{ decision: { forced: true } }])
  t.match(n.messages()[0], { kind: 'decided', forced: true })
})

t.test('a question ends with a decision, or when a majority knows of none', async t => {
  const n = node()
  const learn = (wait: boolean) => n.step({ type: 'learn', id: 'q', key: 'k', voters, wait, deadline: 1000 })
  learn(false)
  t.same(n.sent(), ['query to b', 'query to c'])
  n.hear('b', { kind: 'undecided', key: 'k' })
  t.match(n.of('done'), [{ id: 'q', decision: undefined }])
  learn(true)
  n.hear('b', { kind: 'undecided', key: 'k' })
  n.hear('c', { kind: 'undecided', key: 'k' })
  t.same(n.of('done'), [])
  n.step({ type: 'timer', id: 'resend:q' })
  t.same(n.sent(), ['query to b', 'query to c'])
  n.hear('c', { kind: 'decided', key: 'k', value: bytes('v'), forced: false })
  t.match(n.of('done'), [{ id: 'q', decision: { value: bytes('v') } }])
  learn(false)
  t.match(n.of('done'), [{ decision: { value: bytes('v') } }], 'known now')
})

t.test('a question that nobody answers names them', async t => {
  const n = node('d')
  n.step({ type: 'learn', id: 'q', key: 'k', voters, wait: false, deadline: 1000 })
  n.hear('a', { kind: 'undecided', key: 'k' })
  n.step({ type: 'timer', id: 'deadline:q' })
  t.match(n.of('failed'), [{ reason: 'no-quorum', missing: ['b', 'c'] }])
})

// The actors' cores under faults, and for each checker a variant broken in one place that it catches.
import t, { type Test } from 'tap'
import { mailboxStep } from '../../actors/runtime/mailbox-core.ts'
import { ownerStep } from '../../actors/runtime/owner-core.ts'
import { replicaStep } from '../../actors/runtime/replica-core.ts'
import { replayCommand, runScenario, type Scenario } from './scenario.ts'
import { callsUnderFaults } from './scenarios/calls.ts'
import { ownersUnderFaults } from './scenarios/fenced.ts'

function passes(t: Test, scenario: Scenario, count: number): void {
  t.comment(`seeds 0 to ${count - 1} of ${scenario.name}`)
  for (let seed = 0; seed < count; seed++) {
    const result = runScenario(scenario, seed)
    if (result.violation !== undefined) t.fail(`${result.violation.message}; ${replayCommand(result)}`)
  }
  t.equal(runScenario(scenario, 1).hash, runScenario(scenario, 1).hash, 'two runs of a seed leave the same trace')
}

function caught(t: Test, scenario: Scenario, seeds: number, checker: string): void {
  t.comment(`seeds 0 to ${seeds - 1} of ${scenario.name}`)
  const found = new Set<string>()
  for (let seed = 0; seed < seeds && !found.has(checker); seed++) {
    const { violation } = runScenario(scenario, seed)
    if (violation !== undefined) found.add(violation.checker)
  }
  t.ok(found.has(checker), checker)
}

t.test('calls are in order, executed once and end, whatever fails', async t => passes(t, callsUnderFaults(), 25))

t.test('one writer an epoch, and nothing acknowledged is lost, whatever fails', async t => passes(t, ownersUnderFaults(), 25))

t.test('a mailbox that forgets what it has executed is seen', async t => {
  const mailbox: typeof mailboxStep = (state, event) => {
    if (event.type !== 'arrived' || event.numbered === undefined) return mailboxStep(state, event)
    state.callers.clear()
    const request = `${event.numbered.request}, copy ${event.id}`
    return mailboxStep(state, { ...event, numbered: { ...event.numbered, request, again: false } })
  }
  caught(t, callsUnderFaults({ mailbox }), 10, 'no request id executed twice in an activation')
})

t.test('a mailbox that takes calls as they come is seen', async t => {
  const mailbox: typeof mailboxStep = (state, event) => {
    if (event.type === 'arrived') state.callers.clear()
    return mailboxStep(state, event)
  }
  caught(t, callsUnderFaults({ mailbox }), 10, 'calls of one caller to one actor are executed in order')
})

t.test('a caller without deadlines is seen', async t => {
  caught(t, callsUnderFaults({ patient: true }), 10, 'every call ends in a reply, an error or its deadline')
})

t.test('a node that takes another one’s epoch for its own is seen', async t => {
  caught(t, ownersUnderFaults({ greedy: true }), 20, 'at most one writer an epoch')
})

t.test('a copy that forgets its fence is seen', async t => {
  const replica: typeof replicaStep = (state, waiting, event) => {
    if (event.type === 'request') state.fence = 0
    return replicaStep(state, waiting, event)
  }
  caught(t, ownersUnderFaults({ replica }), 20, 'epochs never decrease')
})

t.test('an owner that takes one copy for a majority is seen', async t => {
  const owner: typeof ownerStep = (state, event, env) => {
    const effects = ownerStep(state, event, env)
    if (event.type !== 'reply' || event.reply.kind !== 'stored') return effects
    return [...effects, ...state.record.voters.flatMap(from => ownerStep(state, { ...event, from }, env))]
  }
  caught(t, ownersUnderFaults({ owner }), 40, 'acknowledged writes survive fewer than a quorum of crashes')
})

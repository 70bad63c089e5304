import fc from 'fast-check'
import t from 'tap'
import { createRng } from '../../../common/index.ts'
import { type Ballot, compareBallots } from '../../../mesh/agreement/ballot.ts'
import { agreementStep, createAgreementState } from '../../../mesh/agreement/core.ts'
import { type AgreementEvent, groupOf, heldBy } from '../../../mesh/agreement/state.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
t.comment('seed', seed)

const peer = fc.constantFrom('self', 'a', 'b', 'c')
const key = fc.constantFrom('k', 'l', 'm')
const voters = ['self', 'a', 'b']
const group = fc.constantFrom(groupOf(voters), groupOf(['a', 'b']))
const value = fc.uint8Array({ maxLength: 6 })
const round = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(2 ** 32 - 2))
const ballot: fc.Arbitrary<Ballot> = fc.record({ round, peer, nonce: fc.constantFrom(0, 1) })
const vote = fc.record({ ballot, value })
const message = fc.oneof(
  fc.record({ kind: fc.constant('prepare' as const), key, ballot, group }),
  fc.record(
    { kind: fc.constant('promise' as const), key, ballot, report: value, vote },
    { requiredKeys: ['kind', 'key', 'ballot', 'report'] }
  ),
  fc.record({ kind: fc.constant('refuse' as const), key, ballot, reason: fc.constantFrom('ballot', 'voters', 'full'), promised: ballot }),
  fc.record({ kind: fc.constant('accept' as const), key, ballot, group, value }),
  fc.record({ kind: fc.constant('accepted' as const), key, ballot }),
  fc.record({ kind: fc.constant('decided' as const), key, value, forced: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('query' as const, 'undecided' as const), key })
)
const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('message' as const), from: peer, message }) as fc.Arbitrary<AgreementEvent> },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('answer' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('propose' as const),
      id: fc.constantFrom('p', 'q'),
      key,
      voters: fc.constant(voters),
      learners: fc.constant(['c']),
      quorum: fc.constantFrom(1, 2),
      grace: fc.constant(300),
      deadline: fc.constant(1000)
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('learn' as const),
      id: fc.constantFrom('x', 'y'),
      key,
      voters: fc.constant(voters),
      wait: fc.boolean(),
      deadline: fc.constant(9)
    })
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abort' as const), id: fc.constantFrom('p', 'q', 'x', 'y') }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('forget' as const), key }) }
)

/** Any of what is open; only the disk answers in order. */
function take(open: AgreementEvent[], which: number): AgreementEvent {
  const at = which % open.length
  const first = open[at]!.type === 'persisted' ? open.findIndex(e => e.type === 'persisted') : at
  return open.splice(first, 1)[0]!
}

t.test('whatever members say, an acceptor keeps its promises, its decisions and its bounds', async t => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 80 }), events => {
      const state = createAgreementState({ self: 'self', maxRegisters: 2, maxHeld: 12 })
      const random = createRng(1)
      /** What the core waits for: timers, the disk, the application. */
      const open: AgreementEvent[] = []
      const promised = new Map<string, Ballot>()
      const decided = new Map<string, string>()
      const step = (next: AgreementEvent) => {
        for (const effect of agreementStep(state, next, { now: 0, random })) {
          if (effect.type === 'send') {
            const { message } = effect
            if (effect.to === 'self') throw new Error('it speaks to itself over the network')
            if (message.kind !== 'promise' && message.kind !== 'accepted') continue
            if (compareBallots(message.ballot, promised.get(message.key)) < 0) throw new Error(`${message.kind} below a promise`)
            promised.set(message.key, message.ballot)
          } else if (effect.type === 'setTimer') open.push({ type: 'timer', id: effect.id })
          else if (effect.type === 'persist') open.push({ type: 'persisted', id: effect.id })
          else if (effect.type === 'report') open.push({ type: 'reported', id: effect.id, report: new Uint8Array(1) })
          else if (effect.type === 'view') open.push({ type: 'view', id: effect.id, alive: ['self', 'a'] })
          else if (effect.type === 'choose') open.push({ type: 'chosen', id: effect.id, ballot: effect.ballot, value: new Uint8Array(2) })
          else if (effect.type === 'erase') {
            promised.delete(effect.key)
            decided.delete(effect.key)
          }
        }
        for (const [name, { decision }] of state.registers) {
          if (decision === undefined) continue
          const text = String(decision.value)
          if (decided.has(name) && decided.get(name) !== text) throw new Error(`${name} was ${decided.get(name)} and is ${text}`)
          decided.set(name, text)
        }
        const held = [...state.registers.values()].reduce((sum, register) => sum + heldBy(register), 0)
        if (held !== state.held) throw new Error(`holds ${held} bytes and counts ${state.held}`)
        // the last value may be the one that a decision put in the place of a shorter vote
        if (state.registers.size > 2 || held > 12 + 6) throw new Error(`holds ${held} bytes in ${state.registers.size} registers`)
        if (state.reporting.size > 3 || state.proposals.size > 2 || state.questions.size > 2)
          throw new Error('it grows with what it is sent')
      }
      for (const next of events) {
        if (next.type !== 'answer') step(next as AgreementEvent)
        else if (open.length > 0) step(take(open, next.which))
      }
      return true
    }),
    { seed, numRuns: 500 }
  )
  t.pass()
})

// The checkers bite: for each, a variant of the core that is broken in one place, which it catches, while the right core passes the
// same seeds (simulation.test.ts).
import t, { type Test } from 'tap'
import { agreementStep } from '../../mesh/agreement/core.ts'
import { membershipStep } from '../../mesh/membership/core.ts'
import { runScenario, type Scenario } from './scenario.ts'
import { duellingProposers } from './scenarios/agreement.ts'
import { busyForLong, healing, oneGoes } from './scenarios/membership.ts'

/** The checkers that caught something in the first `seeds` seeds. */
function caught(scenario: Scenario, seeds: number): Set<string> {
  const checkers = new Set<string>()
  for (let seed = 0; seed < seeds; seed++) {
    const { violation } = runScenario(scenario, seed)
    if (violation !== undefined) checkers.add(violation.checker)
  }
  return checkers
}

function claim(t: Test, scenario: Scenario, seeds: number, checker: string): void {
  t.comment(`seeds 0 to ${seeds - 1} of ${scenario.name}`)
  t.ok(caught(scenario, seeds).has(checker), checker)
}

t.test('one voter less than a majority decides: two values of one register are seen', async t => {
  const scenario = duellingProposers({ quorum: voters => Math.floor(voters / 2) })
  claim(t, scenario, 60, 'one decided value a register')
})

t.test('a proposer that ignores earlier votes: two values of one register are seen', async t => {
  const scenario = duellingProposers({
    step(state, event, env) {
      if (event.type === 'message' && event.message.kind === 'promise') delete event.message.vote
      return agreementStep(state, event, env)
    }
  })
  claim(t, scenario, 60, 'one decided value a register')
})

t.test('promises said before the disk has them: one that is forgotten in a crash is seen', async t => {
  claim(t, duellingProposers({ lie: true }), 200, 'an acceptor never goes back on a promise')
})

t.test('an acceptor that votes at any ballot is seen', async t => {
  const scenario = duellingProposers({
    step(state, event, env) {
      if (event.type === 'message' && event.message.kind === 'accept') delete state.registers.get(event.message.key)?.promised
      return agreementStep(state, event, env)
    }
  })
  claim(t, scenario, 60, 'an acceptor never goes back on a promise')
})

t.test('a proposer that never repeats itself: one that hangs after healing is seen', async t => {
  const scenario = duellingProposers({
    step: (state, event, env) => agreementStep(state, event, env).filter(e => e.type !== 'setTimer' || !e.id.startsWith('resend'))
  })
  claim(t, scenario, 20, 'proposals end after healing')
})

t.test('suspicions that never end: a crashed member that nobody declares is seen', async t => {
  claim(t, oneGoes({ settings: { suspicionMin: 60_000 } }), 3, 'crashed members are declared within the bound')
})

t.test('a detector that takes a stall of its own for the silence of others: a false declaration is seen', async t => {
  const settings = { stallSlack: 1e9, probeTimeout: 260, directTimeout: 250, suspicionMin: 250, suspicionFactor: 1 }
  claim(t, busyForLong({ settings }, 1), 3, 'no member that lives is declared dead')
})

t.test('a member that does not refute: a false declaration is seen', async t => {
  const scenario = busyForLong(
    {
      step(state, event, env) {
        if (event.type === 'message') event.message.records = event.message.records.filter(r => r.peer !== state.self.peer)
        return membershipStep(state, event, env)
      }
    },
    1
  )
  claim(t, scenario, 5, 'no member that lives is declared dead')
})

t.test('dead members that nobody tries again: a mesh that stays split is seen', async t => {
  claim(t, healing({ settings: { reconnectInterval: 1e9 } }), 10, 'live members find each other after healing')
})

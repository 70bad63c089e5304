import t, { type Test } from 'tap'
import { DeclaredInTime } from './checkers/declared-in-time.ts'
import { replayCommand, runScenario, type Scenario } from './scenario.ts'
import { duellingProposers } from './scenarios/agreement.ts'
import { busyForLong, healing, oneGoes } from './scenarios/membership.ts'

/** Runs seeds 0 to count − 1; fails with the command that replays the first bad one. */
function passes(t: Test, scenario: Scenario, count: number): void {
  t.comment(`seeds 0 to ${count - 1} of ${scenario.name}`)
  for (let seed = 0; seed < count; seed++) {
    const result = runScenario(scenario, seed)
    if (result.violation !== undefined) t.fail(`${result.violation.message}; ${replayCommand(result)}`)
  }
  t.pass(scenario.name)
}

t.test('registers keep one value and proposals end, whatever fails', async t => passes(t, duellingProposers(), 250))

t.test('members find each other after everything failed', async t => passes(t, healing(), 40))

t.test('nobody is declared dead in ten minutes of busy event loops with stalls of up to 700 ms', async t => passes(t, busyForLong(), 4))

t.test('in a busy mesh of five a member that goes is declared by all within 1.7 s at p99', async t => {
  const times: number[] = []
  for (let seed = 0; seed < 150; seed++) {
    const result = runScenario(oneGoes(), seed)
    if (result.violation !== undefined) t.fail(`${result.violation.message}; ${replayCommand(result)}`)
    for (const checker of result.checkers) if (checker instanceof DeclaredInTime) times.push(...checker.times)
  }
  t.equal(times.length, 600, 'four survivors each time')
  times.sort((a, b) => a - b)
  const p = (share: number) => times[Math.floor(share * (times.length - 1))]!
  t.comment(`p50 ${p(0.5).toFixed()} ms, p99 ${p(0.99).toFixed()} ms, max ${p(1).toFixed()} ms`)
  t.ok(p(0.99) <= 1700, `${p(0.99)} ms`)
})

t.test('two runs of a seed leave the same trace, two seeds do not', async t => {
  for (const scenario of [duellingProposers(), healing(), oneGoes(), busyForLong({}, 1)]) {
    const [first, again, other] = [1, 1, 2].map(seed => runScenario(scenario, seed).hash)
    t.equal(first, again, scenario.name)
    t.not(first, other, scenario.name)
  }
})

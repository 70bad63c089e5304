import t from 'tap'
import { createSupervision, supervisionStep } from '../../../actors/runtime/supervision-core.ts'
import { createRng } from '../../../common/index.ts'

const random = createRng(1)
const policy = { intensity: 3, window: 1000, backoff: 10 }

t.test('a process that ends by itself is started again, later each time, and given up past the intensity', async t => {
  const s = createSupervision(policy)
  for (const delay of [10, 20, 40]) {
    t.same(supervisionStep(s, { type: 'exited', reason: 'crash' }, { now: 0, random }), [{ type: 'setTimer', id: 'restart', delay }])
    t.same(supervisionStep(s, { type: 'timer', id: 'restart' }, { now: 0, random }), [{ type: 'start' }])
  }
  const [last] = supervisionStep(s, { type: 'exited', reason: 'crash' }, { now: 0, random })
  t.match(last, { type: 'giveUp', reason: /crash/ })
  t.equal(s.phase, 'failed')
})

t.test('restarts that are long past no longer count', async t => {
  const s = createSupervision(policy)
  for (let now = 0; now < 20_000; now += 600) {
    t.match(supervisionStep(s, { type: 'exited', reason: 'crash' }, { now, random }), [{ type: 'setTimer' }])
    supervisionStep(s, { type: 'timer', id: 'restart' }, { now, random })
  }
})

t.test('a process that is told to stop is killed and stays down', async t => {
  const s = createSupervision(policy)
  t.match(supervisionStep(s, { type: 'stop' }, { now: 0, random }), [{ type: 'cancelTimer' }, { type: 'kill' }])
  t.same(supervisionStep(s, { type: 'exited', reason: 'killed' }, { now: 0, random }), [])
  t.same(supervisionStep(s, { type: 'timer', id: 'restart' }, { now: 0, random }), [])
})

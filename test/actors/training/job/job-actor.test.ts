import t from 'tap'
import { JobActor, type JobPorts } from '../../../../actors/training/job/job-actor.ts'
import { createRng, silentLogger } from '../../../../common/index.ts'
import { jobOf, memberOn } from './jobs.ts'

const unused = (): never => {
  throw new Error('an asynchronous job asks for no agreement')
}

/** The actor of a gossip job on one node, on a clock that the test moves. */
function world(trainers: number) {
  let now = 0
  const timers = new Set<{ at: number; callback: () => void }>()
  const ports: JobPorts = {
    clock: {
      now: () => now,
      setTimer(delay, callback) {
        const timer = { at: now + delay, callback }
        timers.add(timer)
        return () => timers.delete(timer)
      }
    },
    random: createRng('job-actor'),
    logger: silentLogger,
    agreement: { propose: unused, learn: unused, decided: unused },
    alive: () => ['a', 'b'],
    left: () => [],
    slots: () => [],
    group: () => undefined,
    start: async () => {},
    dismiss: async () => {},
    decided: () => {},
    emit: () => {},
    fail: () => {},
    start0: async () => ({ step: 10, epoch: 1, position: 0, checkpoint: '00000010' })
  }
  const actor = new JobActor(jobOf({ strategy: 'gossip', trainers }), false, ports)
  return {
    actor,
    async pass(ms: number) {
      now += ms
      for (const timer of [...timers]) {
        if (timer.at > now) continue
        timers.delete(timer)
        timer.callback()
      }
      await new Promise(resolve => setImmediate(resolve))
    },
    enrol: (node: string, suffix: string, state: { ready: boolean; generation: number }) =>
      actor.enrol({ member: memberOn(node, suffix), progress: { step: 0, epoch: 0, position: 0 }, ...state })
  }
}

t.test('a trainer that is not ready is told of no founders: those of its predecessor would make it wait for the dead', async t => {
  const { actor, pass, enrol } = world(1)
  await actor.begin()
  await pass(2000)
  enrol('a', '', { ready: true, generation: 0 })
  await pass(100)
  t.match(enrol('a', '', { ready: true, generation: 0 }), { founders: ['t-a'], checkpoint: '00000010' })
  t.match(enrol('a', '', { ready: true, generation: 1 }), { founders: ['t-a'] })
  actor.gone('t-a')
  t.same(enrol('a', '2', { ready: false, generation: 0 }), {})
  enrol('a', '2', { ready: true, generation: 0 })
  await pass(100)
  t.match(enrol('a', '2', { ready: true, generation: 0 }), { founders: ['t-a2'], checkpoint: '00000010' })
  actor.end()
})

t.test('newcomers whose donors all died are made founders from the last checkpoint', async t => {
  const { actor, pass, enrol } = world(2)
  await actor.begin()
  await pass(2000)
  for (const node of ['a', 'b']) enrol(node, '', { ready: true, generation: 0 })
  await pass(100)
  for (const node of ['a', 'b']) enrol(node, '', { ready: true, generation: 1 })
  actor.gone('t-b')
  t.match(enrol('b', '2', { ready: true, generation: 0 }), { founders: ['t-a', 't-b'] }, 'it joins: a lives')
  actor.gone('t-a')
  t.match(enrol('b', '2', { ready: true, generation: 0 }), { founders: ['t-a', 't-b'] }, 'there are fewer than the job begins with')
  enrol('a', '2', { ready: true, generation: 0 })
  await pass(100)
  t.match(enrol('b', '2', { ready: true, generation: 0 }), { founders: ['t-a2', 't-b2'], checkpoint: '00000010' })
  actor.end()
})

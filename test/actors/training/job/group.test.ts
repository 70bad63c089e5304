import fc from 'fast-check'
import t from 'tap'
import { composeGroup, evaluatorOf, majority, oneLossPauses, votersOf } from '../../../../actors/training/job/group.ts'
import { groupRecord, jobRecord, type VoterReport } from '../../../../actors/training/job/records.ts'
import { MalformedError } from '../../../../common/index.ts'
import { jobOf, memberOn } from './jobs.ts'

const start = { step: 0, epoch: 0, position: 0 }

function report(trainer: string, step: number, hash = `h${step}`, initialised = true): VoterReport {
  return { trainers: [{ trainer, generation: 1, initialised, hash, progress: { step, epoch: 0, position: step * 8 } }] }
}

t.test('a majority counts every voter, and two voters stand or fall together', async t => {
  t.same([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3])
  t.same([1, 2, 3, 4].map(oneLossPauses), [true, true, false, false])
})

t.test('voters are the hosts of the trainers, topped up to three with other live members', async t => {
  t.same(votersOf('j', [{ node: 'b' }, { node: 'a' }, { node: 'a' }], ['a', 'b']), ['a', 'b'])
  const topped = votersOf('j', [{ node: 'a' }], ['a', 'b', 'c', 'd'])
  t.equal(topped.length, 3)
  t.ok(topped.includes('a'))
  t.equal(
    votersOf(
      'j',
      ['a', 'b', 'c', 'd'].map(node => ({ node })),
      []
    ).length,
    4,
    'every host votes'
  )
})

t.test('the next generation resumes from the highest step a member applied, and names who holds it', async t => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 6 }), steps => {
      const members = steps.map((_, i) => memberOn(`n${i}`))
      const group = composeGroup({
        job: jobOf(),
        generation: 2,
        members,
        alive: [],
        reports: steps.map((step, i) => report(`t-n${i}`, step)),
        forced: false,
        reason: '',
        start
      })
      const highest = Math.max(...steps)
      t.equal(group.resume.step, highest)
      t.same(
        group.resume.from,
        members
          .map(m => m.trainer)
          .filter((_, i) => steps[i] === highest)
          .sort()
      )
      t.same(groupRecord.decode(groupRecord.encode(group)), group)
    })
  )
})

t.test('a state with another hash, of a trainer outside the group, or of one that never began is no source', async t => {
  const compose = (reports: VoterReport[]) =>
    composeGroup({
      job: jobOf(),
      generation: 2,
      members: [memberOn('a'), memberOn('b')],
      alive: [],
      reports,
      forced: false,
      reason: '',
      start
    })
  t.same(compose([report('t-a', 5), report('t-b', 5, 'other')]).resume.from, ['t-a'])
  t.equal(compose([report('t-a', 5), report('t-x', 9)]).resume.step, 5)
  t.same(compose([report('t-a', 0, '', false)]).resume, { ...start, hash: '', from: [] })
})

t.test('equal views give equal evaluators', async t => {
  t.equal(evaluatorOf('j', ['x', 'y', 'z']), evaluatorOf('j', ['z', 'x', 'y']))
  t.equal(evaluatorOf('j', []), undefined)
})

t.test('records that a peer made up are refused, never half taken', async t => {
  const good = jobRecord.encode(jobOf())
  t.same(jobRecord.decode(good), jobOf())
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      t.throws(() => jobRecord.decode(bytes), MalformedError)
      t.throws(() => groupRecord.decode(bytes), MalformedError)
    })
  )
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (i, x) => {
      const bytes = good.slice()
      bytes[i] = bytes[i]! ^ x
      try {
        jobRecord.decode(bytes)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
      }
    })
  )
})

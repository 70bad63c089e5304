import fc from 'fast-check'
import t from 'tap'
import { Broadcasts } from '../../../mesh/membership/broadcasts.ts'
import { type MemberRecord, noBytes } from '../../../mesh/membership/record.ts'
import { resolveSettings } from '../../../mesh/membership/settings.ts'
import { retransmitLimit, suspicionTimeout } from '../../../mesh/membership/suspicion.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
t.comment('seed', seed)

const record = (peer: string, incarnation = 0): MemberRecord => ({
  peer,
  epoch: 1,
  incarnation,
  state: 'alive',
  addresses: [],
  version: noBytes,
  by: '',
  proof: noBytes
})
const names = (records: MemberRecord[]) => records.map(r => r.peer)

t.test('records sent least go first, each as often as the limit says', async t => {
  const b = new Broadcasts()
  b.add(record('a'))
  b.add(record('b'))
  t.same(names(b.take(1, 2)), ['a'])
  b.add(record('c'))
  t.same(names(b.take(2, 2)), ['b', 'c'])
  t.same(names(b.take(5, 2)), ['a', 'b', 'c'])
  t.same(names(b.take(5, 2)), [])
  t.equal(b.size, 0)
})

t.test('a newer record takes the place of an older one and is sent anew', async t => {
  const b = new Broadcasts()
  b.add(record('a', 1))
  b.take(1, 3)
  b.add(record('a', 2))
  t.equal(b.size, 1)
  t.same(
    b.take(5, 3).map(r => r.incarnation),
    [2]
  )
})

t.test('a member is not told of itself', async t => {
  const b = new Broadcasts()
  b.add(record('a'))
  b.add(record('b'))
  t.same(names(b.take(5, 3, 'a')), ['b'])
  b.drop('b')
  t.same(names(b.take(5, 3)), ['a'])
})

t.test('in any order of adding and taking each record goes out at most as often as the limit', async t => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 4 })), { maxLength: 60 }), actions => {
      const b = new Broadcasts()
      const sent = new Map<number, number>()
      let n = 0
      for (const [peer, count] of actions) {
        if (count === 0) b.add(record(`p${peer}`, n++))
        else {
          const taken = b.take(count, 3)
          if (taken.length > count || new Set(names(taken)).size !== taken.length) return false
          for (const { incarnation } of taken) sent.set(incarnation, (sent.get(incarnation) ?? 0) + 1)
        }
      }
      return b.size <= 6 && [...sent.values()].every(times => times <= 3)
    }),
    { seed, numRuns: 300 }
  )
  t.pass()
})

t.test('a suspicion is longest when nobody confirms it and shortest when enough do', async t => {
  const settings = resolveSettings({ suspicionMin: 800, suspicionFactor: 2.5, confirmations: 3 })
  t.equal(suspicionTimeout(0, 5, settings), 2000)
  t.equal(suspicionTimeout(3, 5, settings), 800)
  t.equal(suspicionTimeout(7, 5, settings), 800)
  t.ok(suspicionTimeout(1, 5, settings) < 2000 && suspicionTimeout(1, 5, settings) > suspicionTimeout(2, 5, settings))
  t.equal(suspicionTimeout(0, 2, settings), 800, 'nobody else could confirm')
  t.equal(suspicionTimeout(1, 3, settings), 800, 'the only other one did')
  t.equal(suspicionTimeout(3, 1000, settings), 2400, 'a refutation takes longer to come through a large mesh')
})

t.test('retransmissions grow with the logarithm of the mesh', async t => {
  const settings = resolveSettings({ retransmit: 4 })
  t.same(
    [1, 5, 99, 9999].map(n => retransmitLimit(n, settings)),
    [2, 4, 8, 16]
  )
})

t.test('settings are checked', async t => {
  t.throws(() => resolveSettings({ period: 0 }), /membership setting period is 0/)
  t.throws(() => resolveSettings({ suspicionMin: Number.NaN }), /suspicionMin/)
  t.throws(() => resolveSettings({ probeTimeout: 100 }), /below directTimeout/)
  t.equal(resolveSettings({ period: undefined }).period, 300)
})

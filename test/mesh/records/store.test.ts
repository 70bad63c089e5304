import fc from 'fast-check'
import t from 'tap'
import { createRng, shuffle } from '../../../common/index.ts'
import { savedAuthority } from '../../../mesh/admission/index.ts'
import { createIdentity } from '../../../mesh/identity/index.ts'
import { CertificateCache, MAX_TTL, type SignedRecord, signRecord, verifyRecord } from '../../../mesh/records/record.ts'
import { BUCKETS, type Ownership, RecordStore } from '../../../mesh/records/store.ts'
import { admittedBy, newAuthority } from '../fixtures.ts'

const now = 1_000_000

function record(part: Partial<SignedRecord>): SignedRecord {
  const none = new Uint8Array(0)
  return { kind: 'k', key: 'x', author: 'a', sequence: 1, expiry: now + 1000, payload: none, signature: none, certificate: none, ...part }
}

t.test('whatever the order in which records come, all stores end with the same', async t => {
  const seed = Date.now() % 2 ** 31
  t.comment('seed', seed)
  const some = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c'), author: fc.constantFrom('a', 'b', 'c'), sequence: fc.integer({ min: 1, max: 4 }) }),
    { maxLength: 20 }
  )
  fc.assert(
    fc.property(some, fc.constantFrom<Ownership>('self', 'first', 'any'), fc.integer(), (parts, owner, order) => {
      const stores = [0, 1, 2].map(i => {
        const store = new RecordStore()
        store.define('k', { owner })
        for (const part of shuffle([...parts], createRng(`${order}/${i}`))) store.accept(record(part), now)
        return store
      })
      const [first, ...others] = stores.map(s =>
        JSON.stringify([
          s.digest(now),
          s
            .list('k', now)
            .map(r => [r.key, r.author, r.sequence])
            .sort()
        ])
      )
      return others.every(o => o === first)
    }),
    { seed, numRuns: 500 }
  )
})

t.test('only who may write a kind’s key is taken', async t => {
  const store = new RecordStore()
  store.define('own', { owner: 'self' })
  store.define('job', { owner: 'first' })
  t.equal(store.accept(record({ kind: 'own', key: 'b', author: 'a' }), now), false)
  t.equal(store.accept(record({ kind: 'own', key: 'a', author: 'a' }), now), true)
  t.equal(store.accept(record({ kind: 'job', key: 'j', author: 'b' }), now), true)
  t.equal(store.accept(record({ kind: 'job', key: 'j', author: 'c', sequence: 9 }), now), false)
  t.equal(store.accept(record({ kind: 'job', key: 'j', author: 'b', sequence: 2 }), now), true)
  t.throws(() => store.checkOwner('own', 'b', 'a', now), { name: 'InvalidParametersError' })
  t.throws(() => store.checkOwner('job', 'j', 'a', now), { name: 'InvalidParametersError', message: /belongs to b/ })
  store.checkOwner('other', 'j', 'a', now)
  // A rule that comes later cleans up.
  store.accept(record({ kind: 'late', key: 'b', author: 'a' }), now)
  store.define('late', { owner: 'self' })
  t.equal(store.get('late', 'b', now), undefined)
})

t.test('an expired record is absent, and an older one that outlives it is no news', async t => {
  const store = new RecordStore()
  store.accept(record({ sequence: 5, expiry: now + 10 }), now)
  t.ok(store.get('k', 'x', now + 9))
  t.equal(store.get('k', 'x', now + 10), undefined)
  t.same(store.list('k', now + 10), [])
  t.same(store.digest(now + 10), new Array(BUCKETS).fill(0))
  t.equal(store.accept(record({ sequence: 4, expiry: now + 100_000 }), now + 20), false)
  t.equal(store.accept(record({ sequence: 6, expiry: now + 15 }), now + 20), false, 'expired on arrival')
  t.equal(store.accept(record({ sequence: 6, expiry: now + 100_000 }), now + 20), true)
  store.forget(now + 100_000 + 3_600_001)
  t.equal(store.get('k', 'x', 0, true), undefined)
})

t.test('a full store takes news of what it holds, and new keys once others have expired', async t => {
  const store = new RecordStore()
  for (let i = 0; i < 10_000; i++) store.accept(record({ key: `k${i}`, expiry: now + (i === 0 ? 10 : 1000) }), now)
  t.throws(() => store.accept(record({ key: 'one more' }), now), { name: 'OverloadedError' })
  t.equal(store.accept(record({ key: 'k5', sequence: 2 }), now), true)
  t.equal(store.accept(record({ key: 'one more' }), now + 20), true)
})

t.test('records are what their author signed, and it was a node of the mesh', async t => {
  const founder = newAuthority()
  const member = admittedBy(founder)
  const time = Date.now()
  const draft = { kind: 'k', key: 'x', author: member.identity.peer, sequence: time, expiry: time + 1000, payload: new Uint8Array([1, 2]) }
  const good = signRecord(draft, member)
  const check = (r: SignedRecord) => verifyRecord(r as Parameters<typeof verifyRecord>[0], founder, time, new CertificateCache())
  t.same(check(good), good)
  for (const change of [
    { payload: new Uint8Array([1, 3]) },
    { key: 'y' },
    { kind: 'l' },
    { sequence: time + 1 },
    { expiry: time + 2000 },
    { author: founder.identity.peer }
  ]) {
    t.throws(() => check({ ...good, ...change }), { name: /MalformedError|AdmissionError/ }, Object.keys(change)[0])
  }
  t.throws(() => check(signRecord({ ...draft, sequence: time + 3_600_000 }, member)), { name: 'MalformedError', message: /future/ })
  t.throws(() => check(signRecord({ ...draft, expiry: time + 2 * MAX_TTL }, member)), { name: 'MalformedError', message: /longer/ })
  t.throws(() => check({ ...good, sequence: 2 ** 60 }), { name: 'MalformedError' })
  t.throws(() => check({ ...good, kind: 'k'.repeat(1000) }), { name: 'MalformedError' })
  t.throws(() => check({ ...good, key: '' }), { name: 'MalformedError' })
  t.throws(() => signRecord({ ...draft, payload: new Uint8Array(70_000) }, member), { name: 'TooLargeError' })
  t.throws(() => check({ ...good, payload: new Uint8Array(70_000) }), { name: 'TooLargeError' })

  const stranger = newAuthority()
  t.throws(() => check(signRecord({ ...draft, author: stranger.identity.peer }, stranger)), { name: 'AdmissionError' })
  const identity = createIdentity()
  const trainer = savedAuthority(identity, founder.mesh, founder.certifyTrainer(identity.peer))
  t.throws(() => check(signRecord({ ...draft, author: identity.peer }, trainer)), { name: 'MalformedError', message: /trainer/ })
  const cache = new CertificateCache()
  verifyRecord(good as Parameters<typeof verifyRecord>[0], founder, time, cache)
  founder.revoke(member.identity.peer, time)
  t.throws(() => verifyRecord(good as Parameters<typeof verifyRecord>[0], founder, time, cache), {
    name: 'AdmissionError',
    message: /revoked/
  })
})

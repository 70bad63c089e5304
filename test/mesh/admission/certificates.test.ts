import fc from 'fast-check'
import t from 'tap'
import { issueCertificate, MAX_CHAIN, MAX_CHAIN_BYTES, meshName, verifyChain } from '../../../mesh/admission/certificate.ts'
import { createAuthority, foundMesh, keyAuthority, savedAuthority } from '../../../mesh/admission/index.ts'
import { createIdentity } from '../../../mesh/identity/index.ts'
import { admittedBy, newAuthority } from '../fixtures.ts'

const DAY = 86_400_000

t.test('a chain is verified by every member, however far down it was passed on', async t => {
  const founder = newAuthority()
  const first = admittedBy(founder)
  const second = admittedBy(first)
  const { leaf, links } = founder.verify(second.chain()!.bytes, second.identity.peer)
  t.equal(leaf.peer, second.identity.peer)
  t.equal(leaf.issuer, first.identity.peer)
  t.equal(leaf.role, 'node')
  t.same(
    links.map(l => l.peer),
    [founder, first, second].map(a => a.identity.peer)
  )
  t.throws(() => founder.verify(second.chain()!.bytes, first.identity.peer), { name: 'AdmissionError', message: /its holder is/ })
})

t.test('a chain of another mesh is refused', async t => {
  const [a, b] = [newAuthority(), newAuthority()]
  t.throws(() => a.verify(b.chain()!.bytes, b.identity.peer), {
    name: 'AdmissionError',
    message: new RegExp(`${b.mesh}, this one is ${a.mesh}`)
  })
})

t.test('a chain that only claims the name of the mesh is refused', async t => {
  const real = newAuthority()
  const forger = createIdentity()
  const now = Date.now()
  const leaf = { mesh: real.mesh, peer: forger.peer, role: 'node' as const, issued: now, expiry: now + DAY, delegate: true }
  const forged = issueCertificate(forger, undefined, leaf)
  t.throws(() => real.verify(forged.bytes, forger.peer), { name: 'AdmissionError', message: /founding key/ })
})

t.test('a trainer admits nobody, and its certificate says what it is', async t => {
  const node = newAuthority()
  const identity = createIdentity()
  const trainer = savedAuthority(identity, node.mesh, node.certifyTrainer(identity.peer))
  t.equal(trainer.chain()!.leaf.role, 'trainer')
  t.equal(trainer.chain()!.leaf.delegate, false)
  t.throws(() => trainer.certifyTrainer(createIdentity().peer), { name: 'AdmissionError', message: /may not admit/ })
  t.throws(() => trainer.invite([]), { name: 'AdmissionError', message: /may not invite/ })
  // A link that was forged below it does not pass either.
  const below = createIdentity()
  const parent = trainer.chain()!
  const cheat = { ...parent, leaf: { ...parent.leaf, delegate: true, role: 'node' as const } }
  const now = Date.now()
  const chain = issueCertificate(identity, cheat, {
    mesh: node.mesh,
    peer: below.peer,
    role: 'node',
    issued: now,
    expiry: now + DAY,
    delegate: false
  })
  t.throws(() => node.verify(chain.bytes, below.peer), { name: 'AdmissionError', message: /may not admit/ })
})

t.test('times are checked with a minute of tolerance', async t => {
  let now = Date.now()
  const founder = foundMesh(createIdentity(), () => now)
  const identity = createIdentity()
  const bytes = founder.certifyTrainer(identity.peer)
  const { leaf } = founder.verify(bytes, identity.peer)
  now = leaf.expiry + 59_000
  t.equal(founder.verify(bytes, identity.peer).leaf.peer, identity.peer)
  now = leaf.expiry + 61_000
  t.throws(() => founder.verify(bytes, identity.peer), { name: 'AdmissionError', message: /expired 1 minute ago/ })
  now = leaf.issued - 59_000
  t.equal(founder.verify(bytes, identity.peer).leaf.peer, identity.peer)
  now = leaf.issued - 2 * 3_600_000
  t.throws(() => founder.verify(bytes, identity.peer), { name: 'AdmissionError', message: /2 hours in the future/ })
})

t.test('a certificate never outlives its issuer’s', async t => {
  let now = 1_800_000_000_000
  const founder = foundMesh(createIdentity(), () => now)
  const end = founder.chain()!.leaf.expiry
  now = end - DAY
  t.equal(admittedByAt(founder, () => now).chain()!.leaf.expiry, end)
})

t.test('a member past half its life is given a fresh certificate', async t => {
  let now = 1_800_000_000_000
  const founder = foundMesh(createIdentity(), () => now)
  const member = admittedByAt(founder, () => now)
  t.equal(founder.renew(member.chain()!), undefined)
  now += 200 * DAY
  const renewed = founder.renew(member.chain()!)
  t.ok(renewed)
  const before = member.chain()!.leaf.expiry
  member.adopt(renewed!)
  t.ok(member.chain()!.leaf.expiry > before)
})

t.test('who was revoked is no member, whom it had admitted before still is, whom it admits after is not', async t => {
  let now = 1_800_000_000_000
  const founder = foundMesh(createIdentity(), () => now)
  const bad = admittedByAt(founder, () => now)
  const early = admittedByAt(bad, () => now)
  now += 1000
  founder.revoke(bad.identity.peer, now)
  now += 1000
  const late = admittedByAt(bad, () => now)
  t.throws(() => founder.verify(bad.chain()!.bytes, bad.identity.peer), { name: 'AdmissionError', message: /was revoked/ })
  t.equal(founder.verify(early.chain()!.bytes, early.identity.peer).leaf.peer, early.identity.peer)
  t.throws(() => founder.verify(late.chain()!.bytes, late.identity.peer), { name: 'AdmissionError', message: /after that was revoked/ })
})

t.test('a chain has at most 32 links', async t => {
  let member = newAuthority()
  const founder = member
  for (let i = 1; i < MAX_CHAIN; i++) member = admittedBy(member)
  t.ok(member.chain()!.bytes.byteLength < MAX_CHAIN_BYTES)
  t.equal(founder.verify(member.chain()!.bytes, member.identity.peer).links.length, MAX_CHAIN)
  t.throws(() => admittedBy(member), { name: 'AdmissionError', message: /through an older member/ })
})

t.test('no damaged chain passes, and none does worse than AdmissionError', async t => {
  const founder = newAuthority()
  const member = admittedBy(founder)
  const good = member.chain()!.bytes
  const check = { mesh: founder.mesh, now: Date.now() }
  const refuses = (bytes: Uint8Array) => {
    try {
      verifyChain(bytes, check)
    } catch (error) {
      return (error as Error).name === 'AdmissionError' || (error as Error).name === 'MalformedError'
    }
    return false
  }
  const seed = Date.now() % 2 ** 31
  t.comment('seed', seed)
  fc.assert(
    fc.property(fc.nat(good.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = good.slice()
      bytes[at]! ^= flip
      return refuses(bytes)
    }),
    { seed, numRuns: 500 }
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => refuses(bytes)),
    { seed, numRuns: 500 }
  )
  fc.assert(
    fc.property(fc.nat(good.byteLength - 1), length => refuses(good.subarray(0, length))),
    { seed }
  )
  t.ok(refuses(new Uint8Array(MAX_CHAIN_BYTES + 1)))
  t.ok(refuses(new Uint8Array(12_000).fill(0x81)), 'arrays in arrays, as deep as fits')
})

t.test('the same founding key makes one mesh of all who have it', async t => {
  const founding = createIdentity()
  const [a, b] = [keyAuthority(createIdentity(), founding), keyAuthority(createIdentity(), founding)]
  t.equal(a.mesh, meshName(founding.privateKey.publicKey.raw))
  t.match(a.mesh, /^[a-z2-7]{32}$/)
  t.equal(a.verify(b.chain()!.bytes, b.identity.peer).leaf.peer, b.identity.peer)
  t.equal(b.verify(a.chain()!.bytes, a.identity.peer).leaf.peer, a.identity.peer)
})

function admittedByAt(member: ReturnType<typeof newAuthority>, wallClock: () => number) {
  const identity = createIdentity()
  const joiner = createAuthority({ identity, mesh: member.mesh, wallClock })
  const now = wallClock()
  const leaf = { mesh: member.mesh, peer: identity.peer, role: 'node' as const, issued: now, expiry: now + 365 * DAY, delegate: true }
  joiner.adopt(issueCertificate(member.identity, member.chain(), leaf).bytes)
  return joiner
}

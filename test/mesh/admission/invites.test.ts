import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { newKey, parseInvite, readKeyFile, writeKeyFile } from '../../../mesh/admission/index.ts'
import { claimInvite, createInvite, verifyClaim } from '../../../mesh/admission/invite.ts'
import { createIdentity } from '../../../mesh/identity/index.ts'
import { admittedBy, folder, newAuthority } from '../fixtures.ts'

const HOUR = 3_600_000
const address = '/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWMLhNZtAGpBcKLFUQH3qUcd7X4199X6fBvBfYZCJ5827M'

t.test('a token says where to go and to which mesh, on one line without spaces', async t => {
  const founder = newAuthority()
  const token = founder.invite([address])
  t.match(token, /^gm1[\w-]+$/)
  const invite = parseInvite(`  ${token}\n`, Date.now())
  t.equal(invite.mesh, founder.mesh)
  t.equal(invite.issuer, founder.identity.peer)
  t.same(invite.addresses, [address])
  t.equal(Math.round((invite.expiry - Date.now()) / HOUR), 24)
})

t.test('any member invites, and any member admits the bearer', async t => {
  const founder = newAuthority()
  const [a, b] = [admittedBy(founder), admittedBy(founder)]
  const invite = parseInvite(a.invite([]), Date.now())
  const joiner = createIdentity()
  const { grant, proof } = claimInvite(invite, joiner.peer)
  t.equal(b.admit(grant, proof, joiner.peer).leaf.peer, joiner.peer)
})

t.test('a claim is good for the joiner that made it only', async t => {
  const founder = newAuthority()
  const invite = parseInvite(founder.invite([]), Date.now())
  const { grant, proof } = claimInvite(invite, createIdentity().peer)
  t.throws(() => founder.admit(grant, proof, createIdentity().peer), { name: 'AdmissionError', message: /does not hold the secret/ })
})

t.test('the secret does not travel', async t => {
  const founder = newAuthority()
  const invite = parseInvite(founder.invite([]), Date.now())
  const { grant, proof } = claimInvite(invite, createIdentity().peer)
  t.equal(Buffer.concat([grant, proof]).includes(Buffer.from(invite.secret)), false)
})

t.test('an expired invite is refused by the joiner itself and by a member', async t => {
  const founder = newAuthority()
  const now = Date.now()
  const token = createInvite(founder.identity, founder.chain()!, [], now - 3 * HOUR, HOUR)
  t.throws(() => parseInvite(token, now), {
    name: 'AdmissionError',
    message: 'the invite expired 2 hours ago; ask a member for a new one (mesh invite)'
  })
  const joiner = createIdentity()
  const { grant, proof } = claimInvite(parseInvite(token, 0), joiner.peer)
  t.throws(() => founder.admit(grant, proof, joiner.peer), { name: 'AdmissionError', message: /the invite expired 2 hours ago/ })
})

t.test('an invite of another mesh, or of somebody who is no member, is refused', async t => {
  const [a, b] = [newAuthority(), newAuthority()]
  const joiner = createIdentity()
  const other = claimInvite(parseInvite(b.invite([]), Date.now()), joiner.peer)
  t.throws(() => a.admit(other.grant, other.proof, joiner.peer), { name: 'AdmissionError', message: /the invite is for mesh/ })

  const check = { mesh: a.mesh, now: Date.now() }
  const chain = { ...b.chain()!, leaf: { ...b.chain()!.leaf, mesh: a.mesh } }
  const forged = claimInvite(parseInvite(createInvite(b.identity, chain, [], Date.now(), HOUR), Date.now()), joiner.peer)
  t.throws(() => verifyClaim(forged.grant, forged.proof, joiner.peer, check), { name: 'AdmissionError' })
})

t.test('a revoked member’s invites are worth nothing', async t => {
  const founder = newAuthority()
  const bad = admittedBy(founder)
  const joiner = createIdentity()
  const { grant, proof } = claimInvite(parseInvite(bad.invite([]), Date.now()), joiner.peer)
  founder.revoke(bad.identity.peer, Date.now())
  t.throws(() => founder.admit(grant, proof, joiner.peer), { name: 'AdmissionError', message: /was revoked/ })
})

t.test('every malformed token gets one line that says what to do', async t => {
  const token = newAuthority().invite([address])
  const now = Date.now()
  const refuses = (text: string) => {
    try {
      parseInvite(text, now)
    } catch (error) {
      const { name, message } = error as Error
      return name === 'AdmissionError' && /the invite is malformed.*(copy|ask)/.test(message) && !message.includes('\n')
    }
    return false
  }
  for (const text of [
    '',
    'gm1',
    'gm2abc',
    'hello',
    token.slice(0, -1),
    token.slice(3),
    `${token}!`,
    token.replace('gm1', 'gm1gm1'),
    `gm1${'A'.repeat(30_000)}`
  ]) {
    t.ok(refuses(text), JSON.stringify(text.slice(0, 20)))
  }
  const seed = Date.now() % 2 ** 31
  t.comment('seed', seed)
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), text => refuses(`gm1${text}`)),
    { seed, numRuns: 300 }
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => refuses(`gm1${Buffer.from(bytes).toString('base64url')}`)),
    { seed, numRuns: 300 }
  )
})

t.test('no damaged claim is admitted', async t => {
  const founder = newAuthority()
  const joiner = createIdentity()
  const { grant, proof } = claimInvite(parseInvite(founder.invite([]), Date.now()), joiner.peer)
  const seed = Date.now() % 2 ** 31
  t.comment('seed', seed)
  fc.assert(
    fc.property(fc.nat(grant.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = grant.slice()
      bytes[at]! ^= flip
      try {
        founder.admit(bytes, proof, joiner.peer)
      } catch (error) {
        return ['AdmissionError', 'MalformedError'].includes((error as Error).name)
      }
      return false
    }),
    { seed, numRuns: 500 }
  )
  t.throws(() => founder.admit(new Uint8Array(2 ** 20), proof, joiner.peer), { name: 'AdmissionError' })
})

t.test('a key file gives the same founding key wherever it is read, and is never overwritten', async t => {
  const path = join(folder(t), 'mesh.key')
  writeKeyFile(path)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(readKeyFile(path).peer, readKeyFile(path).peer)
  t.throws(() => writeKeyFile(path), { name: 'InvalidParametersError', message: /never overwritten/ })
  const copy = join(folder(t), 'copy.key')
  writeFileSync(copy, newKey())
  t.not(readKeyFile(copy).peer, readKeyFile(path).peer)
})

t.test('a file that is no key is named', async t => {
  const path = join(folder(t), 'x')
  t.throws(() => readKeyFile(path), { name: 'InvalidParametersError', message: new RegExp(`${path} cannot be read`) })
  for (const content of ['', 'gradmesh-key-1:short', `other:${'A'.repeat(43)}`, 'x'.repeat(10_000)]) {
    writeFileSync(path, content)
    t.throws(() => readKeyFile(path), { name: 'AdmissionError', message: /is not a key file; make one with 'mesh key new'/ })
  }
  t.ok(existsSync(path))
})

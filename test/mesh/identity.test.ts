import t from 'tap'
import {
  createIdentity,
  identityFromBytes,
  identityFromSeed,
  peerFromKey,
  publicKeyOf,
  verifySignature
} from '../../mesh/identity/index.ts'

t.test('a signature holds for its signer and its data only', async t => {
  const [a, b] = [createIdentity(), createIdentity()]
  const data = new Uint8Array([1, 2, 3])
  const signature = a.sign(data)
  t.equal(verifySignature(a.peer, data, signature), true)
  t.equal(verifySignature(b.peer, data, signature), false)
  t.equal(verifySignature(a.peer, new Uint8Array([1, 2, 4]), signature), false)
  t.equal(verifySignature(a.peer, data, signature.subarray(1)), false)
  t.equal(verifySignature('nobody', data, signature), false)
  signature[5]! ^= 1
  t.equal(verifySignature(a.peer, data, signature), false)
})

t.test('an identity comes back from its bytes, and from its seed', async t => {
  const a = createIdentity()
  const back = identityFromBytes(a.bytes())
  t.equal(back.peer, a.peer)
  t.equal(verifySignature(a.peer, new Uint8Array(3), back.sign(new Uint8Array(3))), true)
  const seed = new Uint8Array(32).fill(7)
  t.equal(identityFromSeed(seed).peer, identityFromSeed(seed).peer)
  t.equal(verifySignature(identityFromSeed(seed).peer, new Uint8Array(3), identityFromSeed(seed).sign(new Uint8Array(3))), true)
  t.throws(() => identityFromSeed(new Uint8Array(31)), { name: 'MalformedError' })
  t.throws(() => identityFromBytes(new Uint8Array([9, 9, 9])), { name: 'MalformedError' })
})

t.test('a peer id is its public key', async t => {
  const a = createIdentity()
  t.equal(peerFromKey(publicKeyOf(a.peer)), a.peer)
  t.throws(() => publicKeyOf('not a peer'), { name: 'MalformedError' })
  t.throws(() => publicKeyOf('x'.repeat(10_000)), { name: 'MalformedError' })
  t.throws(() => publicKeyOf('QmbBHw1Xx9pUpAbrVZUKTPL5Rsph5Q9GQhRvcWVBPFgGtC'), { name: 'MalformedError' })
  t.throws(() => peerFromKey(new Uint8Array(31)), { name: 'MalformedError' })
})

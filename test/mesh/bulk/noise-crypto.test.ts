import { pureJsCrypto } from '@chainsafe/libp2p-noise'
import fc from 'fast-check'
import t from 'tap'
import { Uint8ArrayList } from 'uint8arraylist'
import { createBulkEndpoint } from '../../../mesh/bulk/index.ts'
import { noiseCrypto } from '../../../mesh/bulk/noise-crypto.ts'
import { createTestHost, pattern, until } from './hosts.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const key = pattern(32, 1)
const nonce = pattern(12, 2)

/** The same bytes as a list, cut at two places. */
function list(bytes: Uint8Array, cuts: [number, number]): any {
  const [a, b] = cuts.map(cut => cut % (bytes.length + 1)).sort((x, y) => x - y)
  return new Uint8ArrayList(bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b))
}

const equal = (a: { subarray(): Uint8Array }, b: { subarray(): Uint8Array }) => Buffer.compare(a.subarray(), b.subarray()) === 0

t.test('encrypts and decrypts as the reference does, whatever the pieces', t => {
  fc.assert(
    fc.property(
      fc.oneof(fc.nat(100), fc.nat(65_519), fc.constantFrom(0, 16_383, 16_384, 16_385, 65_519)),
      fc.constantFrom(0, 32),
      fc.tuple(fc.nat(), fc.nat()),
      (length, adBytes, cuts) => {
        const plain = pattern(length, length)
        const ad = pattern(adBytes, 3)
        const expected = pureJsCrypto.chaCha20Poly1305Encrypt(plain, nonce, ad, key).subarray()
        const sealed = noiseCrypto.chaCha20Poly1305Encrypt(list(plain, cuts), nonce, ad, key)
        const opened = noiseCrypto.chaCha20Poly1305Decrypt(list(expected, cuts), nonce, ad, key)
        // the transport hands over the memory of the message itself to decrypt into
        const memory = expected.slice()
        const inPlace = noiseCrypto.chaCha20Poly1305Decrypt(memory, nonce, ad, key, memory.subarray(0, length))
        return equal(sealed, expected) && equal(opened, plain) && equal(inPlace, plain)
      }
    ),
    { seed, numRuns: 60 }
  )
  t.end()
})

t.test('a message with any bit changed, or shorter than its tag, is refused', t => {
  const ad = new Uint8Array(0)
  const sealed = noiseCrypto.chaCha20Poly1305Encrypt(pattern(1000, 1), nonce, ad, key).subarray()
  for (const at of [0, 500, 999, 1000, 1015]) {
    const changed = sealed.slice()
    changed[at] ^= 1
    t.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(changed, nonce, ad, key))
  }
  t.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(sealed.subarray(0, 15), nonce, ad, key))
  t.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(sealed, nonce, pattern(1, 1), key))
  t.end()
})

t.test('keys, shared secrets and hashes agree with the reference', t => {
  const ours = noiseCrypto.generateX25519KeyPair()
  const theirs = pureJsCrypto.generateX25519KeyPair()
  t.ok(equal(noiseCrypto.generateX25519KeyPairFromSeed(ours.privateKey).publicKey, ours.publicKey))
  t.ok(equal(pureJsCrypto.generateX25519KeyPairFromSeed(ours.privateKey).publicKey, ours.publicKey))
  const one = noiseCrypto.generateX25519SharedKey(ours.privateKey, list(theirs.publicKey, [5, 9]))
  t.ok(equal(one, pureJsCrypto.generateX25519SharedKey(theirs.privateKey, ours.publicKey)))
  t.ok(equal(noiseCrypto.hashSHA256(list(key, [3, 7])), pureJsCrypto.hashSHA256(key)))
  t.end()
})

t.test('a host with it and a host without it understand each other', async t => {
  const hosts = await Promise.all([createTestHost(noiseCrypto), createTestHost()])
  const [a, b] = hosts.map(host => createBulkEndpoint(host, { lanes: false }))
  t.teardown(() => Promise.all(hosts.map(host => host.stop())))
  for (const endpoint of [a, b]) endpoint.allow(() => true)
  const left = await a.connect(hosts[1].peerId.toString(), b.endpoints())
  await until(() => b.channel(left.peer) !== undefined || b.channel(hosts[0].peerId.toString()) !== undefined)
  const right = b.channel(hosts[0].peerId.toString())!
  const from = pattern(2_000_000, 5)
  const intoA = new Uint8Array(from.length)
  const intoB = new Uint8Array(from.length)
  await Promise.all([left.send('x', from), right.receive('x', intoB), right.send('y', from), left.receive('y', intoA)])
  t.equal(left.encryption, 'noise')
  t.ok(equal(intoA, from) && equal(intoB, from))
})

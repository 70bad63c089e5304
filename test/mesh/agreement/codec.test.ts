import fc from 'fast-check'
import t from 'tap'
import { MalformedError, VersionError } from '../../../common/index.ts'
import { compareBallots, MAX_ROUND } from '../../../mesh/agreement/ballot.ts'
import { decodeAgreement, decodeRegister, encodeAgreement, encodeRegister } from '../../../mesh/agreement/codec.ts'
import { MAX_AGREEMENT_MESSAGE, MAX_REPORT_BYTES, MAX_VALUE_BYTES } from '../../../mesh/agreement/limits.ts'
import { StoredRegister, AgreementMessage as Wire } from '../../../mesh/agreement/pb/agreement.ts'
import type { AgreementMessage, Register } from '../../../mesh/agreement/state.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
t.comment('seed', seed)

const name = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 30 })
const bytes = fc.uint8Array({ maxLength: 300 })
const ballot = fc.record({ round: fc.integer({ min: 1, max: MAX_ROUND }), peer: name, nonce: fc.integer({ min: 0, max: 2 ** 32 - 1 }) })
const vote = fc.record({ ballot, value: bytes })
const message: fc.Arbitrary<AgreementMessage> = fc.oneof(
  fc.record({ kind: fc.constant('prepare' as const), key: name, ballot, group: name }),
  fc.record({ kind: fc.constant('promise' as const), key: name, ballot, report: bytes }),
  fc.record({ kind: fc.constant('promise' as const), key: name, ballot, report: bytes, vote }),
  fc.record({ kind: fc.constant('refuse' as const), key: name, ballot, reason: fc.constantFrom('voters', 'full') }),
  fc.record({ kind: fc.constant('refuse' as const), key: name, ballot, reason: fc.constant('ballot' as const), promised: ballot }),
  fc.record({ kind: fc.constant('accept' as const), key: name, ballot, group: name, value: bytes }),
  fc.record({ kind: fc.constant('accepted' as const), key: name, ballot }),
  fc.record({ kind: fc.constant('decided' as const), key: name, value: bytes, forced: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('query' as const, 'undecided' as const), key: name })
)
const register: fc.Arbitrary<Register> = fc.oneof(
  fc.record({ group: name, promised: ballot, vote }, { requiredKeys: ['group'] }),
  fc.record({ group: fc.constant(''), decision: fc.record({ value: bytes, forced: fc.boolean() }) })
)

function isMalformedOrFine(decode: () => unknown): boolean {
  try {
    decode()
    return true
  } catch (error) {
    return error instanceof MalformedError
  }
}

t.test('what is encoded is decoded', async t => {
  fc.assert(
    fc.property(message, m => {
      t.same(decodeAgreement(encodeAgreement(m)), m)
    }),
    { seed, numRuns: 300 }
  )
  fc.assert(
    fc.property(register, r => {
      t.same(decodeRegister('key', encodeRegister(r)), r)
    }),
    { seed, numRuns: 300 }
  )
})

t.test('random bytes and damaged messages give MalformedError and nothing else', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), b => isMalformedOrFine(() => decodeAgreement(b))),
    { seed, numRuns: 2000 }
  )
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(message, damage, fc.nat(), (m, changes, cut) => {
      const encoded = encodeAgreement(m).slice()
      for (const [at, byte] of changes) encoded[at % encoded.length] = byte
      return (
        isMalformedOrFine(() => decodeAgreement(encoded)) &&
        isMalformedOrFine(() => decodeAgreement(encoded.subarray(0, cut % encoded.length)))
      )
    }),
    { seed, numRuns: 1000 }
  )
  t.pass()
})

t.test('what is over a limit is refused', async t => {
  const fine = { round: 1, peer: 'a', nonce: 0 }
  const cases: Record<string, Partial<Wire>> = {
    'no kind': { key: 'k' },
    'unknown kind': { kind: 9, key: 'k' },
    'no key': { kind: 7 },
    'long key': { kind: 7, key: 'k'.repeat(257) },
    'no ballot': { kind: 1, key: 'k', group: 'g' },
    'round 0': { kind: 1, key: 'k', group: 'g', ballot: { ...fine, round: 0 } },
    'last round': { kind: 1, key: 'k', group: 'g', ballot: { ...fine, round: 2 ** 32 - 1 } },
    'no peer': { kind: 1, key: 'k', group: 'g', ballot: { ...fine, peer: '' } },
    'no group': { kind: 1, key: 'k', ballot: fine },
    'long value': { kind: 4, key: 'k', group: 'g', ballot: fine, value: new Uint8Array(MAX_VALUE_BYTES + 1) },
    'long report': { kind: 2, key: 'k', ballot: fine, report: new Uint8Array(MAX_REPORT_BYTES + 1) },
    'no reason': { kind: 3, key: 'k', ballot: fine }
  }
  for (const [name, wire] of Object.entries(cases)) t.throws(() => decodeAgreement(Wire.encode(wire)), MalformedError, name)
  t.throws(() => decodeAgreement(new Uint8Array(MAX_AGREEMENT_MESSAGE + 1)), MalformedError)
  const value = new Uint8Array(MAX_VALUE_BYTES)
  const largest = encodeAgreement({ kind: 'promise', key: 'k'.repeat(256), ballot: fine, vote: { ballot: fine, value }, report: value })
  t.ok(largest.length <= MAX_AGREEMENT_MESSAGE)
})

t.test('a stored register of another version or a damaged one is named', async t => {
  t.throws(() => decodeRegister('job/1', StoredRegister.encode({ form: 2 })), VersionError)
  t.throws(() => decodeRegister('job/1', Uint8Array.of(255, 255)), { name: 'MalformedError', message: /job\/1/ })
})

t.test('ballots have one order', async t => {
  fc.assert(
    fc.property(ballot, ballot, ballot, (a, b, c) => {
      const [x, y, z] = [a, b, c].sort(compareBallots)
      return (
        Math.sign(compareBallots(a, b)) === -Math.sign(compareBallots(b, a)) &&
        compareBallots(x, y) <= 0 &&
        compareBallots(y, z) <= 0 &&
        compareBallots(x, z) <= 0 &&
        compareBallots(undefined, a) < 0 &&
        compareBallots(a, a) === 0
      )
    }),
    { seed, numRuns: 300 }
  )
  t.equal(compareBallots(undefined, undefined), 0)
})

import fc from 'fast-check'
import t from 'tap'
import { MalformedError, TooLargeError } from '../../../common/index.ts'
import { decodeMembership, encodeMembership } from '../../../mesh/membership/codec.ts'
import { MembershipMessage as Wire } from '../../../mesh/membership/pb/membership.ts'
import { MAX_EPOCH, MAX_MEMBERSHIP_MESSAGE, type MemberRecord, noBytes } from '../../../mesh/membership/record.ts'
import type { MembershipMessage } from '../../../mesh/membership/state.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
t.comment('seed', seed)

const name = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 100 })
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const life = { epoch: fc.integer({ min: 0, max: MAX_EPOCH }), incarnation: fc.integer({ min: 0, max: 2 ** 32 - 2 }) }
const record: fc.Arbitrary<MemberRecord> = fc.record({
  peer: name,
  ...life,
  state: fc.constantFrom('alive', 'suspect', 'dead', 'left'),
  addresses: fc.array(name, { maxLength: 8 }),
  version: fc.uint8Array({ maxLength: 256 }),
  by: fc.oneof(fc.constant(''), name),
  proof: fc.uint8Array({ maxLength: 512 })
})
const head = { ...life, records: fc.array(record, { maxLength: 64 }) }
const message: fc.Arbitrary<MembershipMessage> = fc.oneof(
  fc.record({ kind: fc.constant('ping' as const), probe: uint32, ...head }),
  fc.record({ kind: fc.constant('ack' as const), probe: uint32, target: fc.oneof(fc.constant(''), name), ...head }),
  fc.record({ kind: fc.constantFrom('ask' as const, 'nack' as const), probe: uint32, target: name, ...head }),
  fc.record({ kind: fc.constant('news' as const), ...head }),
  fc.record({ kind: fc.constant('digest' as const), digest: uint32, ...head }),
  fc.record({ kind: fc.constant('state' as const), reply: fc.boolean(), ...head })
)

/** Decoding gives a message, or MalformedError and nothing else. */
function isMalformedOrFine(bytes: Uint8Array): boolean {
  try {
    decodeMembership(bytes)
    return true
  } catch (error) {
    return error instanceof MalformedError
  }
}

t.test('what is encoded is decoded', async t => {
  fc.assert(
    fc.property(message, m => {
      t.same(decodeMembership(encodeMembership(m)), { ...m, records: m.records.map(plain) })
    }),
    { seed, numRuns: 100 }
  )
})

function plain(record: MemberRecord): MemberRecord {
  return { ...record, version: Uint8Array.from(record.version), proof: Uint8Array.from(record.proof) }
}

t.test('random bytes and damaged messages give MalformedError and nothing else', async t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), isMalformedOrFine), { seed, numRuns: 2000 })
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(message, damage, fc.nat(), (m, changes, cut) => {
      const bytes = encodeMembership(m).slice()
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      return isMalformedOrFine(bytes) && isMalformedOrFine(bytes.subarray(0, cut % bytes.length))
    }),
    { seed, numRuns: 1000 }
  )
  t.pass()
})

t.test('what is over a limit is refused', async t => {
  const fine: MemberRecord = {
    peer: 'a',
    epoch: 1,
    incarnation: 0,
    state: 'alive',
    addresses: [],
    version: noBytes,
    by: '',
    proof: noBytes
  }
  const records = (change: Partial<MemberRecord>, count = 1) =>
    Wire.encode({ kind: 5, records: Array.from({ length: count }, () => ({ ...fine, state: 0, ...(change as object) }) as never) })
  t.ok(isMalformedOrFine(records({}, 64)))
  const cases: Record<string, Uint8Array> = {
    'no kind': Wire.encode({}),
    'unknown kind': Wire.encode({ kind: 8 }),
    'too many records': records({}, 65),
    'no peer': records({ peer: '' }),
    'long peer': records({ peer: 'x'.repeat(129) }),
    'long by': records({ by: 'x'.repeat(129) }),
    'unknown state': records({ state: 4 as never }),
    'high epoch': records({ epoch: 2 ** 53 - 1 }),
    'many addresses': records({ addresses: Array(9).fill('/ip4/1.2.3.4') }),
    'long address': records({ addresses: ['x'.repeat(257)] }),
    'empty address': records({ addresses: [''] }),
    'long version': records({ version: new Uint8Array(257) }),
    'long proof': records({ proof: new Uint8Array(513) }),
    'no target': Wire.encode({ kind: 3 }),
    'large frame': new Uint8Array(MAX_MEMBERSHIP_MESSAGE + 1)
  }
  for (const [name, bytes] of Object.entries(cases)) t.throws(() => decodeMembership(bytes), MalformedError, name)
})

t.test('the largest message of the core fits; a larger one is not sent', async t => {
  const largest: MemberRecord = {
    peer: 'p'.repeat(128),
    epoch: MAX_EPOCH,
    incarnation: 2 ** 32 - 2,
    state: 'left',
    addresses: Array(8).fill('a'.repeat(256)),
    version: new Uint8Array(256),
    by: 'b'.repeat(128),
    proof: new Uint8Array(512)
  }
  const state = (count: number): MembershipMessage => ({
    kind: 'state',
    epoch: 1,
    incarnation: 1,
    reply: true,
    records: Array(count).fill(largest)
  })
  t.ok(encodeMembership(state(64)).length <= MAX_MEMBERSHIP_MESSAGE)
  t.throws(() => encodeMembership(state(100)), TooLargeError)
})

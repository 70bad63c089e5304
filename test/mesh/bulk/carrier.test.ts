import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Carrier } from '../../../mesh/bulk/carrier.ts'
import { encodeFrame, FrameType } from '../../../mesh/bulk/frames.ts'
import type { RingEvents, RingLink } from '../../../mesh/bulk/ring-link.ts'
import { createShmLink, shmProblem } from '../../../native/index.ts'
import { until } from './hosts.ts'

const RING = 1 << 20

/** A link whose other side is the test itself, which may put anything into its ring. */
function hostile() {
  const out = new Uint8Array(RING)
  const ring = new Uint8Array(RING)
  const state = { head: 0, consumed: 0, published: 0 }
  let events: RingEvents | undefined
  const link: RingLink = {
    out,
    in: ring,
    start: given => {
      events = given
    },
    publish: head => {
      state.published = head
    },
    consume() {},
    peerHead: () => state.head,
    peerConsumed: () => state.consumed,
    starve() {},
    close() {}
  }
  const seen: number[] = []
  const errors: Error[] = []
  const carrier = new Carrier('shm', 'mallory', link, {
    frame: bytes => seen.push(bytes.length),
    writable() {},
    failed: error => errors.push(error),
    hostile: error => errors.push(error)
  })
  carrier.read()
  return {
    carrier,
    state,
    seen,
    errors,
    /** Publishes bytes at the start of the ring. */
    publish(bytes: number, length: number) {
      new DataView(ring.buffer).setUint32(0, length, true)
      state.head = bytes
      events?.moved()
    },
    moved: () => events?.moved()
  }
}

t.test('a ring that lies about what is in it is refused before anything is read', t => {
  const cases: [string, number, number][] = [
    ['more published than the ring holds', RING + 8, 20],
    ['a frame longer than what was published', 64, 100],
    ['a frame longer than any', RING, 300_000],
    ['a frame shorter than a header', 64, 8],
    ['a frame past the end of the ring', RING, 0xfffffff0],
    ['a wrap that was not published', 64, 0xffffffff],
    ['half a prefix', 4, 20]
  ]
  for (const [name, head, length] of cases) {
    const h = hostile()
    h.publish(head, length)
    t.match(h.errors, [{ name: 'MalformedError' }], name)
    t.same(h.seen, [], `${name}: nothing was taken`)
    h.moved()
    t.equal(h.errors.length, 1, `${name}: told once`)
  }
  t.end()
})

t.test('a peer that says it took more than was sent is refused', t => {
  const h = hostile()
  t.ok(h.carrier.write(encodeFrame(FrameType.heartbeat)))
  h.carrier.flush()
  h.state.consumed = 64
  h.carrier.watch()
  t.match(h.errors, [{ name: 'MalformedError', message: /took more than was sent/ }])
  const honest = hostile()
  honest.carrier.write(encodeFrame(FrameType.heartbeat))
  for (const count of [2, -1]) t.throws(() => honest.carrier.lost(count), { name: 'MalformedError' })
  t.equal(honest.carrier.lost(0).length, 1)
  t.same(honest.carrier.lost(1), [])
  t.end()
})

t.test('a full ring takes nothing until it was consumed', t => {
  const h = hostile()
  const frame = encodeFrame(FrameType.message, 0, 0, new Uint8Array(65_000))
  let count = 0
  while (h.carrier.write(frame)) count++
  t.ok(count >= 15 && count < RING / frame.length)
  h.carrier.flush()
  h.state.consumed = h.state.published
  t.ok(h.carrier.write(frame), 'there is room again')
  t.equal(h.carrier.underway, 1)
  t.same(h.errors, [])
  t.end()
})

t.test('shared memory is opened only where it is what the other side named', { skip: shmProblem ?? false }, t => {
  const token = randomBytes(16)
  const mine = createShmLink(65_536, randomBytes(16))
  const theirs = createShmLink(65_536, token)
  const nothing = () => {}
  t.throws(() => mine.attach(process.pid, theirs.fd, 65_536, randomBytes(16), nothing), /does not hold its token/)
  t.throws(() => mine.attach(process.pid, theirs.fd, 131_072, token, nothing), /size it named/)
  t.throws(() => mine.attach(process.pid, 0, 65_536, token, nothing))
  t.throws(() => mine.attach(0x7fffffff, theirs.fd, 65_536, token, nothing), /opening the other side/)
  t.throws(() => mine.attach(process.pid, -1, 65_536, token, nothing), /no such ring/)
  t.throws(() => mine.attach(process.pid, theirs.fd, 65_536, token.subarray(1), nothing), /attach\(pid/)
  for (const size of [0, 1000, 65_537, 2 ** 31, Number.NaN]) t.throws(() => createShmLink(size, token), /power of two/)
  t.throws(() => createShmLink(65_536, token.subarray(1)), /16 bytes/)
  t.equal(mine.attach(process.pid, theirs.fd, 65_536, token, nothing).byteLength, 65_536)
  t.throws(() => mine.attach(process.pid, theirs.fd, 65_536, token, nothing), /closed or attached/)
  mine.close()
  theirs.close()
  t.throws(() => mine.publish(0), /closed/)
  t.end()
})

t.test('a thousand links that were given up leave no descriptor, no mapping and no name', { skip: shmProblem ?? false }, async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const descriptors = () => readdirSync('/proc/self/fd').length
  const mappings = () =>
    readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .filter(line => line.includes('memfd:gradmesh ')).length
  const before = descriptors()
  const names = readdirSync('/dev/shm')
  for (let i = 0; i < 1000; i++) {
    const tokens = [randomBytes(16), randomBytes(16)] as const
    const [one, other] = [createShmLink(65_536, tokens[0]), createShmLink(65_536, tokens[1])]
    one.attach(process.pid, other.fd, 65_536, tokens[1], () => {})
    other.attach(process.pid, one.fd, 65_536, tokens[0], () => {})
    one.publish(64)
    one.close()
    other.close()
    if (i % 100 === 99) {
      collect()
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  t.ok(descriptors() <= before, 'descriptors are given back at once')
  await until(() => {
    collect()
    return mappings() === 0
  })
  t.equal(mappings(), 0, 'the memory goes with the last view of it')
  t.same(
    readdirSync('/dev/shm').filter(name => name.includes('gradmesh') && !names.includes(name)),
    []
  )
})

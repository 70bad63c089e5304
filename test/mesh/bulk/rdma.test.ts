import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import t from 'tap'
import type { FastWay } from '../../../mesh/bulk/boarding.ts'
import type { BulkChannel } from '../../../mesh/bulk/index.ts'
import { checkLockedMemory, type RdmaOptions, rdmaWay } from '../../../mesh/bulk/rdma.ts'
import { ucxReport } from '../../../native/index.ts'
import { createPair, pattern, until } from './hosts.ts'

const report = ucxReport()
// RDMA's own verbs are tested by npm run test:rdma; here the same code runs over UCX's TCP.
const skip = 'problem' in report && `no UCX here: ${report.problem}`

const settings: RdmaOptions = {
  kinds: 'test',
  transports: process.env['GRADMESH_TEST_UCX_TLS'] ?? 'tcp',
  priority: process.env['GRADMESH_TEST_UCX_CM'] ?? 'tcp',
  addresses: [process.env['GRADMESH_TEST_UCX_ADDRESS'] ?? '127.0.0.1'],
  watchdog: Number(process.env['GRADMESH_TEST_UCX_WATCHDOG'] ?? 10_000)
}

async function overUcx(t: { teardown(callback: () => unknown): void }, options: Partial<RdmaOptions> = {}) {
  const way = rdmaWay({ ...settings, ...options })
  const fails: string[] = []
  const pair = await createPair({ ways: [way], onTravel: (_peer, _kind, reason) => reason && fails.push(reason.message) })
  t.teardown(async () => {
    await pair.stop()
    way.close()
  })
  return { ...pair, way, fails }
}

async function move(
  t: { equal(a: unknown, b: unknown, says: string): void },
  from: BulkChannel,
  to: BulkChannel,
  id: string,
  size: number
) {
  const sent = pattern(size, size)
  const into = new Uint8Array(size)
  await Promise.all([from.send(id, sent), to.receive(id, into)])
  t.equal(Buffer.compare(into, sent), 0, `${id}: ${size} bytes are whole`)
}

t.test('a channel goes over to UCX, and transfers of all sizes arrive both ways', { skip }, async t => {
  const { left, right } = await overUcx(t)
  await until(() => left.kind === 'rdma' && right.kind === 'rdma')
  await Promise.all(
    [0, 1, 4096, 262_045, 5_000_000].flatMap(size => [move(t, left, right, `lr${size}`, size), move(t, right, left, `rl${size}`, size)])
  )
})

/** A way on which one side tells other details than it has. */
function lying(way: FastWay, lie: (details: any) => any): FastWay {
  return {
    ...way,
    async begin(peer, first) {
      const attempt = await way.begin(peer, first)
      return {
        details: first ? encode(lie(decode(attempt.details))) : attempt.details,
        complete: (theirs, signal) => attempt.complete(theirs, signal),
        abandon: () => attempt.abandon()
      }
    }
  }
}

t.test('a peer with a wrong key is refused, and the channel stays on the stream', { skip }, async t => {
  const way = rdmaWay({ ...settings, watchdog: 100 })
  const fails: string[] = []
  const pair = await createPair({
    ways: [lying(way, details => ({ ...details, token: randomBytes(16) }))],
    onTravel: (_peer, _kind, reason) => reason && fails.push(reason.message)
  })
  t.teardown(async () => {
    await pair.stop()
    way.close()
  })
  await until(() => fails.length === 2)
  await move(t, pair.left, pair.right, 'after', 300_000)
  t.equal(pair.left.kind, 'stream')
})

t.test('details that are none are refused', { skip }, async t => {
  for (const lie of [
    (d: any) => ({ ...d, address: 'zz' }),
    (d: any) => ({ ...d, key: new Uint8Array(5000) }),
    (d: any) => ({ ...d, bytes: 64 }),
    (d: any) => ({ ...d, addresses: ['/etc/passwd'] }),
    () => 'nothing'
  ]) {
    const way = rdmaWay(settings)
    const fails: string[] = []
    const pair = await createPair({ ways: [lying(way, lie)], onTravel: (_peer, _kind, reason) => reason && fails.push(reason.message) })
    await until(() => fails.length === 2)
    t.match(fails.join(), /malformed|rings have 64 bytes|too long/)
    await pair.stop()
    way.close()
  }
})

t.test('when the fabric goes in the middle of a transfer, it goes on over the stream', { skip }, async t => {
  const own = rdmaWay(settings)
  const theirs = rdmaWay(settings)
  // the sides take turns, so that each has a worker of its own
  let turn = 0
  const split: FastWay = { ...own, begin: (peer, first) => (turn++ === 0 ? own : theirs).begin(peer, first) }
  const fails: string[] = []
  const pair = await createPair({ ways: [split], onTravel: (_peer, _kind, reason) => reason && fails.push(reason.message) })
  t.teardown(async () => {
    await pair.stop()
    own.close()
    theirs.close()
  })
  await until(() => pair.left.kind === 'rdma' && pair.right.kind === 'rdma')
  const size = 30_000_000
  const work = Promise.all([move(t, pair.left, pair.right, 'lr', size), move(t, pair.right, pair.left, 'rl', size)])
  await until(() => pair.right.statistics.bytesReceived > 3_000_000)
  own.close()
  await work
  t.equal(fails.length, 2)
  t.equal(pair.left.statistics.transfersSent, 1)
  t.equal(pair.right.statistics.transfersReceived, 1)
  await until(() => theirs.held === 0)
  t.equal(theirs.held, 0, 'endpoints and registrations are given back')
})

t.test('a thousand aborted links leave no registration and no memory', { skip }, async t => {
  const way = rdmaWay({ ...settings, ringBytes: 65_536 })
  t.teardown(() => way.close())
  for (let i = 0; i < 1000; i++) {
    const attempt = await way.begin('peer', true)
    attempt.abandon()
  }
  await until(() => way.held === 0)
  t.equal(way.held, 0)
})

t.test('too little locked memory is refused with the setting to change', t => {
  t.throws(() => checkLockedMemory(65_536, 4_194_304), { name: 'InvalidParametersError', message: /ulimit -l.*memlock/ })
  t.doesNotThrow(() => checkLockedMemory(Number.POSITIVE_INFINITY, 4_194_304))
  t.end()
})

t.test('missing libraries are reported with the package to install', { skip }, t => {
  const script = "import('./native/index.ts').then(native => console.log(native.ucxReport().problem))"
  const { stdout } = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: { ...process.env, GRADMESH_UCX_LIBRARY: 'libnothing.so' }
  })
  t.match(stdout, /absent \(Debian: apt-get install libucx0\)/)
  t.end()
})

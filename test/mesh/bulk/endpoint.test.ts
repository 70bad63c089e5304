import type { Libp2p, Stream } from '@libp2p/interface'
import t from 'tap'
import { FrameParser, FrameType } from '../../../mesh/bulk/frames.ts'
import { BULK_PROTOCOL, type BulkChannel, createBulkEndpoint } from '../../../mesh/bulk/index.ts'
import { admittedBy, host, newAuthority } from '../fixtures.ts'
import { createTestHost, createTrainer, type Trainer, until } from './hosts.ts'

async function trainers(
  t: { teardown(callback: () => unknown): void },
  count: number,
  options?: Parameters<typeof createTrainer>[0]
): Promise<Trainer[]> {
  const all = await Promise.all(Array.from({ length: count }, () => createTrainer(options)))
  t.teardown(() => Promise.all(all.map(trainer => trainer.stop())))
  return all.sort((a, b) => (a.peer < b.peer ? -1 : 1))
}

async function works(left: BulkChannel, right: BulkChannel): Promise<boolean> {
  const from = new Uint8Array(300_000).fill(7)
  const into = new Uint8Array(from.length)
  await Promise.all([left.send('works', from), right.receive('works', into)])
  return Buffer.compare(from, into) === 0
}

t.test('whoever dials, both ends have one channel, on a connection of its own', async t => {
  const [a, b] = await trainers(t, 2)
  const opened: BulkChannel[] = []
  b.endpoint.onChannel(channel => opened.push(channel))
  // a connection that control would use
  await a.host.dial(b.host.getMultiaddrs())
  const left = await a.endpoint.connect(b.peer, b.endpoint.endpoints())
  await until(() => opened.length === 1)
  t.equal(left.peer, b.peer)
  t.equal(opened[0].peer, a.peer)
  t.equal(b.endpoint.channel(a.peer), opened[0])
  t.equal(await a.endpoint.connect(b.peer, b.endpoint.endpoints()), left, 'and connecting again finds it')
  t.equal(await b.endpoint.connect(a.peer, []), opened[0], 'from the other side too')
  t.ok(await works(left, opened[0]))
  t.equal(a.host.getConnections(b.host.peerId).length, 2)
  await left.close()
  await until(() => a.host.getConnections(b.host.peerId).length === 1 && b.endpoint.channel(a.peer) === undefined)
  t.pass('its connection went with it, the other one stayed')
})

t.test('dials from both sides at once resolve to one channel, again and again', async t => {
  const [a, b] = await trainers(t, 2)
  for (let round = 0; round < 10; round++) {
    const connects = [
      a.endpoint.connect(b.peer, b.endpoint.endpoints()),
      b.endpoint.connect(a.peer, a.endpoint.endpoints()),
      a.endpoint.connect(b.peer, b.endpoint.endpoints())
    ]
    const [left, right, again] = await Promise.all(connects)
    t.equal(left, again)
    t.ok(await works(left, right))
    t.ok(await works(right, left))
    t.equal(a.endpoint.channel(b.peer), left)
    t.equal(b.endpoint.channel(a.peer), right)
    await (round % 2 ? left : right).close()
    await until(() => !a.endpoint.channel(b.peer) && !b.endpoint.channel(a.peer))
  }
  await until(() => a.host.getConnections().length === 0 && b.host.getConnections().length === 0)
  t.pass('no connection is left behind')
})

t.test('five trainers that all dial one another at once have a full set of channels', async t => {
  const all = await trainers(t, 5)
  const work: Promise<BulkChannel>[] = []
  for (const one of all) for (const other of all) if (one !== other) work.push(one.endpoint.connect(other.peer, other.endpoint.endpoints()))
  await Promise.all(work)
  for (const one of all) {
    for (const other of all) {
      if (one.peer >= other.peer) continue
      t.ok(await works(one.endpoint.channel(other.peer)!, other.endpoint.channel(one.peer)!))
    }
  }
})

t.test('when only one of two simultaneous dials can work, it serves both', async t => {
  const [low, high] = await trainers(t, 2)
  // the side whose dial would win cannot reach the other
  const connects = [
    low.endpoint.connect(high.peer, ['/ip4/127.0.0.1/tcp/1']).catch(error => error),
    high.endpoint.connect(low.peer, low.endpoint.endpoints())
  ]
  const [left, right] = await Promise.all(connects)
  t.equal(right.peer, low.peer)
  // whether its own failed first or the other's came first, it can have the channel
  t.ok(left.name === 'UnreachableError' || left === low.endpoint.channel(high.peer))
  t.ok(await works(low.endpoint.channel(high.peer)!, right))
})

t.test('a peer that is not allowed waits until it is, and is refused when that takes too long', async t => {
  const [a, b] = await trainers(t, 2)
  const [strict] = await trainers(t, 1, { undecidedTimeout: 200 })
  strict.endpoint.allow(() => false)
  await t.rejects(a.endpoint.connect(strict.peer, strict.endpoint.endpoints()), { name: 'AdmissionError', message: /does not allow/ })
  b.endpoint.allow(() => false)
  const connecting = a.endpoint.connect(b.peer, b.endpoint.endpoints())
  await until(() => b.host.getConnections().length > 0)
  b.endpoint.allow(peer => peer === a.peer)
  const left = await connecting
  t.ok(await works(left, b.endpoint.channel(a.peer)!))
  await t.rejects(b.endpoint.connect('12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo', []), {
    name: 'InvalidParametersError',
    message: /allow\(\)/
  })
})

t.test('a peer that is allowed no longer loses its channel, and what was under way is fenced', async t => {
  const [a, b] = await trainers(t, 2)
  const left = await a.endpoint.connect(b.peer, b.endpoint.endpoints())
  await until(() => b.endpoint.channel(a.peer) !== undefined)
  const right = b.endpoint.channel(a.peer)!
  const fenced = right.receive('x', new Uint8Array(5))
  const lost = left.send('y', new Uint8Array(5))
  b.endpoint.allow(() => false)
  await t.rejects(fenced, { name: 'FencedError' })
  await t.rejects(lost, { name: 'UnreachableError' })
  t.equal(b.endpoint.channel(a.peer), undefined)
})

t.test('a trainer that lost the channel gets a new one in place of the old', async t => {
  const [a, b] = await trainers(t, 2)
  for (const [from, to] of [
    [a, b],
    [b, a]
  ]) {
    await from.endpoint.connect(to.peer, to.endpoint.endpoints())
    await until(() => to.endpoint.channel(from.peer) !== undefined)
    const old = to.endpoint.channel(from.peer)!
    const waiting = old.send('x', new Uint8Array(5)).catch(error => error.name)
    // the endpoint is made anew on the same host, as after a crash that the other side has not noticed
    await from.endpoint.close()
    from.endpoint = createBulkEndpoint(from.host)
    from.endpoint.allow(() => true)
    const left = await from.endpoint.connect(to.peer, to.endpoint.endpoints())
    t.equal(await waiting, 'UnreachableError')
    t.not(to.endpoint.channel(from.peer), old)
    t.ok(await works(left, to.endpoint.channel(from.peer)!))
  }
})

t.test('what cannot be connected says why', async t => {
  const [a, b] = await trainers(t, 2, { connectTimeout: 2000 })
  const plain = await createTestHost()
  t.teardown(() => plain.stop())
  const addresses = plain.getMultiaddrs().map(address => address.toString())
  await t.rejects(a.endpoint.connect(plain.peerId.toString(), addresses), { name: 'VersionError', message: /does not speak/ })
  await t.rejects(a.endpoint.connect(b.peer, ['/ip4/127.0.0.1/tcp/1']), { name: 'UnreachableError', message: /cannot be reached/ })
  const elsewhere = addresses.map(address => address.replace(/\/p2p\/.*/, ''))
  await t.rejects(a.endpoint.connect(b.peer, elsewhere), { name: 'UnreachableError' }, 'another peer answers there')
  for (const candidates of [[], ['nonsense'], addresses, [`/ip4/127.0.0.1/tcp/1${'/http'.repeat(200)}`]]) {
    await t.rejects(a.endpoint.connect(b.peer, candidates), { name: 'InvalidParametersError', message: /none of the/ })
  }
  await t.rejects(a.endpoint.connect(a.peer, a.endpoint.endpoints()), { name: 'InvalidParametersError' })
  b.endpoint.allow(() => false)
  await t.rejects(a.endpoint.connect(b.peer, b.endpoint.endpoints(), { signal: AbortSignal.abort() }), { name: 'AbortedError' })
  const controller = new AbortController()
  const waiting = a.endpoint.connect(b.peer, b.endpoint.endpoints(), { signal: controller.signal })
  await until(() => b.host.getConnections().length > 0)
  controller.abort()
  await t.rejects(waiting, { name: 'AbortedError' })
  await t.rejects(a.endpoint.connect(b.peer, b.endpoint.endpoints()), { name: 'UnreachableError', message: /within 2 s/ })
  await until(() => a.host.getConnections().length === 0)
  t.pass('no connection is left behind')
  await a.endpoint.close()
  await t.rejects(a.endpoint.connect(b.peer, b.endpoint.endpoints()), { name: 'UnreachableError', message: /was closed/ })
})

t.test('a closed endpoint closes its channels and takes no more', async t => {
  const [a, b] = await trainers(t, 2)
  const left = await a.endpoint.connect(b.peer, b.endpoint.endpoints())
  await b.endpoint.close()
  await until(() => a.endpoint.channel(b.peer) === undefined)
  await t.rejects(left.send('x', new Uint8Array(1)), { name: 'UnreachableError' })
  await t.rejects(a.endpoint.connect(b.peer, b.endpoint.endpoints()), { name: 'VersionError' })
})

t.test('on hosts with admission, members get a channel and strangers none', async t => {
  const founder = newAuthority()
  const hosts = await Promise.all([host(t, founder), host(t, admittedBy(founder)), host(t, newAuthority())])
  const [a, b, stranger] = hosts.map(({ libp2p, admission }) => createBulkEndpoint(libp2p as Libp2p, { admitted: admission }))
  t.teardown(() => Promise.all([a, b, stranger].map(endpoint => endpoint.close())))
  for (const endpoint of [a, b, stranger]) endpoint.allow(() => true)
  const left = await a.connect(hosts[1].peer, b.endpoints())
  await until(() => b.channel(hosts[0].peer) !== undefined)
  t.ok(await works(left, b.channel(hosts[0].peer)!))
  await until(() => left.encryption === 'tls')
  await t.rejects(stranger.connect(hosts[0].peer, a.endpoints()))
  t.equal(a.channel(hosts[2].peer), undefined)
})

t.test('streams that do not greet are few and short-lived', async t => {
  const [a] = await trainers(t, 1, { undecidedTimeout: 4000 })
  const stranger = await createTestHost()
  t.teardown(() => stranger.stop())
  const heard: number[][] = []
  const streams: Stream[] = []
  for (let i = 0; i < 6; i++) {
    const connection = await stranger.dial(a.host.getMultiaddrs(), { force: true })
    const stream = await connection.newStream(BULK_PROTOCOL)
    const replies: number[] = []
    const sink = { frame: (type: number) => replies.push(type), chunkStart() {}, chunkBytes() {}, chunkEnd() {} }
    const parser = new FrameParser(sink)
    stream.addEventListener('message', event => parser.push(event.data.subarray()))
    heard.push(replies)
    streams.push(stream)
  }
  await until(() => heard[4].includes(FrameType.refuse) && heard[5].includes(FrameType.refuse))
  t.equal(a.endpoint.channel(stranger.peerId.toString()), undefined)
  await until(() =>
    streams.every(stream => stream.status !== 'open' || (stream as { remoteWriteStatus?: string }).remoteWriteStatus === 'closed')
  )
  t.notOk(heard.slice(0, 4).some(replies => replies.includes(FrameType.accept)))
})

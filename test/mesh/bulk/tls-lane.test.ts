import { once } from 'node:events'
import { createServer as createTcpServer, connect as tcpConnect } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import t from 'tap'
import type { Pipe } from '../../../mesh/bulk/pipe.ts'
import { connectLane, LaneListener, OFFER_BYTES } from '../../../mesh/bulk/tls-lane.ts'
import { createPair, pattern, until } from './hosts.ts'

async function lane(t: { teardown(callback: () => unknown): void }): Promise<[Pipe, Pipe]> {
  const listener = new LaneListener({ host: '127.0.0.1' })
  t.teardown(() => listener.close())
  const taken = Promise.withResolvers<Pipe>()
  const offer = await listener.offer(taken.resolve)
  return Promise.all([connectLane('127.0.0.1', offer!), taken.promise])
}

const quiet = { data() {}, writable() {}, end() {} }

t.test('bytes go both ways, in order, and a buffer comes back when it has left', async t => {
  const [left, right] = await lane(t)
  const sent = pattern(3_000_000, 1)
  const got: Buffer[] = []
  let bytes = 0
  let released = 0
  right.start({
    ...quiet,
    data(piece) {
      got.push(Buffer.from(piece))
      bytes += piece.length
    }
  })
  const parts = Array.from({ length: 30 }, (_, i) => sent.subarray(i * 100_000, (i + 1) * 100_000))
  const more = () => {
    while (left.writable && parts.length > 0) left.write(parts.shift()!, () => released++)
  }
  left.start({ ...quiet, writable: more })
  more()
  t.ok(parts.length > 0, 'a full socket is not written to')
  // paused until someone reads
  await new Promise(resolve => setImmediate(resolve))
  t.equal(bytes, 0)
  right.resume()
  await until(() => bytes === sent.length && released === 30)
  t.equal(Buffer.compare(Buffer.concat(got), sent), 0)
  const ended = new Promise(resolve => {
    right.start({ ...quiet, end: resolve })
  })
  await left.close()
  t.equal(await ended, undefined)
  await right.close()
})

t.test('a lane that breaks says so', async t => {
  const [left, right] = await lane(t)
  left.start(quiet)
  const ended = new Promise(resolve => {
    right.start({ ...quiet, end: resolve })
  })
  right.resume()
  left.abort(new Error('enough'))
  // a reset or an end, as the kernel tells it
  await ended
  t.equal(right.writable, false)
})

t.test('an offer serves once, with its own key, and nobody else gets in', async t => {
  const listener = new LaneListener({ host: '127.0.0.1' })
  t.teardown(() => listener.close())
  let taken = 0
  const offer = (await listener.offer(lane => {
    taken++
    lane.start(quiet)
    lane.resume()
  }))!
  const wrongKey = Uint8Array.from(offer)
  wrongKey[OFFER_BYTES - 1] ^= 1
  await t.rejects(connectLane('127.0.0.1', wrongKey))
  const wrongToken = Uint8Array.from(offer)
  wrongToken[5] ^= 1
  await t.rejects(connectLane('127.0.0.1', wrongToken))
  t.equal(taken, 0)
  const first = await connectLane('127.0.0.1', offer)
  await until(() => taken === 1)
  // the key is used up: whether the handshake fails or the socket is dropped after it, no second lane comes of it
  const second = connectLane('127.0.0.1', offer).then(
    lane =>
      new Promise(resolve => {
        lane.start({ ...quiet, end: resolve })
        lane.resume()
      }),
    () => {}
  )
  await second
  t.equal(taken, 1)
  first.start(quiet)
  first.abort(new Error('done'))

  const port = Buffer.from(offer).readUInt16LE()
  const withoutKey = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  t.ok((await once(withoutKey, 'error'))[0])
  const garbage = tcpConnect(port, '127.0.0.1')
  garbage.on('error', () => {})
  garbage.write('GET / HTTP/1.0\r\n\r\n')
  garbage.resume()
  await once(garbage, 'close')
  t.equal(taken, 1)
})

t.test('a malformed offer, a port where nobody is, one that never answers', async t => {
  await t.rejects(connectLane('127.0.0.1', new Uint8Array(3)), { name: 'MalformedError' })
  const dead = createTcpServer()
  dead.listen(0, '127.0.0.1')
  await once(dead, 'listening')
  const { port } = dead.address() as { port: number }
  dead.close()
  await once(dead, 'close')
  const offer = Buffer.alloc(OFFER_BYTES, 1)
  offer.writeUInt16LE(port)
  await t.rejects(connectLane('127.0.0.1', offer), { code: 'ECONNREFUSED' })
})

t.test('lanes are taken on the ports that were given; without a free one the channel stays on Noise', async t => {
  const taken = createTcpServer()
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const none = new LaneListener({ host: '127.0.0.1', ports: [port, port] })
  t.equal(await none.offer(() => {}), undefined)
  await none.close()
  const { left, right, stop } = await createPair({ ports: [port, port] })
  t.teardown(stop)
  const from = pattern(500_000, 2)
  const into = new Uint8Array(from.length)
  await Promise.all([left.send('x', from), right.receive('x', into)])
  t.equal(Buffer.compare(from, into), 0)
  t.equal(left.encryption, 'noise')
})

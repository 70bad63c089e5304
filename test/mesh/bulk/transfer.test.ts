import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createRng, shuffle } from '../../../common/index.ts'
import { BULK_PROTOCOL } from '../../../mesh/bulk/index.ts'
import { createPair, createTrainer, pattern, until } from './hosts.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** `undefined`: the channel goes over to its lane somewhere in the middle. */
for (const lanes of [true, false, undefined]) {
  const over = lanes === undefined ? 'while the channel goes over to TLS' : lanes ? 'over TLS' : 'over Noise'
  t.test(`transfers of random sizes in random order, both ways at once, ${over}, arrive intact`, t => random(t, lanes))
  t.test(`cancelled in the middle, then a new generation in the same buffers, ${over}`, t => cancelled(t, lanes))
}

async function random(t: Test, lanes?: boolean) {
  const { left, right, stop } = await createPair({ lanes })
  t.teardown(stop)
  t.equal(left.kind, 'stream')
  const rng = createRng(seed)
  const steps: (() => Promise<void>)[] = []
  const landed: { id: string; into: Uint8Array; digest: string }[] = []
  for (let i = 0; i < 16; i++) {
    const length = i === 0 ? 0 : 2 ** rng.int(21) + rng.int(1000)
    for (const [source, target] of [
      [left, right],
      [right, left]
    ]) {
      const from = pattern(length, i)
      const into = new Uint8Array(length)
      landed.push({ id: `t${i}`, into, digest: sha(from) })
      steps.push(
        () => source.send(`t${i}`, from),
        () => target.receive(`t${i}`, into)
      )
    }
  }
  await Promise.all(shuffle(steps, rng).map(step => step()))
  for (const { id, into, digest } of landed) t.equal(sha(into), digest, `${id}, ${into.length} bytes`)
  if (lanes !== false) await until(() => left.encryption === 'tls' && right.encryption === 'tls')
  t.equal(left.encryption, lanes === false ? 'noise' : 'tls')
}

t.test('views of shared memory can be sent and landed in', async t => {
  const { left, right, stop } = await createPair()
  t.teardown(stop)
  const from = new Float32Array(new SharedArrayBuffer(4_000_000), 400, 500_000).map((_, i) => Math.sin(i))
  const shared = new Float32Array(new SharedArrayBuffer(4_000_000))
  const into = shared.subarray(100, 500_100)
  const bytes = (a: Float32Array) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength)
  const source = new Float32Array(new SharedArrayBuffer(from.byteLength))
  source.set(from)
  await Promise.all([left.send('x', bytes(source)), right.receive('x', bytes(into))])
  t.ok(from.every((value, i) => Object.is(value, into[i])))
  t.equal(shared[99], 0)
  t.equal(shared[500_100], 0)
})

async function cancelled(t: Test, lanes?: boolean) {
  const { left, right, stop } = await createPair({ lanes })
  t.teardown(stop)
  const from = new Uint8Array(6_000_000)
  const into = new Uint8Array(from.length)
  for (let generation = 0; generation < 6; generation++) {
    pattern(from.length, generation, from)
    const digest = sha(from)
    const id = `g${generation}`
    const work = Promise.allSettled([left.send(id, from), right.receive(id, into)])
    if (generation % 2 === 0) {
      const start = right.statistics.bytesReceived
      await until(() => right.statistics.bytesReceived > start + 1_000_000)
      const canceller = generation % 4 === 0 ? right : left
      canceller.cancel(other => other === id)
      const [sent, received] = await work
      t.match(sent, { status: 'rejected', reason: { name: 'FencedError' } }, `generation ${generation} was fenced`)
      // when the sender cancelled, all may have been on its way already
      if (canceller === left && received.status === 'fulfilled') t.equal(sha(into), digest)
      else t.match(received, { status: 'rejected', reason: { name: 'FencedError' } })
      into.fill(0xff)
    } else {
      t.ok((await work).every(result => result.status === 'fulfilled'))
      t.equal(sha(into), digest, `generation ${generation} landed intact`)
    }
  }
}

t.test('messages go to and fro while a transfer of 50 MB is under way', async t => {
  const { left, right, stop } = await createPair()
  t.teardown(stop)
  const from = new Uint8Array(50_000_000)
  right.onMessage(body => right.message(body))
  let echoes = 0
  let under = true
  left.onMessage(body => {
    echoes++
    if (under) left.message(body)
  })
  left.message(Uint8Array.of(1))
  await Promise.all([left.send('big', from), right.receive('big', new Uint8Array(from.length))])
  under = false
  t.ok(echoes >= 5, `${echoes} round trips`)
})

t.test('a receiver that stops reading stops the sender within a window; it goes on when the receiver does', async t => {
  const { a, b, left, right, stop } = await createPair({ lanes: false })
  t.teardown(stop)
  const from = pattern(30_000_000, 4)
  const into = new Uint8Array(from.length)
  const stream = b.host.getConnections(a.host.peerId).flatMap(c => c.streams.filter(s => s.protocol === BULK_PROTOCOL))[0]
  const work = Promise.all([left.send('big', from), right.receive('big', into)])
  await until(() => right.statistics.bytesReceived > 0)
  stream.pause()
  // nothing moves any more when a hundred turns of the event loop have seen nothing move
  let last = -1
  for (let still = 0; still < 100; still = left.statistics.bytesSent === last ? still + 1 : 0) {
    last = left.statistics.bytesSent
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  const held = left.statistics.bytesSent - right.statistics.bytesReceived
  t.ok(held < 20_000_000, `${held} bytes are under way, of ${from.length}`)
  stream.resume()
  await work
  t.equal(sha(into), sha(from))
})

t.test('a receiver that nobody listens at stops the sender over TLS too', async t => {
  const { left, right, stop } = await createPair({ lanes: true })
  t.teardown(stop)
  // messages that nobody takes make the receiver stop reading
  const body = new Uint8Array(60_000)
  let sent = 0
  const flood = async () => {
    for (let still = 0; still < 100; ) {
      try {
        left.message(body)
        sent++
        still = 0
      } catch {
        still++
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    }
  }
  await flood()
  const held = left.statistics.bytesSent - right.statistics.bytesReceived
  // nearly all of it in the kernel, whose socket buffers grow to some 40 MB
  t.ok(held < 64_000_000, `${held} bytes are under way`)
  let got = 0
  right.onMessage(() => got++)
  await until(() => got === sent)
  const from = pattern(1_000_000, 1)
  const into = new Uint8Array(from.length)
  await Promise.all([left.send('x', from), right.receive('x', into)])
  t.equal(sha(into), sha(from))
})

t.test('a peer killed in mid-transfer rejects it with UnreachableError', async t => {
  const trainer = await createTrainer()
  t.teardown(() => trainer.stop())
  const child = fork(join(import.meta.dirname, 'trainer-process.ts'))
  t.teardown(() => child.kill('SIGKILL'))
  const { peer, endpoints } = await new Promise<{ peer: string; endpoints: string[] }>(resolve => child.once('message', resolve as never))
  const channel = await trainer.endpoint.connect(peer, endpoints)
  let closed: Error | undefined
  channel.onClose(error => {
    closed = error
  })
  const from = new Uint8Array(20_000_000)
  await channel.send('t0', from)
  const sent = channel.send('t1', from)
  const never = channel.receive('r', new Uint8Array(5))
  const start = channel.statistics.bytesSent
  await until(() => channel.statistics.bytesSent > start + 1_000_000)
  child.kill('SIGKILL')
  await t.rejects(sent, { name: 'UnreachableError', retryable: true })
  await t.rejects(never, { name: 'UnreachableError' })
  await until(() => closed !== undefined || trainer.endpoint.channel(peer) === undefined)
  t.equal(trainer.endpoint.channel(peer), undefined)
})

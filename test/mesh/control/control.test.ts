import t from 'tap'
import { MAX_CONTROL_MESSAGE, NotFoundError, OverloadedError, UnreachableError } from '../../../common/index.ts'
import { createControl, encodeFrame, FrameReader } from '../../../mesh/control/index.ts'
import { Frame } from '../../../mesh/control/pb/control.ts'
import type { Host } from '../../../mesh/host.ts'
import type { Control } from '../../../mesh/index.ts'
import { failure, pair, until } from '../fixtures.ts'

const ECHO = '/test/echo/1.0.0'
const none = new Uint8Array(0)

interface Sides {
  a: Host
  b: Host
  ask: Control
  answer: Control
}

async function sides(t: { teardown(callback: () => unknown): void }): Promise<Sides> {
  const [a, b] = await pair(t)
  const [ask, answer] = [await createControl({ host: a }), await createControl({ host: b })]
  t.teardown(() => {
    ask.stop()
    answer.stop()
  })
  return { a, b, ask, answer }
}

t.test('requests are answered, many at a time, each with its own reply', async t => {
  const { a, b, ask, answer } = await sides(t)
  answer.handle(ECHO, async (request, { from }) => {
    t.equal(from, a.peer)
    // Replies in another order than the requests.
    if (request[0]! % 2 === 0) await new Promise(resolve => setImmediate(resolve))
    return request
  })
  const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => ask.request(b.peer, ECHO, new Uint8Array([i]))))
  t.same(
    replies.map(r => r[0]),
    Array.from({ length: 200 }, (_, i) => i)
  )
})

t.test('a node asks itself as it asks others', async t => {
  const { a, ask } = await sides(t)
  ask.handle(ECHO, (request, { from }) => (from === a.peer ? request : none))
  t.same(await ask.request(a.peer, ECHO, new Uint8Array([7])), new Uint8Array([7]))
  ask.handle(
    '/test/stuck/1.0.0',
    (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
  )
  t.match(await failure(ask.request(a.peer, '/test/stuck/1.0.0', none, { deadline: 20 })), { name: 'DeadlineError' })
  const notes: number[] = []
  ask.onNotify('/test/note/1.0.0', (_, message) => notes.push(message[0]!))
  t.equal(ask.notify(a.peer, '/test/note/1.0.0', new Uint8Array([3])), true)
  await until(() => notes.length === 1, 'the note arrives')
})

t.test('messages of up to 4 MiB pass, larger ones are refused on either side', async t => {
  const { b, ask, answer } = await sides(t)
  answer.handle(ECHO, request => request)
  answer.handle('/test/huge/1.0.0', () => new Uint8Array(MAX_CONTROL_MESSAGE + 1))
  const big = new Uint8Array(MAX_CONTROL_MESSAGE).map((_, i) => i % 251)
  t.equal(Buffer.compare(await ask.request(b.peer, ECHO, big), big), 0)
  t.match(await failure(ask.request(b.peer, ECHO, new Uint8Array(MAX_CONTROL_MESSAGE + 1))), { name: 'TooLargeError' })
  t.match(await failure(ask.request(b.peer, '/test/huge/1.0.0', none)), { name: 'TooLargeError' })
})

t.test('a large reply does not hold up small ones for long', async t => {
  const { b, ask, answer } = await sides(t)
  answer.handle(ECHO, request => request)
  answer.handleStream('/test/bulk/1.0.0', async function* () {
    for (let i = 0; i < 30; i++) yield new Uint8Array(2 ** 20)
  })
  let streamed = 0
  let done = false
  const bulk = (async () => {
    for await (const item of ask.stream(b.peer, '/test/bulk/1.0.0', none)) streamed += item.byteLength
    done = true
  })()
  let answered = 0
  while (!done) {
    await ask.request(b.peer, ECHO, none)
    answered++
  }
  await bulk
  t.equal(streamed, 30 * 2 ** 20)
  t.ok(answered > 5, `${answered} requests were answered meanwhile`)
})

t.test('errors of the closed set come back as themselves, others without their stack', async t => {
  const { b, ask, answer } = await sides(t)
  answer.handle('/test/known/1.0.0', () => {
    throw new OverloadedError('too much of x')
  })
  answer.handle('/test/foreign/1.0.0', () => {
    throw new TypeError('oops')
  })
  const known = await failure(ask.request(b.peer, '/test/known/1.0.0', none))
  t.ok(known instanceof OverloadedError)
  t.match(known, { message: 'too much of x', retryable: true, overloaded: true })
  t.match(await failure(ask.request(b.peer, '/test/foreign/1.0.0', none)), { name: 'GradmeshError', message: 'oops', retryable: false })
})

t.test('what nobody answers is told apart from another version', async t => {
  const { b, ask, answer } = await sides(t)
  answer.handle('/test/thing/2.0.0', () => none)
  t.match(await failure(ask.request(b.peer, '/test/thing/1.0.0', none)), {
    name: 'VersionError',
    message: /\/test\/thing\/2\.0\.0 is spoken here/
  })
  t.ok((await failure(ask.request(b.peer, '/test/other/1.0.0', none))) instanceof NotFoundError)
  t.match(await failure(ask.request(b.peer, 'no id', none)), { name: 'InvalidParametersError' })
  t.throws(() => answer.handle('/test/thing/2.0.0', () => none), { name: 'InvalidParametersError' })
  answer.handle('/test/short/1.0.0', () => none)()
  t.ok((await failure(ask.request(b.peer, '/test/short/1.0.0', none))) instanceof NotFoundError)
})

t.test('a deadline or the caller’s signal ends a request, and its handler is told', async t => {
  const { b, ask, answer } = await sides(t)
  let waiting = 0
  let told = 0
  answer.handle('/test/stuck/1.0.0', (_, { signal }) => {
    waiting++
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        told++
        reject(new Error('aborted'))
      })
    })
  })
  answer.handle(ECHO, request => request)
  // From here on the stream is open, so that the deadline falls into the handler's time.
  await ask.request(b.peer, ECHO, none)
  t.match(await failure(ask.request(b.peer, '/test/stuck/1.0.0', none, { deadline: 30 })), {
    name: 'DeadlineError',
    message: /within 30 ms/
  })
  await until(() => told === 1, 'the first handler is told')
  const controller = new AbortController()
  const request = failure(ask.request(b.peer, '/test/stuck/1.0.0', none, { signal: controller.signal }))
  await until(() => waiting === 2, 'the second handler runs')
  controller.abort()
  t.match(await request, { name: 'AbortedError' })
  await until(() => told === 2, 'the second handler is told')
  t.match(await failure(ask.request(b.peer, ECHO, none, { signal: AbortSignal.abort() })), { name: 'AbortedError' })
})

t.test('the deadline tells the handler how long it has', async t => {
  const { b, ask, answer } = await sides(t)
  const seen: (number | undefined)[] = []
  answer.handle(ECHO, (request, { deadline }) => {
    seen.push(deadline)
    return request
  })
  await ask.request(b.peer, ECHO, none)
  await ask.request(b.peer, ECHO, none, { deadline: 60_000 })
  await ask.request(b.peer, ECHO, none, { deadline: Number.POSITIVE_INFINITY })
  t.ok(seen[0]! <= 30_000 && seen[0]! > 0)
  t.equal(seen[1], 60_000)
  t.equal(seen[2], undefined)
})

t.test('a lost connection leaves the outcome unknown; a peer that cannot be reached has seen nothing', async t => {
  const { a, b, ask, answer } = await sides(t)
  let waiting = 0
  let told = 0
  answer.handle('/test/stuck/1.0.0', (_, { signal }) => {
    waiting++
    signal.addEventListener('abort', () => told++)
    return new Promise(() => {})
  })
  const requests = Array.from({ length: 3 }, () => failure(ask.request(b.peer, '/test/stuck/1.0.0', none)))
  await until(() => waiting === 3, 'the handlers run')
  a.connection(b.peer)!.abort(new Error('the cable is cut'))
  for (const error of await Promise.all(requests)) t.match(error, { name: 'OutcomeUnknownError', retryable: false })
  await until(() => told === 3, 'the handlers are told')
  await until(() => a.connection(b.peer) === undefined, 'the connection is gone')
  t.ok((await failure(ask.request(b.peer, ECHO, none))) instanceof UnreachableError)
})

t.test('a request dials a member that is not connected', async t => {
  const [a, b] = await pair(t)
  const ask = await createControl({ host: a, addresses: peer => (peer === b.peer ? b.addresses() : []) })
  const answer = await createControl({ host: b })
  answer.handle(ECHO, request => request)
  await a.disconnect(b.peer)
  await until(() => a.connection(b.peer) === undefined && b.connection(a.peer) === undefined, 'both sides see that it is gone')
  const replies = await Promise.all(Array.from({ length: 5 }, () => ask.request(b.peer, ECHO, new Uint8Array([1]))))
  t.equal(replies.length, 5)
  t.equal(a.libp2p.getConnections().length, 1)
})

t.test('more requests than may wait are refused, and those that wait are answered', async t => {
  const { b, ask, answer } = await sides(t)
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  answer.handle('/test/gated/1.0.0', async request => {
    await gate
    return request
  })
  const requests = Array.from({ length: 1100 }, () => ask.request(b.peer, '/test/gated/1.0.0', none))
  const outcomes = Promise.allSettled(requests)
  await until(
    () =>
      ask.request(b.peer, '/test/gated/1.0.0', none).then(
        () => false,
        error => error instanceof OverloadedError
      ),
    'it is full'
  )
  open()
  const settled = await outcomes
  const failed = settled.filter(o => o.status === 'rejected')
  t.equal(settled.length - failed.length, 1024)
  t.ok(failed.every(o => o.reason instanceof OverloadedError))
})

t.test('one-way messages arrive in order, and are dropped when there is no way', async t => {
  const { a, b, ask, answer } = await sides(t)
  const got: number[] = []
  answer.onNotify('/test/note/1.0.0', (from, message) => {
    t.equal(from, a.peer)
    got.push(message[0]!)
    if (message[0] === 3) throw new Error('a handler’s failure concerns nobody else')
  })
  for (let i = 0; i < 100; i++) t.equal(ask.notify(b.peer, '/test/note/1.0.0', new Uint8Array([i])), true)
  await until(() => got.length === 100, 'all arrive')
  t.same(
    got,
    Array.from({ length: 100 }, (_, i) => i)
  )
  await a.disconnect(b.peer)
  await until(() => a.connection(b.peer) === undefined, 'the connection is gone')
  t.equal(ask.notify(b.peer, '/test/note/1.0.0', none), false)
})

t.test('one-way messages that nobody reads are dropped, not kept', async t => {
  const { b, ask } = await sides(t)
  // A peer that takes the stream and never reads it.
  await b.handle('/test/note/1.0.0', stream => stream.pause())
  let dropped = 0
  for (let i = 0; i < 200; i++) {
    if (!ask.notify(b.peer, '/test/note/1.0.0', new Uint8Array(2 ** 20))) dropped++
    await new Promise(resolve => setImmediate(resolve))
  }
  t.ok(dropped > 150, `${dropped} of 200 MiB were dropped`)
})

t.test('hostile frames end their stream and nothing else', async t => {
  const { a, b, ask, answer } = await sides(t)
  answer.handle(ECHO, request => request)
  const hostile = {
    'an oversized length': new Uint8Array([0xff, 0xff, 0xff, 0x7f]),
    'an endless length': new Uint8Array([0x80, 0x80, 0x80, 0x80, 0x80]),
    'bytes that are no protobuf': encodeFrame(new Uint8Array(100).fill(0xff)),
    'a frame with no body': encodeFrame(Frame.encode({ id: 1 })),
    'a reply to nobody': encodeFrame(Frame.encode({ id: 1, reply: new Uint8Array(1) })),
    'the same number twice': Buffer.concat([
      encodeFrame(Frame.encode({ id: 1, request: { protocol: '/test/stuck/1.0.0', payload: new Uint8Array(0), deadline: 0 } })),
      encodeFrame(Frame.encode({ id: 1, request: { protocol: '/test/stuck/1.0.0', payload: new Uint8Array(0), deadline: 0 } }))
    ])
  }
  answer.handle('/test/stuck/1.0.0', () => new Promise(() => {}))
  for (const protocol of ['/gradmesh/request/1.0.0', '/gradmesh/stream/1.0.0']) {
    for (const [name, bytes] of Object.entries(hostile)) {
      const stream = await a.openStream(b.peer, protocol)
      let ended = false
      stream.addEventListener('close', () => {
        ended = true
      })
      stream.addEventListener('message', () => {})
      stream.send(bytes)
      await until(() => ended, `${name} ends the stream of ${protocol}`)
    }
  }
  t.same(await ask.request(b.peer, ECHO, new Uint8Array([1])), new Uint8Array([1]))
  t.equal(a.libp2p.getConnections().length, 1)
})

t.test('a peer that asks and never reads its replies is refused, not served into memory', async t => {
  const { a, b, ask, answer } = await sides(t)
  let served = 0
  answer.handle('/test/huge/1.0.0', () => {
    served++
    return new Uint8Array(MAX_CONTROL_MESSAGE)
  })
  answer.handle(ECHO, request => request)
  const stream = await a.openStream(b.peer, '/gradmesh/request/1.0.0')
  stream.pause()
  for (let id = 1; id <= 300; id++) {
    stream.send(encodeFrame(Frame.encode({ id, request: { protocol: '/test/huge/1.0.0', payload: new Uint8Array(0), deadline: 0 } })))
    await ask.request(b.peer, ECHO, none)
  }
  t.ok(served >= 8 && served < 60, `${served} of 300 requests were served`)
  // It reads again: what was served arrives, and the refusals.
  let frames = 0
  const reader = new FrameReader(MAX_CONTROL_MESSAGE + 1024)
  stream.addEventListener('message', event => {
    for (const frame of reader.push(event.data)) {
      frames++
      const { reply, failure } = Frame.decode(frame)
      if (reply === undefined && failure?.name !== 'OverloadedError') t.fail('another reply')
    }
  })
  stream.resume()
  await until(() => frames === 300, 'every request has its reply')
})

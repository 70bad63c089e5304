import t from 'tap'
import { NotFoundError } from '../../../common/index.ts'
import { createControl } from '../../../mesh/control/index.ts'
import type { Host } from '../../../mesh/host.ts'
import type { Control } from '../../../mesh/index.ts'
import { failure, pair, until } from '../fixtures.ts'

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

t.test('a streamed reply comes in order and waits for its reader', async t => {
  const { b, ask, answer } = await sides(t)
  let made = 0
  answer.handleStream('/test/count/1.0.0', async function* (request, { from }) {
    t.type(from, 'string')
    for (; made < 2000; made++) yield new Uint8Array(20_000).fill(request[0]! + made)
  })
  let read = 0
  let held = 0
  for await (const item of ask.stream(b.peer, '/test/count/1.0.0', new Uint8Array([5]))) {
    if (item[0] !== (5 + read) % 256 || item.byteLength !== 20_000) t.fail(`item ${read}`)
    read++
    if (read === 20) {
      // Nothing says when the sender has come to a halt, but it must: 40 MB do not fit in between.
      await until(async () => {
        const before = made
        await new Promise(resolve => setTimeout(resolve, 100))
        held = made
        return made === before
      }, 'the sender waits')
    }
  }
  t.equal(read, 2000)
  t.ok(held < 1000, `${held} of 2000 items were made ahead of the reader`)
})

t.test('a streamed reply ends on the other side too when its reader is done, aborts or is gone', async t => {
  const { a, b, ask, answer } = await sides(t)
  let running = 0
  let ended = 0
  answer.handleStream('/test/endless/1.0.0', async function* (_, { signal }) {
    running++
    try {
      yield new Uint8Array([1])
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    } finally {
      ended++
    }
  })
  for await (const _ of ask.stream(b.peer, '/test/endless/1.0.0', none)) break
  await until(() => ended === 1, 'it ends after a break')
  const controller = new AbortController()
  const error = await failure(
    (async () => {
      for await (const _ of ask.stream(b.peer, '/test/endless/1.0.0', none, { signal: controller.signal })) controller.abort()
    })()
  )
  t.match(error, { name: 'AbortedError' })
  await until(() => ended === 2, 'it ends after an abort')
  const lost = failure(
    (async () => {
      for await (const _ of ask.stream(b.peer, '/test/endless/1.0.0', none)) a.connection(b.peer)!.abort(new Error('the cable is cut'))
    })()
  )
  t.match(await lost, { name: 'OutcomeUnknownError' })
  await until(() => ended === 3, 'it ends when the connection is lost')
  t.equal(running, 3)
})

t.test('a streamed reply fails with what its handler threw, after the items before', async t => {
  const { a, b, ask, answer } = await sides(t)
  const handler = async function* () {
    yield new Uint8Array([1])
    throw new NotFoundError('no more')
  }
  answer.handleStream('/test/fails/1.0.0', handler)
  ask.handleStream('/test/fails/1.0.0', handler)
  for (const peer of [b.peer, a.peer]) {
    const items: number[] = []
    const error = await failure(
      (async () => {
        for await (const item of ask.stream(peer, '/test/fails/1.0.0', none)) items.push(item[0]!)
      })()
    )
    t.same(items, [1])
    t.match(error, { name: 'NotFoundError', message: 'no more' })
  }
  const unknown = await failure(ask.stream(b.peer, '/test/unknown/1.0.0', none)[Symbol.asyncIterator]().next())
  t.match(unknown, { name: 'NotFoundError' })
})

t.test('only so many streamed replies of one peer are read at a time', async t => {
  const { b, ask, answer } = await sides(t)
  answer.handleStream('/test/endless/1.0.0', async function* (_, { signal }) {
    yield new Uint8Array([1])
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  })
  const iterators = Array.from({ length: 64 }, () => ask.stream(b.peer, '/test/endless/1.0.0', none)[Symbol.asyncIterator]())
  for (const next of await Promise.all(iterators.map(i => i.next()))) t.same(next.value, new Uint8Array([1]))
  t.match(await failure(ask.stream(b.peer, '/test/endless/1.0.0', none)[Symbol.asyncIterator]().next()), { name: 'OverloadedError' })
  await iterators[0]!.return!()
  await until(async () => {
    const iterator = ask.stream(b.peer, '/test/endless/1.0.0', none)[Symbol.asyncIterator]()
    const outcome = await iterator.next().catch(error => error)
    await iterator.return!()
    return !(outcome instanceof Error)
  }, 'there is room again')
})

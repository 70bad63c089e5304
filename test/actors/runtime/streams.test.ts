import t from 'tap'
import { z } from 'zod'
import { actor, event } from '../../../actors/runtime/index.ts'
import { AbortedError, InvalidParametersError, NotFoundError, OverloadedError } from '../../../common/index.ts'
import { keyOn, Meshes, until } from './meshes.ts'

const Sums = actor('sums', {
  create: () => ({ ended: 0 }),
  events: { total: z.number(), noise: event<string>() },
  calls: {
    async *upTo({ state, signal }, n: number) {
      try {
        for (let i = 1; i <= n && !signal.aborted; i++) yield i
      } finally {
        state.ended++
      }
    },
    async *running(_, start: number, input: AsyncIterable<number>) {
      let total = start
      for await (const n of input) {
        total += n
        yield total
      }
    },
    async *fails() {
      yield 1
      throw new NotFoundError('nothing more')
    },
    ended: ({ state }) => state.ended,
    say: (context, n: number) => context.emit('total', n),
    wrong: context => context.emit('total', 'text' as unknown as number),
    flood: context => {
      for (let i = 0; i < 2000; i++) context.emit('noise', 'x')
    }
  }
})

async function* numbers(count: number) {
  for (let i = 1; i <= count; i++) yield i
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

t.test('methods answer with streams, and read streams, here and elsewhere', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  for (const r of meshes.runtimes) r.register(Sums)
  const [a] = meshes.runtimes
  for (const node of ['a', 'b']) {
    const sums = a!.at(Sums, keyOn(a!, 'sums', node))
    t.same(await all(sums.stream('upTo', 5)), [1, 2, 3, 4, 5], node)
    t.same(await all(sums.stream('running', 100, { input: numbers(3) })), [101, 103, 106], node)
    await t.rejects(all(sums.stream('fails')), NotFoundError)
    await t.rejects(all(sums.stream('say' as 'upTo', 1)), InvalidParametersError)
    await t.rejects(sums.call('upTo' as 'say', 1), InvalidParametersError)
    for await (const n of sums.stream('upTo', 1e9)) if (n === 3) break
    await until('the abandoned stream ends its turn', async () => (await sums.call('ended')) >= 2)
    const controller = new AbortController()
    await t.rejects(
      (async () => {
        for await (const n of sums.stream('upTo', 1e9, { signal: controller.signal })) if (n === 3) controller.abort()
      })(),
      AbortedError
    )
    await until('the aborted stream ends its turn', async () => (await sums.call('ended')) >= 3)
  }
})

t.test('subscribers get what is emitted from then on; one that does not read is cut off and nobody waits for it', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  for (const r of meshes.runtimes) r.register(Sums)
  const [a] = meshes.runtimes
  for (const node of ['a', 'b']) {
    const sums = a!.at(Sums, keyOn(a!, 'sums', node))
    const ended = new AbortController()
    const totals = await sums.subscribe('total', { signal: ended.signal })
    for (const n of [3, 4]) await sums.call('say', n)
    await t.rejects(sums.call('wrong'), InvalidParametersError, 'an event that does not fit its schema')
    const seen: number[] = []
    for await (const n of totals) if (seen.push(n) === 2) break
    t.same(seen, [3, 4], node)
    const noise = await sums.subscribe('noise')
    await sums.call('flood')
    await t.rejects(all(noise), OverloadedError, node)
    ended.abort()
  }
})

t.test('a subscription follows an actor whose node dies', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  for (const r of meshes.runtimes) r.register(Sums)
  const [a] = meshes.runtimes
  const sums = a!.at(Sums, keyOn(a!, 'sums', 'b'))
  const totals = (await sums.subscribe('total'))[Symbol.asyncIterator]()
  await sums.call('say', 1)
  t.equal((await totals.next()).value, 1)
  const next = totals.next()
  meshes.kill('b')
  let heard: number | undefined
  void next.then(r => {
    heard = r.value
  })
  await until('an event of the actor where it lives now', async () => {
    await sums.call('say', 2)
    return heard === 2
  })
  await totals.return?.()
})

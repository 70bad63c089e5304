import t from 'tap'
import { z } from 'zod'
import { actor } from '../../../actors/runtime/index.ts'
import { FencedError, InvalidParametersError, NoQuorumError, OutcomeUnknownError, VersionError } from '../../../common/index.ts'
import { keyOn, Meshes, until } from './meshes.ts'

const Counter = actor('counter', {
  state: z.object({ n: z.number().default(0), log: z.array(z.string()).default([]) }),
  calls: {
    add: ({ state }, by: number) => {
      state.n += by
      return state.n
    },
    get: ({ state }) => state.n,
    fail: ({ state }) => {
      state.n = 1e6
      throw new RangeError('no')
    },
    note: ({ state }, text: string) => {
      state.log.push(text)
      return state.log.length
    },
    soon: (context, after: number) => context.schedule('later', { after, call: 'add', argument: 100 }),
    epoch: ({ epoch }) => epoch
  }
})

async function mesh(t: Parameters<typeof Meshes.of>[0], ...peers: string[]) {
  const meshes = await Meshes.of(t, peers)
  for (const r of meshes.runtimes) r.register(Counter)
  return meshes
}

t.test('the state of a fenced actor survives the death of its node, and of the next', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c', 'd', 'e')
  const [a] = meshes.runtimes
  const key = keyOn(a!, 'counter', 'b')
  const counter = a!.at(Counter, key)
  for (let i = 1; i <= 300; i++) t.equal(await counter.call('add', 1), i)
  await t.rejects(counter.call('fail'), /no/)
  t.equal(await counter.call('get'), 300, 'what a failed turn changed is undone')
  meshes.kill('b')
  t.equal(await counter.call('add', 1), 301)
  t.equal(await counter.call('epoch'), 2)
  const next = a!.owner('counter', key)
  t.not(next, 'b')
  if (next !== 'a') {
    meshes.kill(next)
    t.equal(await counter.call('add', 1), 302)
  }
})

t.test('a whole mesh that stops finds its actors again', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c')
  const counter = () => meshes.node('a').runtime.at(Counter, 'x')
  t.equal(await counter().call('add', 5), 5)
  for (const peer of ['a', 'b', 'c']) meshes.kill(peer)
  for (const peer of ['a', 'b', 'c']) await meshes.restart(peer)
  for (const r of meshes.runtimes) r.register(Counter)
  t.equal(await counter().call('add', 1), 6)
})

t.test('a minority stops its fenced actors, the majority goes on, and nothing acknowledged is lost', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c')
  const [a, b] = meshes.runtimes
  const key = keyOn(a!, 'counter', 'a')
  t.equal(await a!.at(Counter, key).call('add', 1), 1)
  meshes.cut(['a'], ['b', 'c'])
  const lonely = a!.at(Counter, key).call('add', 10, { deadline: 20_000 })
  t.equal(await b!.at(Counter, key).call('add', 100), 101)
  const error = await lonely.catch(e => e)
  t.ok(error instanceof OutcomeUnknownError, `${error}`)
  await t.rejects(a!.at(Counter, key).call('get', null, { deadline: 20_000 }), NoQuorumError)
  meshes.heal()
  t.equal(await a!.at(Counter, key).call('get'), 101, 'the change without a majority is gone')
})

t.test('a call made in the name of an older epoch is refused', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c')
  const [a, b] = meshes.runtimes
  const Caller = actor('caller', {
    state: z.object({ calls: z.number().default(0) }),
    calls: {
      add: async (context, gate: boolean) => {
        if (gate) {
          started.resolve()
          await released.promise
        }
        return await context.at(Counter, target).call('add', 1)
      }
    }
  })
  const [started, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  for (const r of meshes.runtimes) r.register(Caller)
  const key = keyOn(a!, 'caller', 'a')
  const target = keyOn(b!, 'counter', 'b')
  const stuck = a!
    .at(Caller, key)
    .call('add', true, { deadline: 20_000 })
    .catch(e => e)
  await started.promise
  meshes.cut(['a'], ['b', 'c'])
  t.equal(await b!.at(Caller, key).call('add', false), 1)
  meshes.heal()
  released.resolve()
  const error = await stuck
  t.ok(error instanceof FencedError || error instanceof OutcomeUnknownError, `${error}`)
  t.equal(await b!.at(Counter, target).call('get'), 1)
})

t.test('timers fire after their node died, and wake the actor for it', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c')
  const [a] = meshes.runtimes
  const key = keyOn(a!, 'counter', 'b')
  await a!.at(Counter, key).call('soon', 300)
  meshes.kill('b')
  await until('the timer', async () => (await a!.at(Counter, key).call('get')) >= 100)
})

t.test('state of an older version is migrated, of a newer one refused', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const define = (version: number, migrate = true) =>
    actor('doc', {
      state: {
        schema: z.object({ words: z.array(z.string()) }),
        version,
        initial: () => ({ words: [] as string[] }),
        migrations: migrate ? { 1: (old: { text: string }) => ({ words: old.text.split(' ') }) } : {}
      },
      calls: { words: ({ state }) => state.words, push: ({ state }, word: string) => state.words.push(word) }
    })
  const Old = actor('doc', {
    state: { schema: z.object({ text: z.string() }), initial: () => ({ text: '' }) },
    calls: {
      write: ({ state }, text: string) => {
        state.text = text
      }
    }
  })
  for (const r of meshes.runtimes) r.register(Old)
  await meshes.node('a').runtime.at(Old, 'x').call('write', 'to be')
  const upgrade = async (type: ReturnType<typeof define>) => {
    for (const peer of ['a', 'b', 'c']) meshes.kill(peer)
    for (const peer of ['a', 'b', 'c']) await meshes.restart(peer)
    for (const r of meshes.runtimes) r.register(type)
    return meshes.node('a').runtime.at(type, 'x')
  }
  await t.rejects((await upgrade(define(2, false))).call('words'), VersionError)
  const newer = await upgrade(define(2))
  t.same(await newer.call('words'), ['to', 'be'])
  t.equal(await newer.call('push', 'or'), 3)
  await t.rejects((await upgrade(define(1))).call('words'), VersionError, 'what is newer is not read')
})

t.test('without a majority of its voters an actor is recovered only by force, which says what it found', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c', 'd', 'e')
  const [a] = meshes.runtimes
  const counter = a!.at(Counter, keyOn(a!, 'counter', 'a'))
  t.equal(await counter.call('add', 7), 7)
  await t.rejects(a!.recover(counter), InvalidParametersError, 'as long as it is not needed')
  const voters = a!.voters(counter)
  t.equal(voters.length, 3)
  const others = voters.filter(v => v !== 'a')
  for (const v of others.slice(0, 2)) meshes.kill(v)
  await t.rejects(counter.call('get', null, { deadline: 30_000 }), NoQuorumError)
  const found = await a!.recover(counter)
  t.same([...found.missing].sort(), others.slice(0, 2).sort())
  t.equal(await counter.call('get'), 7)
})

t.test('a node that leaves gives its actors away first', async t => {
  const meshes = await mesh(t, 'a', 'b', 'c', 'd')
  const [a, b] = meshes.runtimes
  const Soft = actor('soft', { identity: 'soft', state: z.object({ n: z.number().default(0) }), calls: { add: ({ state }) => ++state.n } })
  for (const r of meshes.runtimes) r.register(Soft)
  const fenced = a!.at(Counter, keyOn(a!, 'counter', 'b'))
  const soft = a!.at(Soft, keyOn(a!, 'soft', 'b'))
  await fenced.call('add', 3)
  await soft.call('add')
  await b!.drain()
  t.notOk(b!.isActive(Counter, fenced.key) || b!.isActive(Soft, soft.key))
  meshes.kill('b')
  t.equal(await fenced.call('add', 1), 4)
  t.equal(await soft.call('add'), 2, 'soft state is handed over, too')
  t.notOk(a!.voters(fenced).includes('b'), 'its copy is kept elsewhere')
})

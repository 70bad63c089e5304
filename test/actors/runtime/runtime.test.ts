import fc from 'fast-check'
import t from 'tap'
import { z } from 'zod'
import { ACTOR_PROTOCOL, actor, call, processActor } from '../../../actors/runtime/index.ts'
import {
  AbortedError,
  AdmissionError,
  CrashedError,
  DeadlineError,
  DeadlockError,
  InvalidParametersError,
  MalformedError,
  NotFoundError,
  OverloadedError,
  TooLargeError,
  UnreachableError
} from '../../../common/index.ts'
import { Echo, type EchoCalls, Relay } from './echo.ts'
import { keyOn, Meshes } from './meshes.ts'

function counter(gate?: Promise<void>) {
  return actor('counter', {
    create: () => ({ n: 0 }),
    mailbox: 4,
    calls: {
      add: ({ state }, by: number) => {
        state.n += by
        return state.n
      },
      slow: async ({ state }) => {
        const before = state.n
        await gate
        state.n = before + 1
        return state.n
      },
      whoCalls: ({ from }) => from,
      big: () => new Uint8Array(4 * 1024 * 1024),
      strange: () => () => 'a function',
      checked: call(z.number().int().max(10), ({ state }, by) => state.n + by)
    }
  })
}

t.test('an address finds the one actor behind it from every node, and equal views give equal owners', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const [a, b, c] = meshes.runtimes
  for (const r of [a!, b!, c!]) r.register(counter())
  for (const key of ['x', 'y', 'z']) {
    t.equal(new Set([a, b, c].map(r => r!.owner('counter', key))).size, 1)
    const results: number[] = []
    for (const r of [a!, b!, c!, a!]) results.push(await r.at(counter(), key).call('add', 1))
    t.same(results, [1, 2, 3, 4])
  }
  t.equal(await a!.at(counter(), 'x', { node: 'b' }).call('whoCalls'), 'a', 'the caller is known by its peer id')
})

t.test('turns do not interleave, and a full mailbox answers at once', async t => {
  const gate = Promise.withResolvers<void>()
  const [a] = (await Meshes.of(t, ['a'])).runtimes
  a!.register(counter(gate.promise))
  const handle = a!.at(counter(), 'x')
  const first = handle.call('slow')
  const rest = Array.from({ length: 4 }, () => handle.call('add', 1))
  const error = await handle.call('add', 1).catch(e => e)
  t.ok(error instanceof OverloadedError && error.overloaded && error.retryable)
  gate.resolve()
  t.equal(await first, 1)
  t.same(await Promise.all(rest), [2, 3, 4, 5])
})

t.test('a caller that gives up is answered at once; the deadline is an error of its own', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const [a, b] = meshes.runtimes
  for (const r of [a!, b!]) r.register(counter(new Promise<void>(() => {})))
  for (const node of ['a', 'b']) {
    const controller = new AbortController()
    const pending = a!.at(counter(), keyOn(a!, 'counter', node)).call('slow', null, { signal: controller.signal })
    controller.abort()
    await t.rejects(pending, AbortedError, node)
    await t.rejects(a!.at(counter(), `${keyOn(a!, 'counter', node)}`).call('slow', null, { deadline: 5 }), DeadlineError, node)
  }
})

t.test('unknown actors and methods, oversized and strange values are typed errors on both sides of the wire', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const [a, b] = meshes.runtimes
  b!.register(counter())
  a!.register(counter())
  for (const node of ['a', 'b']) {
    const handle = a!.at(counter(), keyOn(a!, 'counter', node))
    await t.rejects(handle.call('missing' as 'add', 1), NotFoundError)
    await t.rejects(handle.call('toString' as 'add', 1), NotFoundError, 'inherited names are no methods')
    await t.rejects(handle.call('$down' as 'add', 1), InvalidParametersError, "the runtime's own methods are nobody else's")
    await t.rejects(a!.at(actor('nobody', { calls: { m: () => 1 } }), 'k', { node }).call('m'), NotFoundError)
    await t.rejects(handle.call('add', new Uint8Array(4 * 1024 * 1024) as unknown as number), TooLargeError)
    await t.rejects(handle.call('add', (() => 1) as unknown as number), InvalidParametersError, 'a function cannot travel')
    await t.rejects(handle.call('add', new Date() as unknown as number), InvalidParametersError, 'nor can a date')
    await t.rejects(handle.call('strange'), InvalidParametersError)
    await t.rejects(handle.call('checked', 11), /counter\/k\d+\.checked: /)
    await t.rejects(handle.call('checked', 'x' as unknown as number), InvalidParametersError)
    t.equal(await handle.call('checked', 3), 3)
  }
  await t.rejects(a!.at(counter(), keyOn(a!, 'counter', 'b')).call('big'), TooLargeError)
})

t.test('what is sent is a copy, also within one process', async t => {
  const [a] = (await Meshes.of(t, ['a'])).runtimes
  const Keeper = actor('keeper', {
    create: () => ({ list: [] as number[] }),
    calls: {
      set: ({ state }, list: number[]) => {
        state.list = list
      },
      get: ({ state }) => state.list
    }
  })
  a!.register(Keeper)
  const list = [1]
  await a!.at(Keeper, 'x').call('set', list)
  list.push(2)
  const got = await a!.at(Keeper, 'x').call('get')
  t.same(got, [1])
  got.push(3)
  t.same(await a!.at(Keeper, 'x').call('get'), [1])
})

t.test('a chain of calls that comes back fails at once, unless the actor is reentrant', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const [a, b] = meshes.runtimes
  const define = (reentrant: boolean) =>
    actor(reentrant ? 'ping-reentrant' : 'ping', {
      reentrant,
      calls: {
        there: (context, path: string[]): Promise<string> => {
          const [next, ...rest] = path
          return next === undefined ? Promise.resolve('end') : context.at(define(reentrant), next).call('there', rest)
        }
      }
    })
  for (const r of [a!, b!]) for (const reentrant of [false, true]) r.register(define(reentrant))
  const [x, y] = [keyOn(a!, 'ping', 'a'), keyOn(a!, 'ping', 'b')]
  await t.rejects(a!.at(define(false), x).call('there', [y, x]), DeadlockError)
  await t.rejects(a!.at(define(false), x).call('there', [x]), DeadlockError, 'also a call to itself')
  t.equal(await a!.at(define(false), x).call('there', [y]), 'end')
  t.equal(await a!.at(define(true), x).call('there', [y, x, y]), 'end')
})

t.test('calls of one caller to one actor are executed in their order', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const Log = actor('log', {
    create: () => ({ seen: [] as number[] }),
    calls: { note: ({ state }, n: number) => void state.seen.push(n), read: ({ state }) => state.seen }
  })
  for (const r of meshes.runtimes) r.register(Log)
  const [a] = meshes.runtimes
  for (const node of ['a', 'b']) {
    const handle = a!.at(Log, keyOn(a!, 'log', node))
    await Promise.all(Array.from({ length: 200 }, (_, i) => handle.call('note', i)))
    t.same(
      await handle.call('read'),
      Array.from({ length: 200 }, (_, i) => i),
      node
    )
  }
})

t.test('an activation that ended begins anew with the next call', async t => {
  const [a] = (await Meshes.of(t, ['a'])).runtimes
  const type = counter()
  a!.register(type)
  t.equal(await a!.at(type, 'x').call('add', 5), 5)
  await a!.deactivate(type, 'x')
  t.equal(await a!.at(type, 'x').call('add', 1), 1)
})

t.test('an actor in a process of its own is called like any other, calls others, and is restarted when it crashes', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const [a, b] = meshes.runtimes
  for (const r of [a!, b!]) {
    r.register(Echo)
    r.register(Relay)
  }
  const exits: string[] = []
  a!.spawn(Echo, 'e', { greeting: 'hello' }, { onExit: reason => exits.push(reason) })
  const remote = b!.at(Echo, 'e', { node: 'a' })
  t.equal(await remote.call('echo', 'world'), 'hello world')
  t.equal(await remote.call('relay', 'loud'), 'LOUD')
  await t.rejects(remote.call('fail', null), /out of range/)
  await t.rejects(a!.at(Echo, 'e', { node: 'a' }).call('hang', null, { deadline: 20 }), DeadlineError)
  const pid = await remote.call('pid', null)
  await t.rejects(remote.call('crash', null), CrashedError)
  t.equal(await remote.call('echo', 'again'), 'hello again', 'the call waits for the new process')
  t.not(await remote.call('pid', null), pid)
  t.match(exits, [/exit code 3/])
  await a!.stop(Echo, 'e')
  await t.rejects(remote.call('echo', 'late'), UnreachableError)
})

t.test('bytes that are no call are refused as that, whatever they are', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const { mesh } = meshes.node('b')
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async bytes => {
      const error = await mesh.request('a', ACTOR_PROTOCOL, bytes).then(
        () => new NotFoundError('answered'),
        e => e
      )
      t.ok(error instanceof MalformedError || error instanceof InvalidParametersError || error instanceof NotFoundError, String(error))
    })
  )
})

t.test('an actor whose create fails takes no place, and is made anew with the next call', async t => {
  const [a] = (await Meshes.of(t, ['a'])).runtimes
  let broken = true
  const type = actor('fragile', {
    create: () => {
      if (broken) throw new NotFoundError('not yet')
      return null
    },
    calls: { ping: () => 'pong' }
  })
  a!.register(type)
  await t.rejects(a!.at(type, 'x').call('ping'), NotFoundError)
  t.notOk(a!.isActive(type, 'x'))
  broken = false
  t.equal(await a!.at(type, 'x').call('ping'), 'pong')
})

t.test("a process that is its node's own business takes no calls from elsewhere", async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const [a, b] = meshes.runtimes
  const own = processActor<EchoCalls>('own', { process: Echo.process!.process, remote: false })
  for (const r of [a!, b!]) r.register(own)
  const host = a!.spawn(own, 'e', { greeting: 'hello' })
  await t.rejects(b!.at(own, 'e', { node: 'a' }).call('echo', 'x'), AdmissionError)
  t.equal(await host.call('echo', 'x', 'a'), 'hello x')
})

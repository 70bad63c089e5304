import fc from 'fast-check'
import t from 'tap'
import { ACTOR_PROTOCOL, actor, processActor, Runtime, type RuntimeMesh } from '../../../actors/runtime/index.ts'
import {
  AbortedError,
  AdmissionError,
  CrashedError,
  DeadlineError,
  fromWireError,
  InvalidParametersError,
  MalformedError,
  NotFoundError,
  OverloadedError,
  silentLogger,
  TooLargeError,
  toWireError,
  UnreachableError
} from '../../../common/index.ts'
import { Echo, type EchoCalls, Relay } from './echo.ts'

// Deadlines do not keep a process alive by themselves; a node's sockets do.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

type Handler = Parameters<RuntimeMesh['handle']>[1]

/** Runtimes joined without a network: requests cross as bytes, errors as they would on the wire. */
function joined(...peers: string[]): Runtime[] {
  const handlers = new Map<string, Handler>()
  return peers.map(peer => {
    const mesh: RuntimeMesh = {
      peer,
      alive: () => peers,
      handle(protocol, handler) {
        if (protocol === ACTOR_PROTOCOL) handlers.set(peer, handler)
      },
      async request(to, _protocol, request, options) {
        try {
          return await handlers.get(to)!(request, { from: peer, signal: options?.signal ?? new AbortController().signal })
        } catch (error) {
          throw fromWireError(toWireError(error))
        }
      }
    }
    return new Runtime({ mesh, logger: silentLogger })
  })
}

type CounterCalls = {
  add(by: number): number
  slow(argument: null): number
  whoCalls(argument: null): string
  big(argument: null): Uint8Array
}

function counter(gate?: Promise<void>) {
  return actor<{ n: number }, CounterCalls>('counter', {
    create: () => ({ n: 0 }),
    mailbox: 4,
    calls: {
      add: ({ state }, by) => {
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
      big: () => new Uint8Array(4 * 1024 * 1024)
    }
  })
}

t.test('an address finds the one actor behind it from every node, and equal views give equal owners', async t => {
  const [a, b, c] = joined('a', 'b', 'c')
  for (const r of [a!, b!, c!]) r.register(counter())
  for (const key of ['x', 'y', 'z']) {
    t.equal(new Set([a, b, c].map(r => r!.owner('counter', key))).size, 1)
    const results: number[] = []
    for (const r of [a!, b!, c!, a!]) results.push(await r.at(counter(), key).call('add', 1))
    t.same(results, [1, 2, 3, 4])
  }
  t.equal(await a!.at(counter(), 'x', { node: 'b' }).call('whoCalls', null), 'a', 'the caller is known by its peer id')
})

t.test('turns do not interleave, and a full mailbox answers at once', async t => {
  const gate = Promise.withResolvers<void>()
  const [a] = joined('a')
  a!.register(counter(gate.promise))
  const handle = a!.at(counter(), 'x')
  const first = handle.call('slow', null)
  const rest = Array.from({ length: 4 }, () => handle.call('add', 1))
  await t.rejects(handle.call('add', 1), OverloadedError)
  gate.resolve()
  t.equal(await first, 1)
  t.same(await Promise.all(rest), [2, 3, 4, 5])
})

t.test('a caller that gives up is answered at once; the deadline is an error of its own', async t => {
  const [a, b] = joined('a', 'b')
  for (const r of [a!, b!]) r.register(counter(new Promise<void>(() => {})))
  const controller = new AbortController()
  const call = a!.at(counter(), 'x', { node: 'a' }).call('slow', null, { signal: controller.signal })
  controller.abort()
  await t.rejects(call, AbortedError)
  await t.rejects(a!.at(counter(), 'y', { node: 'a' }).call('slow', null, { deadline: 5 }), DeadlineError)
})

t.test('unknown actors and methods and oversized values are typed errors on both sides of the wire', async t => {
  const [a, b] = joined('a', 'b')
  b!.register(counter())
  a!.register(counter())
  const remote = a!.at(counter(), 'x', { node: 'b' })
  await t.rejects(remote.call('missing' as 'add', 1), NotFoundError)
  await t.rejects(remote.call('toString' as 'add', 1), NotFoundError, 'inherited names are no methods')
  await t.rejects(a!.call({ actor: 'nobody', key: 'k', node: 'b' }, 'm', null), NotFoundError)
  await t.rejects(remote.call('big', null), TooLargeError)
  await t.rejects(a!.call({ actor: 'counter', key: 'x', node: 'b' }, 'add', new Uint8Array(4 * 1024 * 1024)), TooLargeError)
})

t.test('an activation that ended begins anew with the next call', async t => {
  const [a] = joined('a')
  const type = counter()
  a!.register(type)
  t.equal(await a!.at(type, 'x').call('add', 5), 5)
  await a!.deactivate(type, 'x')
  t.equal(await a!.at(type, 'x').call('add', 1), 1)
})

t.test('an actor in a process of its own is called like any other, calls others, and is restarted when it crashes', async t => {
  const [a, b] = joined('a', 'b')
  for (const r of [a!, b!]) {
    r.register(Echo)
    r.register(Relay)
  }
  t.teardown(() => Promise.all([a!.close(), b!.close()]))
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
  let handler: Handler | undefined
  new Runtime({
    mesh: { peer: 'a', alive: () => ['a'], handle: (_, h) => (handler = h), request: () => Promise.reject(new Error('unused')) },
    logger: silentLogger
  })
  const context = { from: 'b', signal: new AbortController().signal }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async bytes => {
      const error = await handler!(bytes, context).catch(e => e)
      t.ok(error instanceof MalformedError || error instanceof InvalidParametersError || error instanceof NotFoundError, String(error))
    })
  )
})

t.test('an actor whose create fails takes no place, and is made anew with the next call', async t => {
  const [a] = joined('a')
  let broken = true
  const type = actor<null, { ping(argument: null): string }>('fragile', {
    create: () => {
      if (broken) throw new NotFoundError('not yet')
      return null
    },
    calls: { ping: () => 'pong' }
  })
  a!.register(type)
  await t.rejects(a!.at(type, 'x').call('ping', null), NotFoundError)
  t.notOk(a!.isActive(type, 'x'))
  broken = false
  t.equal(await a!.at(type, 'x').call('ping', null), 'pong')
})

t.test("a process that is its node's own business takes no calls from elsewhere", async t => {
  const [a, b] = joined('a', 'b')
  const own = processActor<EchoCalls>('own', { process: Echo.process!.process, remote: false })
  for (const r of [a!, b!]) r.register(own)
  t.teardown(() => a!.close())
  const host = a!.spawn(own, 'e', { greeting: 'hello' })
  await t.rejects(b!.at(own, 'e', { node: 'a' }).call('echo', 'x'), AdmissionError)
  t.equal(await host.call('echo', 'x', 'a'), 'hello x')
})

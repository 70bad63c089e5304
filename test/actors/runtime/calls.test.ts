import { context, propagation, trace } from '@opentelemetry/api'
import t from 'tap'
import { actor } from '../../../actors/runtime/index.ts'
import { CrashedError, OutcomeUnknownError, UnreachableError } from '../../../common/index.ts'
import { keyOn, Meshes, until } from './meshes.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

function tally() {
  const executed: string[] = []
  const gates = new Map<string, PromiseWithResolvers<void>>()
  const type = actor('tally', {
    reentrant: true,
    calls: {
      note: async ({ key }, what: string) => {
        executed.push(`${key} ${what}`)
        await gates.get(what)?.promise
        return executed.length
      }
    }
  })
  return { type, executed, gates }
}

t.test('a call whose connection breaks is executed once and answered when the same activation can tell', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const [a] = meshes.runtimes
  const { type, executed, gates } = tally()
  for (const r of meshes.runtimes) r.register(type)
  const handle = a!.at(type, keyOn(a!, 'tally', 'b'))
  await handle.call('note', 'first')
  gates.set('held', Promise.withResolvers())
  const held = handle.call('note', 'held')
  await until('the call to be executed', () => executed.length === 2)
  // The reply finds no way back; the node is thought to live all the while.
  meshes.cut(['a'], ['b'], false)
  gates.get('held')!.resolve()
  setTimeout(() => meshes.heal(), 100)
  t.equal(await held, 2, 'the reply that was kept')
  t.equal(executed.length, 2)
})

t.test('a call whose node dies ends as unknown, and never in silence; an idempotent one is executed elsewhere', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const [a] = meshes.runtimes
  const { type, executed, gates } = tally()
  for (const r of meshes.runtimes) r.register(type)
  const key = keyOn(a!, 'tally', 'b')
  const handle = a!.at(type, key)
  await handle.call('note', 'first')
  gates.set('held', Promise.withResolvers())
  gates.set('again', Promise.withResolvers())
  const held = handle.call('note', 'held')
  const again = handle.call('note', 'again', { idempotent: true })
  await until('the calls to be executed', () => executed.length === 3)
  meshes.kill('b')
  for (const gate of gates.values()) gate.resolve()
  await t.rejects(held, OutcomeUnknownError)
  await again
  t.same(executed.slice(3), [`${key} again`])
})

t.test('a call that was not delivered finds the actor where it lives now', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const [a] = meshes.runtimes
  const { type, executed } = tally()
  for (const r of meshes.runtimes) r.register(type)
  const handle = a!.at(type, keyOn(a!, 'tally', 'b'))
  await handle.call('note', 'first')
  meshes.kill('b')
  await Promise.all([1, 2, 3].map(n => handle.call('note', String(n))))
  t.same(
    executed.map(e => e.split(' ')[1]),
    ['first', '1', '2', '3'],
    'in order'
  )
  await t.rejects(a!.at(type, 'k', { node: 'b' }).call('note', 'x'), UnreachableError, 'one that is pinned is not looked for')
})

t.test('an actor with a loop of its own takes its messages from the inbox, and is started again when it crashes', async t => {
  const [a] = (await Meshes.of(t, ['a'])).runtimes
  const Loop = actor('loop', {
    create: () => ({ turns: 0, lives: [] as number[] }),
    restart: { backoff: 1, intensity: 3 },
    calls: { turns: ({ state }) => state.turns, refused: () => 'never' },
    async run({ state, inbox }) {
      for await (const message of inbox) {
        state.turns++
        if (message.method === 'refused') throw new Error('out of order')
        await message.handle()
      }
    }
  })
  a!.register(Loop)
  const loop = a!.at(Loop, 'x')
  t.equal(await loop.call('turns'), 1)
  t.equal(await loop.call('turns'), 2)
  await t.rejects(loop.call('refused'), OutcomeUnknownError)
  await until('a new life', async () => (await loop.call('turns').catch(error => t.ok(error instanceof CrashedError) && 0)) === 1)
})

t.test('what a turn leaves behind does not act in its name', async t => {
  const [a] = (await Meshes.of(t, ['a'])).runtimes
  const later = Promise.withResolvers<unknown>()
  const Left = actor('left', {
    calls: {
      leave: c => {
        setTimeout(() => later.resolve(c.at(Left, 'x').call('ping')), 30)
      },
      ping: ({ caller }) => caller ?? 'nobody'
    }
  })
  a!.register(Left)
  await a!.at(Left, 'x').call('leave', null, { deadline: 10 })
  t.equal(await later.promise, 'nobody', 'no deadline of an ended turn, and no deadlock')
})

t.test('a monitored actor that crashes, or whose node is gone, is told of with the reason; a linked one goes with it', async t => {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const [a] = meshes.runtimes
  const downs: string[] = []
  const lives: string[] = []
  const Worker = actor('worker', {
    create: ({ key }) => {
      lives.push(key)
      return null
    },
    restart: { backoff: 1 },
    calls: { ping: () => 'pong', crash: () => 'unheard' },
    async run({ inbox }) {
      for await (const message of inbox) {
        if (message.method === 'crash') throw new Error('out of order')
        await message.handle()
      }
    }
  })
  const Boss = actor('boss', {
    calls: {
      watch: (c, key: string) => c.monitor({ actor: 'worker', key }),
      tie: (c, key: string) => c.link({ actor: 'worker', key })
    },
    down: (_, { key, reason, linked }) => {
      downs.push(`${key}${linked ? ' linked' : ''}: ${reason}`)
    }
  })
  for (const r of meshes.runtimes) for (const type of [Worker, Boss]) r.register(type)
  const [here, there] = [keyOn(a!, 'worker', 'b'), keyOn(a!, 'worker', 'c')]
  const boss = a!.at(Boss, keyOn(a!, 'boss', 'a'))
  await boss.call('watch', here)
  await until('the monitor', () => lives.includes(here))
  await a!.at(Worker, here).call('ping')
  await a!
    .at(Worker, here)
    .call('crash')
    .catch(() => {})
  await until('the crash to be told', () => downs.some(d => d.startsWith(here) && d.includes('out of order')))
  await boss.call('tie', there)
  await until('the link', () => lives.includes(there))
  await a!.at(Worker, there).call('ping')
  meshes.kill('c')
  await until('the death to be told', () => downs.some(d => d.startsWith(`${there} linked`) && d.includes('is dead')))
  await until('the linked actor to end', () => !a!.isActive(Boss, boss.key))
  t.pass()
})

t.test('the trace context of the caller reaches every actor of a chain, without an SDK', async t => {
  const meshes = await Meshes.of(t, ['a', 'b'])
  const seen: (string | undefined)[] = []
  // As an SDK would: a propagator that carries one context, and looks at what arrives.
  const key = Symbol('trace')
  propagation.setGlobalPropagator({
    inject: () => {},
    extract: (ctx, carrier) => {
      seen.push((carrier as Record<string, string>)['traceparent'])
      return ctx.setValue(key, carrier)
    },
    fields: () => []
  })
  t.teardown(() => {
    propagation.disable()
    trace.disable()
    context.disable()
  })
  const Chain = actor('chain', {
    calls: {
      go: (c, keys: string[]): Promise<number> | number => (keys.length === 0 ? 0 : c.at(Chain, keys[0]!).call('go', keys.slice(1)))
    }
  })
  for (const r of meshes.runtimes) r.register(Chain)
  const [a] = meshes.runtimes
  await a!.at(Chain, keyOn(a!, 'chain', 'a')).call('go', [keyOn(a!, 'chain', 'b')], { trace: { traceparent } })
  t.same(seen, [traceparent, traceparent])
})

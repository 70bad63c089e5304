import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createRng, systemClock } from '../../../common/index.ts'
import { type Agreement, type AgreementOptions, createAgreement, type RegisterStore } from '../../../mesh/agreement/index.ts'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (value: string) => new TextEncoder().encode(value)
const voters = ['a', 'b', 'c']

class MemoryStore implements RegisterStore {
  readonly map = new Map<string, Uint8Array>()
  failing = false

  load() {
    return this.map
  }

  async persist(key: string, value: Uint8Array) {
    if (this.failing) throw new Error('disk full')
    await setImmediate()
    this.map.set(key, value)
  }

  async remove(key: string) {
    this.map.delete(key)
  }
}

/** Nodes in one process, whose messages go through bytes. */
class Nodes {
  readonly all = new Map<string, Agreement>()
  readonly stores = new Map<string, MemoryStore>()
  #lives = 0

  static async of(t: Test, names: string[], options: Partial<AgreementOptions> = {}): Promise<Nodes> {
    const nodes = new Nodes()
    // what is awaited here hangs on timers that keep no process alive
    const keepAlive = setInterval(() => {}, 1000)
    t.teardown(async () => {
      clearInterval(keepAlive)
      for (const node of nodes.all.values()) await node.stop()
    })
    for (const self of names) await nodes.start(self, options)
    return nodes
  }

  async start(self: string, options: Partial<AgreementOptions> = {}): Promise<Agreement> {
    const send = (to: string, message: Uint8Array) => void setImmediate().then(() => this.all.get(to)?.receive(self, message))
    const store = this.stores.get(self) ?? new MemoryStore()
    this.stores.set(self, store)
    const ports = { clock: systemClock, random: createRng(`${self}/${this.#lives++}`), send, store }
    const node = await createAgreement({ self, ports, resend: 50, ...options })
    this.all.set(self, node)
    return node
  }

  get(name: string): Agreement {
    return this.all.get(name)!
  }

  async kill(name: string): Promise<void> {
    const node = this.get(name)
    this.all.delete(name)
    await node.stop()
  }
}

t.test('all who propose at once get one value, and everybody learns of it', async t => {
  const nodes = await Nodes.of(t, ['a', 'b', 'c', 'd'])
  const told: string[] = []
  for (const node of nodes.all.values()) node.onDecided((key, { value }) => told.push(`${node.self} ${key} ${text(value)}`))
  const results = await Promise.all(
    voters.map(v => nodes.get(v).propose('job/2', { voters, learners: ['d'], alive: () => voters, choose: () => bytes(v) }))
  )
  const { value } = results[0]!
  for (const result of results) t.equal(text(result.value), text(value))
  t.ok(results.filter(r => r.mine).length <= 1)
  t.same(await nodes.get('d').learn('job/2', voters, { wait: true }), { value, forced: false })
  while (told.length < 4) await setImmediate()
  t.same(
    told.sort(),
    ['a', 'b', 'c', 'd'].map(n => `${n} job/2 ${text(value)}`)
  )
  t.same(nodes.get('b').decided('job/2')!.value, value)
})

t.test('the value is chosen from what the voters report, by the reporter with the longest prefix', async t => {
  const nodes = await Nodes.of(t, voters, { onReport: () => bytes('default') })
  for (const v of voters) {
    nodes.get(v).registerReporter('job/', async key => bytes(`${v} for ${key}`))
    if (v === 'c') nodes.get(v).registerReporter('job/7', () => bytes('special'))
  }
  t.throws(() => nodes.get('a').registerReporter('job/', () => bytes('')), { name: 'InvalidParametersError' })
  const choose = (reports: { peer: string; report: Uint8Array }[]) => bytes(reports.map(r => `${r.peer}=${text(r.report)}`).join())
  const { value, reports, mine } = await nodes.get('a').propose('job/7', { voters, choose })
  t.equal(text(value), 'a=a for job/7,b=b for job/7,c=special')
  t.equal(reports.length, 3)
  t.ok(mine)
  t.equal(text((await nodes.get('b').propose('other', { voters, choose })).value), 'a=default,b=default,c=default')
})

t.test('without a majority the silent voters are named; a forced quorum goes on', async t => {
  const nodes = await Nodes.of(t, ['a'])
  const choose = () => bytes('v')
  await t.rejects(nodes.get('a').propose('k', { voters, choose, deadline: 100 }), { name: 'NoQuorumError', message: /bring back b, c/ })
  await t.rejects(nodes.get('a').learn('k', voters, { deadline: 100 }), { name: 'NoQuorumError', message: /b, c/ })
  const result = await nodes.get('a').propose('k', { voters, choose, quorum: 1, alive: () => ['a'] })
  t.ok(result.forced)
  await t.resolves(nodes.get('a').propose('single', { voters: ['a'], choose }))
})

t.test('a voter that comes back is enough again', async t => {
  const nodes = await Nodes.of(t, ['a'])
  const proposal = nodes.get('a').propose('k', { voters, choose: () => bytes('v') })
  await nodes.start('b')
  t.equal(text((await proposal).value), 'v')
})

t.test('what was decided and promised outlives the process', async t => {
  const nodes = await Nodes.of(t, voters)
  await nodes.get('a').propose('k', { voters, choose: () => bytes('v') })
  for (const v of voters) await nodes.kill(v)
  await nodes.start('b')
  await nodes.start('c')
  t.equal(text((await nodes.get('b').propose('k', { voters, choose: () => bytes('w') })).value), 'v')
})

t.test('a voter whose disk or reporter fails is silent', async t => {
  const nodes = await Nodes.of(t, voters)
  nodes.stores.get('c')!.failing = true
  nodes.get('b').registerReporter('', () => {
    throw new Error('the trainer is gone')
  })
  await t.rejects(nodes.get('a').propose('k', { voters, choose: () => bytes('v'), deadline: 200 }), { message: /b, c/ })
  nodes.stores.get('c')!.failing = false
  const { reports } = await nodes.get('a').propose('k', { voters, choose: () => bytes('v') })
  t.same(
    reports.map(r => r.peer),
    ['a', 'c']
  )
})

t.test('a reporter that never answers makes the voter silent, not stuck', async t => {
  const nodes = await Nodes.of(t, ['a', 'b'], { reportTimeout: 50 })
  let asked = 0
  nodes.get('b').registerReporter('', () => (++asked < 3 ? new Promise(() => {}) : bytes('at last')))
  const { reports } = await nodes.get('a').propose('k', { voters: ['a', 'b'], choose: () => bytes('v') })
  t.equal(text(reports[1]!.report), 'at last')
})

t.test('an aborted call ends at once, a stopped node ends all', async t => {
  const nodes = await Nodes.of(t, ['a'])
  const abort = new AbortController()
  const proposal = nodes.get('a').propose('k', { voters, choose: () => bytes('v'), signal: abort.signal })
  abort.abort()
  await t.rejects(proposal, { name: 'AbortedError' })
  await t.rejects(nodes.get('a').learn('k', voters, { signal: abort.signal }), { name: 'AbortedError' })
  const other = nodes.get('a').propose('k', { voters, choose: () => bytes('v') })
  void nodes.get('a').stop()
  await t.rejects(other, { name: 'AbortedError' })
})

t.test('what choose throws, the caller gets; too large a value is refused', async t => {
  const nodes = await Nodes.of(t, ['a'])
  const a = nodes.get('a')
  const options = { voters: ['a'] }
  await t.rejects(
    a.propose('k', {
      ...options,
      choose() {
        throw new RangeError('no choice')
      }
    }),
    { name: 'RangeError' }
  )
  await t.rejects(a.propose('k', { ...options, choose: () => new Uint8Array(64 * 1024 + 1) }), { name: 'TooLargeError' })
  const buffer = bytes('v')
  const { value } = await a.propose('k', { ...options, choose: () => buffer })
  buffer.fill(0)
  t.equal(text(value), 'v', 'the value is a copy')
})

t.test('wrong parameters are named', async t => {
  const nodes = await Nodes.of(t, ['a'])
  const a = nodes.get('a')
  const choose = () => bytes('v')
  await t.rejects(a.propose('', { voters, choose }), { name: 'InvalidParametersError' })
  await t.rejects(a.propose('k'.repeat(257), { voters, choose }), { name: 'InvalidParametersError' })
  await t.rejects(a.propose('k', { voters: [], choose }), { name: 'InvalidParametersError' })
  await t.rejects(a.propose('k', { voters: ['b'], choose }), { name: 'InvalidParametersError', message: /outsider/ })
  await t.rejects(a.propose('k', { voters, choose, quorum: 4 }), { name: 'InvalidParametersError' })
  await t.rejects(a.learn('k', []), { name: 'InvalidParametersError' })
})

t.test('proposers that count other voters are told', async t => {
  const nodes = await Nodes.of(t, voters)
  await nodes.kill('b')
  // a and c promise for these voters, and no vote is cast
  await t.rejects(
    nodes.get('a').propose('k', {
      voters: ['a', 'c'],
      choose() {
        throw new RangeError('no choice')
      }
    }),
    { name: 'RangeError' }
  )
  await t.rejects(nodes.get('a').propose('k', { voters, choose: () => bytes('v') }), { name: 'InvalidParametersError', message: /a, c/ })
})

t.test('a forgotten key is gone from the disk', async t => {
  const nodes = await Nodes.of(t, ['a'])
  const a = nodes.get('a')
  await a.propose('k', { voters: ['a'], choose: () => bytes('v') })
  t.same(a.keys(), ['k'])
  a.forget('k')
  t.same(a.keys(), [])
  await a.stop()
  t.equal(nodes.stores.get('a')!.map.size, 0)
})

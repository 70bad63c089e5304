import t from 'tap'
import { createRng, systemClock } from '../../../common/index.ts'
import { createControl } from '../../../mesh/control/index.ts'
import type { Host } from '../../../mesh/host.ts'
import { createRecords, type Records } from '../../../mesh/records/index.ts'
import { Records as Message, type Record as Wire } from '../../../mesh/records/pb/records.ts'
import { openState } from '../../../mesh/state/index.ts'
import { admittedBy, failure, folder, host, newAuthority, until } from '../fixtures.ts'

const text = (value: string) => new TextEncoder().encode(value)
const read = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes)

interface Side {
  host: Host
  records: Records
  /** Peers that it pushes to and compares with. */
  peers: Set<string>
}

/** Hosts of one mesh, each connected to each, with records on top. */
async function sides(t: { teardown(callback: () => unknown): void; comment(...args: unknown[]): void }, n: number): Promise<Side[]> {
  const seed = `records/${Date.now()}`
  t.comment('seed', seed)
  const founder = newAuthority()
  const hosts = await Promise.all(Array.from({ length: n }, (_, i) => host(t, i === 0 ? founder : admittedBy(founder))))
  for (const [i, a] of hosts.entries()) for (const b of hosts.slice(i + 1)) await a.connect(b.peer, b.addresses())
  await until(() => hosts.every(h => h.peers().length === n - 1), 'all are connected')
  return await Promise.all(
    hosts.map(async host => {
      const control = await createControl({ host })
      const peers = new Set(hosts.map(h => h.peer).filter(p => p !== host.peer))
      const records = createRecords({
        authority: host.authority,
        control,
        peers: () => [...peers],
        clock: systemClock,
        random: createRng(`${seed}/${host.peer}`)
      })
      t.teardown(() => records.stop())
      return { host, records, peers }
    })
  )
}

t.test('a record is on every node, and its next version after it', async t => {
  const all = await sides(t, 3)
  const seen: string[] = []
  all[2]!.records.on('motto', r => seen.push(read(r.payload)!))
  all[0]!.records.put('motto', 'today', text('one'))
  await until(() => all.every(s => read(s.records.get('motto', 'today')?.payload) === 'one'), 'all have the first version')
  all[1]!.records.put('motto', 'today', text('two'))
  await until(() => all.every(s => read(s.records.get('motto', 'today')?.payload) === 'two'), 'all have the second version')
  t.same(seen, ['one', 'two'])
  t.equal(all[2]!.records.get('motto', 'today')!.author, all[1]!.host.peer)
  t.same(all[2]!.records.list('motto').length, 1)
})

t.test('nodes that were apart exchange what each lacks when they compare', async t => {
  const [a, b] = (await sides(t, 2)) as [Side, Side]
  a.peers.clear()
  b.peers.clear()
  for (let i = 0; i < 300; i++) {
    a.records.put('a', `k${i}`, text(`a${i}`))
    b.records.put('b', `k${i}`, text(`b${i}`))
  }
  a.records.put('both', 'x', text('old'))
  await until(() => Date.now() > a.records.get('both', 'x')!.sequence, 'the clock has moved on')
  b.records.put('both', 'x', text('new'))
  t.equal(b.records.list('a').length, 0)
  await a.records.compare(b.host.peer)
  await until(() => b.records.list('a').length === 300 && a.records.list('b').length === 300, 'both have all')
  await until(() => read(a.records.get('both', 'x')?.payload) === 'new', 'the later version has won')
  t.equal(read(b.records.get('both', 'x')?.payload), 'new')
})

t.test('without any push the periodic comparison spreads a record', async t => {
  const all = await sides(t, 3)
  const [a, b, c] = all as [Side, Side, Side]
  a.peers.clear()
  a.records.put('quiet', 'x', text('1'))
  b.peers.clear()
  b.peers.add(a.host.peer)
  c.peers.clear()
  c.peers.add(b.host.peer)
  await until(() => c.records.get('quiet', 'x') !== undefined, 'it came from a through b to c')
  t.pass()
})

t.test('many large records are compared in several messages', async t => {
  const [a, b] = (await sides(t, 2)) as [Side, Side]
  a.peers.clear()
  b.peers.clear()
  for (let i = 0; i < 120; i++) a.records.put('large', `k${i}`, new Uint8Array(60_000).fill(i))
  await b.records.compare(a.host.peer)
  await until(() => b.records.list('large').length === 120, 'all are here')
  t.equal(b.records.get('large', 'k7')!.payload[59_999], 7)
})

t.test('one node does not write what belongs to another', async t => {
  const [a, b] = (await sides(t, 2)) as [Side, Side]
  for (const { records } of [a, b]) {
    records.define('capabilities', { owner: 'self' })
    records.define('job', { owner: 'first' })
  }
  t.match(await failure((async () => a.records.put('capabilities', b.host.peer, text('x')))()), { name: 'InvalidParametersError' })
  a.records.put('job', 'j', text('mine'))
  await until(() => b.records.get('job', 'j') !== undefined, 'the job is known')
  t.match(await failure((async () => b.records.put('job', 'j', text('no, mine')))()), {
    name: 'InvalidParametersError',
    message: /belongs to/
  })
  t.match(await failure((async () => a.records.put('job', 'big', new Uint8Array(70_000)))()), { name: 'TooLargeError' })
})

t.test('forged, foreign and malformed records change nothing', async t => {
  const [a, b] = (await sides(t, 2)) as [Side, Side]
  const real = a.records.put('k', 'real', text('real'))
  const stranger = newAuthority()
  const forged = [
    { ...real, key: 'forged', signature: new Uint8Array(64), certificate: a.host.authority.chain()!.bytes },
    { ...real, author: stranger.identity.peer, signature: stranger.identity.sign(new Uint8Array(1)), certificate: stranger.chain()!.bytes },
    { ...real, author: 'x'.repeat(10_000), signature: new Uint8Array(0), certificate: new Uint8Array(0) },
    { ...real, sequence: Number.MAX_SAFE_INTEGER, signature: new Uint8Array(64), certificate: a.host.authority.chain()!.bytes }
  ]
  const stream = await a.host.openStream(b.host.peer, '/gradmesh/records/1.0.0')
  const { encodeFrame } = await import('../../../mesh/control/index.ts')
  for (const record of forged) stream.send(encodeFrame(Message.encode({ records: [record as Wire] })))
  stream.send(encodeFrame(new Uint8Array(1000).fill(0xff)))
  a.records.put('k', 'after', text('after'))
  await until(() => b.records.get('k', 'after') !== undefined, 'an honest one still comes through')
  t.same(
    b.records
      .list('k')
      .map(r => r.key)
      .sort(),
    ['after', 'real']
  )
})

t.test('a record ends with its time, on every node', async t => {
  const [a, b] = (await sides(t, 2)) as [Side, Side]
  a.records.put('short', 'x', text('1'), { ttl: 1500 })
  await until(() => b.records.get('short', 'x') !== undefined || a.records.get('short', 'x') === undefined, 'it is spread')
  await until(() => a.records.get('short', 'x') === undefined && b.records.get('short', 'x') === undefined, 'it is gone')
  t.same(b.records.list('short'), [])
})

t.test('durable records, and those of kept kinds, are there after a restart', async t => {
  const authority = newAuthority()
  const directory = folder(t)
  const one = await host(t, authority)
  const control = await createControl({ host: one })
  const open = () => {
    const state = openState(directory)
    const records = createRecords({
      authority,
      control,
      peers: () => [],
      clock: systemClock,
      random: createRng(1),
      kv: state.kv('records')
    })
    records.define('kept', { owner: 'any', kept: true })
    return {
      records,
      close() {
        records.stop()
        state.close()
      }
    }
  }
  const first = open()
  first.records.put('a', 'durable', text('1'), { durable: true })
  first.records.put('a', 'volatile', text('1'))
  first.records.put('a', 'short', text('1'), { durable: true, ttl: 1 })
  first.records.put('kept', 'x', text('1'))
  first.close()
  const second = open()
  t.equal(read(second.records.get('a', 'durable')?.payload), '1')
  t.equal(second.records.get('a', 'volatile'), undefined)
  t.equal(read(second.records.get('kept', 'x')?.payload), '1')
  const again = second.records.put('a', 'durable', text('2'), { durable: true })
  t.ok(again.sequence > 0)
  second.close()
  const third = open()
  t.equal(read(third.records.get('a', 'durable')?.payload), '2')
  third.close()
})

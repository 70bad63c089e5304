import t from 'tap'
import { type MemberRecord, noBytes } from '../../../mesh/membership/record.ts'
import { SmallMesh } from './mesh.ts'

const record = (peer: string, change: Partial<MemberRecord> = {}): MemberRecord => ({
  peer,
  epoch: 1,
  incarnation: 0,
  state: 'alive',
  addresses: [],
  version: noBytes,
  by: '',
  proof: noBytes,
  ...change
})
const news = (from: string, ...records: MemberRecord[]) =>
  ({ type: 'message', from, message: { kind: 'news', epoch: 1, incarnation: 0, records } }) as const

t.test('who joins through one member is known to all, with its addresses', async t => {
  const mesh = new SmallMesh()
  for (const name of ['a', 'b', 'c', 'd']) mesh.add(name)
  mesh.step('b', { type: 'join', peers: ['a'] })
  mesh.step('c', { type: 'join', peers: ['b'] })
  mesh.step('d', { type: 'join', peers: ['c'] })
  mesh.run(2000)
  for (const name of ['a', 'b', 'c', 'd']) {
    for (const other of ['a', 'b', 'c', 'd']) {
      if (other === name) continue
      t.ok(mesh.changes.includes(`${name}: joined ${other}`))
      t.same(mesh.states.get(name)!.members.get(other)!.addresses, [`/memory/${other}`])
    }
  }
})

t.test('a joiner speaks until it is heard, and no longer', async t => {
  const mesh = new SmallMesh()
  mesh.add('a')
  mesh.add('b')
  mesh.silent.add('a')
  mesh.step('b', { type: 'join', peers: ['a'] })
  mesh.run(3500)
  t.equal(mesh.sees('b', 'a'), undefined)
  mesh.silent.delete('a')
  mesh.run(1500)
  t.equal(mesh.sees('b', 'a'), 'alive')
  mesh.step('b', { type: 'join', peers: ['a'] })
  mesh.sent.length = 0
  mesh.run(5000)
  t.same(
    mesh.sent.filter(s => s.message.kind === 'state'),
    [],
    'not even to somebody it knew already'
  )
})

t.test('a silent member is suspected, then declared by all; when it speaks again it is back', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c', 'd', 'e'])
  mesh.silent.add('e')
  mesh.run(2000)
  for (const name of ['a', 'b', 'c', 'd']) {
    t.ok(mesh.changes.indexOf(`${name}: suspect e`) < mesh.changes.indexOf(`${name}: dead e`), name)
    t.equal(mesh.sees(name, 'e'), 'dead')
  }
  mesh.silent.delete('e')
  mesh.run(3000)
  for (const name of ['a', 'b', 'c', 'd']) t.ok(mesh.changes.includes(`${name}: alive e`), name)
})

t.test('a closed connection proves nothing: the member is probed at once, also through others', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c', 'd', 'e'])
  mesh.step('a', { type: 'hint', peer: 'b' })
  t.equal(mesh.sees('a', 'b'), 'alive')
  t.equal(mesh.sent.filter(s => s.from === 'a' && s.to === 'b' && s.message.kind === 'ping').length, 1)
  mesh.silent.add('c')
  mesh.sent.length = 0
  mesh.step('a', { type: 'hint', peer: 'c' })
  t.equal(mesh.sent.filter(s => s.from === 'a' && s.message.kind === 'ask').length, 3)
  mesh.run(500)
  t.equal(mesh.sees('a', 'c'), 'suspect')
})

t.test('a member that cannot be reached directly but through others is not suspected', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  const { step } = mesh
  // drops what a and b say to each other
  mesh.step = (name, event) => {
    if (event.type === 'message' && [name, event.from].sort().join() === 'a,b') return []
    return step.call(mesh, name, event)
  }
  mesh.run(20_000)
  t.same(mesh.changes, [])
})

t.test('only the member itself refutes, by a higher incarnation', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  const before = mesh.states.get('c')!.self.incarnation
  mesh.step('a', news('b', record('c', { state: 'suspect', by: 'b', incarnation: before })))
  t.equal(mesh.sees('a', 'c'), 'suspect')
  mesh.step('a', news('b', record('c', { incarnation: before })))
  t.equal(mesh.sees('a', 'c'), 'suspect', 'the same moment does not refute')
  mesh.run(400)
  t.equal(mesh.sees('a', 'c'), 'alive')
  t.ok(mesh.states.get('c')!.self.incarnation > before)
})

t.test('old news and news of unknown members change nothing', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  mesh.states.get('a')!.members.get('c')!.incarnation = 5
  for (const state of ['suspect', 'dead'] as const) mesh.step('a', news('b', record('c', { state, incarnation: 4 })))
  for (const state of ['suspect', 'dead', 'left'] as const) mesh.step('a', news('b', record('x', { state })))
  t.same(mesh.changes, [])
  t.equal(mesh.sees('a', 'x'), undefined)
})

t.test('a member that leaves is left for all, and is not declared dead', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
  mesh.step('g', { type: 'leave', proof: Uint8Array.of(7) })
  mesh.silent.add('g')
  mesh.run(4000)
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    t.same(
      mesh.changes.filter(c => c.startsWith(`${name}:`)),
      [`${name}: left g`]
    )
    t.same(mesh.states.get(name)!.members.get('g')!.proof, Uint8Array.of(7))
  }
  t.same(mesh.reconnects, [], 'nobody looks for it')
})

t.test('a restart shows as the death of the old life and a new member', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  mesh.add('c', { epoch: 2, addresses: ['/memory/elsewhere'] })
  mesh.step('c', { type: 'join', peers: ['a'] })
  mesh.run(2000)
  for (const name of ['a', 'b']) {
    t.same(
      mesh.changes.filter(c => c.startsWith(`${name}:`)),
      [`${name}: dead c`, `${name}: joined c`]
    )
    t.same(mesh.states.get(name)!.members.get('c')!.addresses, ['/memory/elsewhere'])
  }
})

t.test('a restart with a clock that went back takes an epoch above the old one', async t => {
  const mesh = new SmallMesh()
  mesh.add('a', { epoch: 10 })
  mesh.add('b', { epoch: 10 })
  mesh.step('b', { type: 'join', peers: ['a'] })
  mesh.add('b', { epoch: 3 })
  mesh.step('b', { type: 'join', peers: ['a'] })
  mesh.run(2000)
  t.equal(mesh.states.get('b')!.self.epoch, 11)
  t.equal(mesh.states.get('a')!.members.get('b')!.epoch, 11)
})

t.test('who left and comes back in a new life is a member again, in the old one it is not', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  mesh.step('c', { type: 'leave', proof: noBytes })
  mesh.run(1000)
  mesh.step('a', news('c', record('c', { incarnation: 1000 })))
  t.equal(mesh.sees('a', 'c'), 'left')
  mesh.add('c', { epoch: 2 })
  mesh.step('c', { type: 'join', peers: ['b'] })
  mesh.run(1000)
  t.equal(mesh.sees('a', 'c'), 'alive')
})

t.test('new addresses reach everybody', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  mesh.step('c', { type: 'addresses', addresses: ['/memory/new'] })
  mesh.run(1000)
  t.same(mesh.changes.sort(), ['a: updated c', 'b: updated c'])
  t.same(mesh.states.get('a')!.members.get('c')!.addresses, ['/memory/new'])
})

t.test('both halves of a healed partition try the dead again and find each other', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c', 'd'])
  const { step } = mesh
  const side = (name: string) => name < 'c'
  mesh.step = (name, event) => (event.type === 'message' && side(name) !== side(event.from) ? [] : step.call(mesh, name, event))
  mesh.run(8000)
  t.equal(mesh.sees('a', 'c'), 'dead')
  t.equal(mesh.sees('d', 'b'), 'dead')
  t.ok(mesh.reconnects.includes('a: c at /memory/c'), 'with the addresses it had')
  mesh.step = step
  mesh.run(5000)
  for (const name of ['a', 'b', 'c', 'd'])
    for (const m of mesh.states.get(name)!.members.values()) t.equal(m.state, 'alive', `${name} ${m.peer}`)
})

t.test('the dead are forgotten after a while', async t => {
  const mesh = new SmallMesh()
  for (const name of ['a', 'b', 'c']) mesh.add(name, { settings: { forgetAfter: 20_000 } })
  for (const name of ['b', 'c']) mesh.step(name, { type: 'join', peers: ['a'] })
  mesh.run(3000)
  mesh.silent.add('c')
  mesh.run(5000)
  t.equal(mesh.sees('a', 'c'), 'dead')
  mesh.run(40_000)
  t.equal(mesh.sees('a', 'c'), undefined)
  t.ok(mesh.changes.includes('a: forgotten c'))
})

t.test('a full view takes no newcomer, unless a dead member makes room', async t => {
  const mesh = new SmallMesh()
  mesh.add('a', { settings: { maxMembers: 3 } })
  mesh.step('a', news('b', record('b'), record('c'), record('d')))
  t.equal(mesh.states.get('a')!.members.size, 2)
  mesh.step('a', news('b', record('c', { state: 'dead' })))
  mesh.step('a', news('b', record('d')))
  t.equal(mesh.sees('a', 'd'), 'alive')
  t.equal(mesh.sees('a', 'c'), undefined)
})

t.test('a node that stood still itself judges nobody before it has read what came', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  // a sends its pings, then stands still for two seconds; the acks lie unread
  const { step } = mesh
  const unread: (() => void)[] = []
  let frozen = true
  mesh.step = (name, event) => {
    if (name === 'a' && frozen && event.type === 'message') {
      unread.push(() => step.call(mesh, name, event))
      return []
    }
    return step.call(mesh, name, event)
  }
  mesh.run(320)
  mesh.now += 400
  step.call(mesh, 'a', { type: 'timer', id: 'wake' })
  frozen = false
  for (const read of unread) read()
  mesh.run(100)
  t.equal(mesh.sees('a', 'b'), 'alive')
  t.equal(mesh.sees('a', 'c'), 'alive')
  t.notOk(mesh.changes.some(c => c.startsWith('a:')))
})

t.test('a node that is suspected wrongly, or hears no relays, gives others more time', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c', 'd', 'e'])
  const a = mesh.states.get('a')!
  t.equal(a.health, 0)
  mesh.step('a', news('b', record('a', { state: 'suspect', by: 'b', incarnation: a.self.incarnation })))
  t.equal(a.health, 1)
  mesh.run(2000)
  t.equal(a.health, 0, 'answered probes mend it')
  mesh.silent.add('a')
  for (const name of ['b', 'c', 'd', 'e']) mesh.silent.add(name)
  mesh.silent.delete('a')
  mesh.run(1500)
  t.equal(a.health, a.settings.healthMax, 'nobody speaks to it, relays neither')
})

t.test('a member whose incarnations are used up begins a new life', async t => {
  const mesh = new SmallMesh()
  mesh.grow(['a', 'b', 'c'])
  mesh.step('a', news('b', record('a', { state: 'dead', incarnation: 2 ** 32 - 2 })))
  const { epoch, incarnation } = mesh.states.get('a')!.self
  t.same([epoch, incarnation], [2, 0])
  mesh.run(1000)
  t.equal(mesh.sees('b', 'a'), 'alive')
})

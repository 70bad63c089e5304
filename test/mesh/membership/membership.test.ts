import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { createRng, InvalidParametersError, MalformedError, systemClock } from '../../../common/index.ts'
import { createMembership, leaveBytes, type Membership, type MembershipPorts } from '../../../mesh/membership/index.ts'

/** Nodes in one process, whose messages go through bytes. */
class Nodes {
  readonly all = new Map<string, Membership>()
  readonly changes: string[] = []

  add(self: string, ports: Partial<MembershipPorts> = {}, epoch = 1): Membership {
    const send = (to: string, bytes: Uint8Array) => void setImmediate().then(() => this.all.get(to)?.receive(self, bytes))
    const node = createMembership({
      self,
      epoch,
      addresses: [`/memory/${self}`],
      version: Uint8Array.of(1, 2),
      ports: { clock: systemClock, random: createRng(self), send, ...ports }
    })
    node.onChange(({ change, member }) => this.changes.push(`${self}: ${change} ${member.peer}`))
    this.all.set(self, node)
    node.start()
    return node
  }

  stop(): void {
    for (const node of this.all.values()) node.stop()
    this.all.clear()
  }
}

/** Resolves when `condition` holds; the test's own time limit bounds it. */
async function until(condition: () => boolean): Promise<void> {
  const keepAlive = setInterval(() => {}, 1000)
  try {
    while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
  } finally {
    clearInterval(keepAlive)
  }
}

t.test('nodes find each other, one that is gone is declared, one that comes back is new', async t => {
  const nodes = new Nodes()
  t.teardown(() => nodes.stop())
  const a = nodes.add('a')
  const b = nodes.add('b')
  const c = nodes.add('c')
  b.join(['a'])
  c.join(['b'])
  await until(() => [a, b, c].every(n => n.alive().length === 3))
  t.same(a.alive(), ['a', 'b', 'c'])
  t.same(a.member('c')!.addresses, ['/memory/c'])
  t.same(a.member('c')!.version, Uint8Array.of(1, 2))
  t.equal(a.members().length, 3)

  c.stop()
  nodes.all.delete('c')
  a.hint('c')
  await until(() => nodes.changes.includes('a: dead c') && nodes.changes.includes('b: dead c'))
  t.same(a.alive(), ['a', 'b'])
  t.equal(a.member('c')!.state, 'dead')

  nodes.add('c', {}, 2).join(['a'])
  await until(() => [...nodes.all.values()].every(n => n.alive().length === 3))
  t.equal(b.member('c')!.epoch, 2)
})

t.test('a leave is believed with the right signature only', async t => {
  const nodes = new Nodes()
  t.teardown(() => nodes.stop())
  const sign = (self: string) => (bytes: Uint8Array) => Uint8Array.of(self.charCodeAt(0), bytes.length)
  const verify = async (peer: string, bytes: Uint8Array, signature: Uint8Array) =>
    Buffer.compare(signature, sign(peer)(bytes)) === 0 && Buffer.compare(bytes, leaveBytes(peer, 1)) === 0
  const a = nodes.add('a', { sign: sign('a'), verify })
  const b = nodes.add('b', { sign: sign('b'), verify })
  const liar = nodes.add('c', { sign: sign('x'), verify })
  b.join(['a'])
  liar.join(['a'])
  await until(() => [a, b, liar].every(n => n.alive().length === 3))
  await b.leave()
  await until(() => nodes.changes.includes('a: left b') && nodes.changes.includes('c: left b'))
  t.same(a.alive(), ['a', 'c'])
  t.same(a.member('b')!.proof, sign('b')(leaveBytes('b', 1)))
  t.same(b.alive(), ['a', 'c'], 'it is no member for itself either')
  await liar.leave()
  nodes.all.delete('c')
  await until(() => nodes.changes.includes('a: dead c'))
  t.notOk(nodes.changes.includes('a: left c'))
})

t.test('a listener may use the membership, and one that throws harms nobody', async t => {
  const nodes = new Nodes()
  t.teardown(() => nodes.stop())
  const a = nodes.add('a')
  const seen: string[] = []
  a.onChange(() => {
    throw new Error('a bad listener')
  })
  const off = a.onChange(({ member }) => {
    a.setAddresses(['/memory/moved'])
    seen.push(member.peer)
  })
  const b = nodes.add('b')
  b.join(['a'])
  await until(() => seen.length > 0 && b.member('a')?.addresses[0] === '/memory/moved')
  off()
  const c = nodes.add('c')
  c.join(['a'])
  await until(() => a.alive().length === 3)
  t.notOk(seen.includes('c'))
})

t.test('wrong bytes and wrong settings are named', async t => {
  const nodes = new Nodes()
  t.teardown(() => nodes.stop())
  const a = nodes.add('a')
  t.throws(() => a.receive('b', Uint8Array.of(1, 2, 3)), MalformedError)
  t.throws(() => a.setAddresses(['x'.repeat(300)]), InvalidParametersError)
  t.throws(() => a.setAddresses(['']), InvalidParametersError)
  t.same(a.alive(), ['a'])
})

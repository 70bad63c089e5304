import fc from 'fast-check'
import t from 'tap'
import { actor, address } from '../../../actors/runtime/index.ts'
import { Ledger } from '../../../actors/runtime/ledger.ts'
import { type Candidate, placementOrder } from '../../../actors/runtime/placement.ts'
import { NotFoundError, OverloadedError } from '../../../common/index.ts'
import { Meshes } from './meshes.ts'

const gpu = (i: number) => ({ id: `gpu:${i}`, kind: 'gpu' as const, name: 'g', providers: [] })

function member(peer: string, gpus = 0, labels: Record<string, string> = {}): Candidate {
  return { peer, capabilities: { peer, devices: Array.from({ length: gpus }, (_, i) => gpu(i)), fabrics: [], labels, free: [] } }
}

t.test('equal views give equal owners, in whatever order they are told, and a death moves only what it owned', async t => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 12 }), fc.nat(1e6), (peers, n) => {
      const target = address('a', `k${n}`)
      const order = placementOrder(
        target,
        undefined,
        peers.map(p => member(p))
      )
      const again = placementOrder(
        target,
        undefined,
        peers.toReversed().map(p => member(p))
      )
      const fewer = placementOrder(
        target,
        undefined,
        peers.filter(p => p !== order[0]).map(p => member(p))
      )
      return order.join('\n') === again.join('\n') && fewer.join('\n') === order.slice(1).join('\n')
    })
  )
  t.pass()
})

t.test('only members that meet the needs are asked, each in proportion to what it could hold', async t => {
  const members = [member('none'), member('one', 1), member('three', 3), member('eu', 2, { region: 'eu' })]
  const counts = new Map<string, number>()
  for (let i = 0; i < 3000; i++) {
    const [first] = placementOrder(address('a', `k${i}`), { needs: { devices: { kind: 'gpu' } } }, members)
    counts.set(first!, (counts.get(first!) ?? 0) + 1)
  }
  t.equal(counts.get('none'), undefined)
  for (const [peer, share] of [
    ['one', 1 / 6],
    ['three', 3 / 6],
    ['eu', 2 / 6]
  ] as const) {
    t.ok(Math.abs(counts.get(peer)! / 3000 - share) < 0.05, `${peer}: ${counts.get(peer)}`)
  }
  t.same(placementOrder(address('a', 'k'), { needs: { labels: { region: 'eu' } } }, members), ['eu'])
  t.same(placementOrder(address('a', 'k'), { needs: { devices: { kind: 'gpu', count: 4 } } }, members), [])
})

t.test('pack puts a kind on one node, near puts an actor with another', async t => {
  const members = ['a', 'b', 'c', 'd'].map(p => member(p))
  const packed = new Set(Array.from({ length: 20 }, (_, i) => placementOrder(address('a', `k${i}`), { placement: 'pack' }, members)[0]))
  t.equal(packed.size, 1)
  t.equal(placementOrder(address('a', 'k'), {}, members, 'c')[0], 'c')
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  const Room = actor('room', { calls: { ping: ({ key }) => key } })
  const Guest = actor('guest', { placement: { near: key => address('room', key) }, calls: { ping: ({ key }) => key } })
  for (const r of meshes.runtimes) for (const type of [Room, Guest]) r.register(type)
  const [a] = meshes.runtimes
  for (const key of ['x', 'y', 'z', 'w']) t.equal(a!.owner('guest', key), a!.owner('room', key))
  t.equal(await a!.at(Guest, 'x').call('ping'), 'x')
})

t.test('a device has one holder; what does not fit is refused and the next node is asked', async t => {
  const ledger = new Ledger({ devices: () => [gpu(0), gpu(1)], memory: 100 })
  const lease = ledger.lease('gpu:0', 'job')
  t.throws(() => ledger.lease('gpu:0', 'other'), OverloadedError)
  t.throws(() => ledger.lease('gpu:9', 'other'), NotFoundError)
  t.throws(() => ledger.admit({ devices: { kind: 'gpu', count: 2 } }, 'actor'), OverloadedError)
  const both = ledger.admit({ devices: { kind: 'gpu' }, memory: 60 }, 'actor')
  t.same(ledger.free(), [])
  t.throws(() => ledger.admit({ memory: 41 }, 'more'), OverloadedError)
  lease.release()
  lease.release()
  both.release()
  t.same(ledger.free(), ['gpu:0', 'gpu:1'])
  const meshes = await Meshes.of(t, ['a', 'b', 'c'], peer => ({ devices: peer === 'c' ? [] : [gpu(0)] }))
  const Holder = actor('holder', { needs: { devices: { kind: 'gpu' } }, calls: { ping: ({ key }) => key } })
  for (const r of meshes.runtimes) r.register(Holder)
  const [a] = meshes.runtimes
  for (const key of ['x', 'y']) t.equal(await a!.at(Holder, key).call('ping'), key)
  t.same(
    meshes.runtimes.map(r => r.ledger.free().length),
    [0, 0, 0],
    'one on each node that has a device, whatever their first choices were'
  )
  await t.rejects(a!.at(Holder, 'z').call('ping'), OverloadedError, 'and no third')
  t.equal(await meshes.node('c').runtime.at(Holder, 'x').call('ping'), 'x')
})

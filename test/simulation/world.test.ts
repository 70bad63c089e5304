import t from 'tap'
import { createRng } from '../../common/index.ts'
import {
  applyFault,
  type Boot,
  drawFaults,
  Heap,
  type Host,
  type Observation,
  World,
  type WorldOptions
} from '../../mesh/simulation/index.ts'

/** A world of `names` that all run `boot`, and what they observed. */
function worldOf(names: string[], boot: Boot, options: Partial<WorldOptions> = {}): { world: World; seen: Observation[] } {
  const world = new World({ seed: 1, ...options })
  const seen: Observation[] = []
  world.observers.push({ observe: o => o.node !== '' && seen.push(o) })
  for (const name of names) world.add(name, boot)
  for (const name of names) world.start(name)
  return { world, seen }
}

/** Sends a number every 10 ms to `to` (unless that is itself), and tells what arrives. */
function counter(to: string): Boot {
  return host => {
    let n = 0
    host.setTimer('tick', 10)
    return {
      timer() {
        if (to !== host.name) host.send(to, { kind: 'count', n: n++ } as { kind: string })
        host.setTimer('tick', 10)
      },
      receive: (from, message) => host.observe('got', { from, ...message }),
      closed: peer => host.observe('closed', { peer })
    }
  }
}

const numbers = (seen: Observation[], node: string) =>
  seen.filter(o => o.node === node && o.kind === 'got').map(o => o.details['n'] as number)

t.test('the heap gives moments in the order of time, equal ones as they came', async t => {
  const random = createRng(3)
  const heap = new Heap()
  const all = Array.from({ length: 500 }, (_, sequence) => ({ time: random.int(50), sequence, run() {} }))
  for (const moment of all) heap.push(moment)
  const out = Array.from({ length: 500 }, () => heap.pop()!)
  t.same(
    out,
    all.sort((a, b) => a.time - b.time || a.sequence - b.sequence)
  )
  t.equal(heap.pop(), undefined)
})

t.test('links keep their order and lose nothing unless told to', async t => {
  const { world, seen } = worldOf(['a', 'b'], counter('b'), { network: { meanDelay: 50 } })
  world.run(5000)
  const got = numbers(seen, 'b')
  t.ok(got.length > 400)
  t.same(
    got,
    got.map((_, i) => i)
  )
})

t.test('links lose, duplicate and reorder when told to', async t => {
  const { world, seen } = worldOf(['a', 'b'], counter('b'), { network: { meanDelay: 50, loss: 0.2, duplicate: 0.2, reorder: 0.5 } })
  world.run(5000)
  const got = numbers(seen, 'b')
  const different = new Set(got)
  t.ok(different.size < 450, 'some are lost')
  t.ok(different.size < got.length, 'some come twice')
  t.ok(
    got.some((n, i) => i > 0 && n < got[i - 1]!),
    'some overtake'
  )
})

t.test('a cut is one way; a clogged link gives what it held once healed', async t => {
  const { world, seen } = worldOf(['a', 'b', 'c'], host => counter(host.name === 'b' ? 'a' : 'b')(host))
  world.run(1000)
  const before = numbers(seen, 'a').length
  applyFault(world, { type: 'cut', from: ['a'], to: ['b'] })
  applyFault(world, { type: 'clog', from: ['c'], to: ['b'] })
  world.run(1010)
  seen.length = 0
  world.run(2000)
  t.same(numbers(seen, 'b'), [], 'b hears neither')
  t.ok(numbers(seen, 'a').length > before - 10, 'a hears b')
  applyFault(world, { type: 'heal' })
  seen.length = 0
  world.run(2020)
  t.equal(seen.filter(o => o.node === 'b' && o.details['from'] === 'c').length >= 99, true, 'what c sent comes')
  t.ok(seen.filter(o => o.node === 'b' && o.details['from'] === 'a').length < 5, 'what a sent is lost')
})

t.test('a crash loses what was not durable, tells the others, and a restart finds the rest', async t => {
  const store: Boot = (host: Host) => {
    host.observe('found', Object.fromEntries(host.entries()))
    if (host.life === 1) {
      host.write('first', 1, () => host.observe('durable', { key: 'first' }))
      host.write('second', 2, () => host.observe('durable', { key: 'second' }))
    }
    return { receive() {}, timer() {}, closed: peer => host.observe('closed', { peer }) }
  }
  const { world, seen } = worldOf(['a', 'b'], store, { disk: { minDelay: 10, meanDelay: 0 } })
  world.add('c', host => {
    if (host.life === 1) {
      host.write('kept', 1, () => {})
      host.later(15, () => host.write('lost', 2, () => {}))
    } else host.observe('found', Object.fromEntries(host.entries()))
    return { receive() {}, timer() {} }
  })
  world.start('c')
  world.run(20)
  applyFault(world, { type: 'crash', node: 'c', notice: true })
  applyFault(world, { type: 'crash', node: 'b', notice: false })
  world.run(40)
  t.same(
    seen.filter(o => o.kind === 'closed').map(o => [o.node, o.details['peer']]),
    [['a', 'c']]
  )
  applyFault(world, { type: 'restart', node: 'c' })
  applyFault(world, { type: 'restart', node: 'b' })
  t.same(
    seen.slice(-2).map(o => o.details),
    [{ kept: 1 }, { first: 1, second: 2 }]
  )
})

t.test('a frozen node does nothing, then timers before inputs', async t => {
  const order: string[] = []
  const { world } = worldOf(['a', 'b'], host => {
    if (host.name === 'a') host.setTimer('late', 50)
    else host.setTimer('early', 5)
    return {
      timer(id) {
        order.push(id)
        if (id === 'early') host.send('a', { kind: 'hello' })
      },
      receive: () => order.push('hello')
    }
  })
  applyFault(world, { type: 'stall', node: 'a', duration: 100 })
  world.run(99)
  t.same(order, ['early'])
  world.run(101)
  t.same(order, ['early', 'late', 'hello'])
})

t.test('a fast clock ends its timers sooner and does not jump', async t => {
  const times: number[] = []
  const { world } = worldOf(['a'], host => {
    host.setTimer('x', 100)
    return {
      timer() {
        times.push(host.now())
        host.setTimer('x', 100)
      },
      receive() {}
    }
  })
  world.run(100)
  applyFault(world, { type: 'skew', node: 'a', rate: 2 })
  world.run(300)
  // the timer that ran when the clock changed keeps its world time
  t.same(
    times.map(x => Math.round(x)),
    [100, 300, 400, 500]
  )
})

t.test('drawn faults leave a majority and are all undone at the end', async t => {
  const names = ['a', 'b', 'c', 'd', 'e']
  for (let seed = 0; seed < 50; seed++) {
    const troubles = { crash: 300, downFor: 3000, freeze: 300, freezeFor: 3000, stall: 100, cut: 500, clog: 500, skew: 1000 }
    const faults = drawFaults(createRng(seed), names, troubles, 100, 10_000, 2)
    const { world } = worldOf(names, counter('a'))
    let least = 5
    for (const { at, fault } of faults) {
      world.run(at)
      applyFault(world, fault)
      if (fault.type !== 'stall') least = Math.min(least, [...world.nodes.values()].filter(n => n.up).length)
    }
    world.run(11_000)
    t.ok(least >= 3, `seed ${seed}: at least three of five are up`)
    t.ok(
      [...world.nodes.values()].every(n => n.up && n.frozen === 0) && !world.network.isCut('a', 'b'),
      `seed ${seed}: all is well at the end`
    )
  }
})

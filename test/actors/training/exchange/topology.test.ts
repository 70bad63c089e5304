import t from 'tap'
import { graphNames, gridGroup, neighboursOf, onePeer, partnerOf, scheduleNames } from '../../../../actors/training/exchange/topology.ts'

const names = (n: number) => Array.from({ length: n }, (_, i) => `t${String(i).padStart(2, '0')}`)

t.test('graphs are symmetric and connected, and nobody is his own neighbour', async t => {
  for (const graph of graphNames) {
    for (let n = 1; n <= 17; n++) {
      const all = names(n)
      const near = new Map(all.map(name => [name, neighboursOf(graph, all, name, 'job')]))
      for (const [name, others] of near) {
        t.notOk(others.includes(name))
        for (const other of others) t.ok(near.get(other)!.includes(name), `${graph}, ${n}: ${name} and ${other}`)
      }
      const reached = new Set(['t00'])
      for (const name of reached) for (const other of near.get(name)!) reached.add(other)
      t.equal(reached.size, n, `${graph} of ${n} is connected`)
    }
  }
  t.same(neighboursOf('ring', names(5), 't00', ''), ['t01', 't04'])
  t.same(neighboursOf('grid', names(12), 't00', ''), ['t01', 't03', 't04', 't08'], '3 rows of 4')
  t.same(neighboursOf('exponential', names(8), 't00', ''), ['t01', 't02', 't04', 't06', 't07'])
})

t.test('in every round everybody sends to one and hears from the one that sends to it', async t => {
  for (const schedule of scheduleNames) {
    for (let n = 2; n <= 12; n++) {
      const all = names(n)
      for (let round = 0; round < 2 * n; round++) {
        const peers = all.map(name => onePeer(schedule, all, name, round))
        t.equal(new Set(peers.map(p => p.to)).size, n, 'a permutation')
        all.forEach((name, i) => {
          t.not(peers[i].to, name)
          t.equal(peers[all.indexOf(peers[i].to!)].from, name)
        })
      }
    }
  }
  t.same(onePeer('ring', ['a'], 'a', 3), { to: undefined, from: undefined })
})

t.test('matchings pair both ways, and groups of a grid are the same for all of their members', async t => {
  for (let n = 1; n <= 12; n++) {
    const all = names(n)
    for (let round = 0; round < 10; round++) {
      const partners = all.map(name => partnerOf(all, name, `job/${round}`))
      t.equal(partners.filter(p => p === undefined).length, n % 2)
      for (const [i, p] of partners.entries()) if (p !== undefined) t.equal(partners[all.indexOf(p)], all[i])
      for (const name of all) {
        const group = [name, ...gridGroup(all, name, 2, round)].sort()
        for (const other of group) t.same([other, ...gridGroup(all, other, 2, round)].sort(), group)
      }
    }
  }
  t.same(gridGroup(names(9), 't04', 2, 0), ['t03', 't05'])
  t.same(gridGroup(names(9), 't04', 2, 1), ['t01', 't07'])
})

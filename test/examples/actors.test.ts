import t from 'tap'
import { Room } from '../../examples/chat-room.ts'
import { count, Mapper, Reducer } from '../../examples/map-reduce.ts'
import { Link, Names, shorten } from '../../examples/url-shortener.ts'
import { InvalidParametersError, NotFoundError } from '../../index.ts'
import { Meshes } from '../actors/runtime/meshes.ts'

async function runtimes(t: Parameters<typeof Meshes.of>[0]) {
  const meshes = await Meshes.of(t, ['a', 'b', 'c'])
  for (const r of meshes.runtimes) for (const type of [Link, Names, Room, Mapper, Reducer]) r.register(type)
  return meshes
}

t.test('the URL shortener keeps its links when a node dies', async t => {
  const meshes = await runtimes(t)
  const [a] = meshes.runtimes
  const names = await Promise.all([1, 2, 3, 4].map(i => shorten(a!, `https://example.com/${i}`)))
  t.equal(new Set(names).size, 4)
  meshes.kill('b')
  for (const [i, name] of names.entries()) t.equal(await a!.at(Link, name).call('visit'), `https://example.com/${i + 1}`)
  t.equal(await meshes.node('c').runtime.at(Link, names[0]!).call('visits'), 1)
  await t.rejects(a!.at(Link, 'nothing').call('visit'), NotFoundError)
  await t.rejects(shorten(a!, 'no url'), InvalidParametersError)
})

t.test('what is said in a chat room is heard on all nodes, in one order, and kept', async t => {
  const meshes = await runtimes(t)
  const heard = await Promise.all(meshes.runtimes.map(r => r.at(Room, 'lobby').subscribe('said')))
  await Promise.all(meshes.runtimes.map((r, i) => r.at(Room, 'lobby').call('say', { name: `n${i}`, text: 'hello' })))
  const orders: string[] = []
  for (const lines of heard) {
    const names: string[] = []
    for await (const { name } of lines) if (names.push(name) === 3) break
    orders.push(names.join())
  }
  t.equal(new Set(orders).size, 1)
  const [a] = meshes.runtimes
  t.equal((await a!.at(Room, 'lobby').call('history')).map(l => l.name).join(), orders[0])
})

t.test('map-reduce counts every word once', async t => {
  const meshes = await runtimes(t)
  const text = Array.from({ length: 3000 }, (_, i) => (i % 3 === 0 ? 'alpha' : i % 3 === 1 ? 'beta' : `w${'abcdefghij'[i % 10]}`)).join(' ')
  t.same(await count(meshes.runtimes[0]!, 'j', text, 2), [
    ['alpha', 1000],
    ['beta', 1000]
  ])
})

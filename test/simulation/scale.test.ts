import t from 'tap'
import { applyFault, World } from '../../mesh/simulation/index.ts'
import { Views } from './checkers/views.ts'
import { membershipProgram } from './programs/membership.ts'

/** A mesh of `n` nodes that start one after the other and all join the first. */
function start(n: number) {
  const names = Array.from({ length: n }, (_, i) => `n${i}`)
  const world = new World({ seed: n, keepTrace: 0, network: { minDelay: 0.2, meanDelay: 3 } })
  const views = new Views()
  const sent = new Map<string, number>()
  world.observers.push(views, { sent: from => sent.set(from, (sent.get(from) ?? 0) + 1) })
  for (const [i, name] of names.entries()) {
    world.add(name, membershipProgram({ seeds: [names[0]!] }))
    world.at(i * 5, () => world.start(name))
  }
  const up = () => names.filter(name => world.node(name).up)
  return {
    names,
    world,
    /** Whether everybody who runs sees exactly those who run. */
    agree: () => up().every(name => views.of(name).size === up().length - 1),
    /** Runs until `condition` holds. @returns how long that took, ms; Infinity when it takes over `bound` */
    until(condition: () => boolean, bound: number): number {
      const from = world.now
      while (!condition()) {
        if (world.now - from > bound) return Number.POSITIVE_INFINITY
        world.run(world.now + 100)
      }
      return world.now - from
    },
    /** Messages a second and node over the next ten seconds: mean and the busiest node's. */
    load(): { mean: number; most: number } {
      sent.clear()
      world.run(world.now + 10_000)
      const rates = names.map(name => (sent.get(name) ?? 0) / 10)
      return { mean: rates.reduce((a, b) => a + b, 0) / rates.length, most: Math.max(...rates) }
    }
  }
}

t.test('a mesh of 150 comes together, sees a tenth of it die, and costs each node no more than one of 10', async t => {
  const small = start(10)
  const large = start(150)
  for (const mesh of [small, large]) {
    mesh.world.run(mesh.names.length * 5)
    t.ok(mesh.until(mesh.agree, 10_000) < 10_000, `${mesh.names.length} see each other`)
  }
  const [few, many] = [small.load(), large.load()]
  t.comment(`messages a second and node: ${few.mean.toFixed(1)} of 10, ${many.mean.toFixed(1)} of 150, at most ${many.most.toFixed(1)}`)
  t.ok(many.mean < few.mean * 1.2)
  t.ok(many.most < few.most * 1.5)
  for (let i = 0; i < 150; i += 10) applyFault(large.world, { type: 'crash', node: large.names[i]!, notice: false })
  const gone = large.until(large.agree, 10_000)
  t.comment(`15 of 150 declared by all after ${gone} ms`)
  t.ok(gone < 5000)
})

import t from 'tap'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { algorithmNamed } from '../../../../actors/training/exchange/programs.ts'
import { createRng, type Rng } from '../../../../common/index.ts'
import { World } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
const allreduce = strategyNamed('allreduce')

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)

/** The gradients of (rank, step), any float32. */
function gradientsOf(rank: number, step: number, length: number): Float32Array {
  const rng = createRng(`g/${rank}/${step}`)
  return Float32Array.from({ length }, () => rng.normal() * 2 ** rng.int(12))
}

/** The sum in the order that the algorithm promises, element by element. */
function reference(algorithm: string, parts: Float32Array[]): Float32Array {
  const p = parts.length
  const n = parts[0].length
  const sum = new Float32Array(n)
  for (let j = 0; j < p; j++) {
    for (let i = Math.floor((j * n) / p); i < Math.floor(((j + 1) * n) / p); i++) {
      if (algorithm === 'ring') {
        let s = parts[(j + 1) % p][i]
        for (let k = 2; k <= p; k++) s = Math.fround(s + parts[(j + k) % p][i])
        sum[i] = s
      } else if (algorithm === 'recursive-doubling') {
        let level = parts.map(x => x[i])
        while (level.length > 1) level = Array.from({ length: level.length / 2 }, (_, k) => Math.fround(level[2 * k] + level[2 * k + 1]))
        sum[i] = level[0]
      } else {
        let level = parts.map(x => x[i])
        while (level.length > 1) {
          const half = level.length / 2
          level = Array.from({ length: half }, (_, k) => Math.fround(level[k] + level[k + half]))
        }
        sum[i] = level[0]
      }
    }
  }
  return sum
}

function adder(p: number, rng: Rng, size: number, algorithm = 'ring', segment = 1 + rng.int(40)) {
  const world = new World({
    strategy: allreduce,
    options: { algorithm, segment },
    rng,
    size,
    tail: 3,
    latency: 0.01 + rng.float(),
    engine: {
      gradients: (trainer, step) => trainer.arenas.gradients.set(gradientsOf(names(p).indexOf(trainer.name), step, size + 3)),
      apply: trainer => {
        const { parameters, gradients } = trainer.arenas
        for (let i = 0; i < size; i++) parameters[i] += gradients[i]
      }
    }
  })
  for (const name of names(p)) world.add(name)
  return world
}

t.comment('seed', seed)

for (const algorithm of ['ring', 'halving-doubling', 'recursive-doubling']) {
  t.test(`${algorithm}: all ranks hold the sum of the promised order, bit for bit, whatever the order of arrival`, async t => {
    for (let p = 1; p <= 8; p++) {
      for (let round = 0; round < 12; round++) {
        const rng = createRng(`${seed}/${algorithm}/${p}/${round}`)
        const size = round < 4 ? rng.int(p + 3) : rng.int(400)
        const world = adder(p, rng, size, algorithm)
        const steps = 3
        for (const trainer of world.trainers.values()) trainer.lastStep = steps
        world.group(1, names(p), () => 0)
        t.ok(world.run(() => world.alive.every(x => x.applied === steps && allreduce.settled(x.state))))
        const shape = algorithm === 'ring' || (p & (p - 1)) !== 0 ? 'ring' : algorithm
        const expected = new Float32Array(size)
        for (let step = 1; step <= steps; step++) {
          const sum = reference(
            shape,
            names(p).map((_, rank) => gradientsOf(rank, step, size + 3))
          )
          for (let i = 0; i < size; i++) expected[i] += sum[i]
        }
        for (const trainer of world.trainers.values()) {
          t.same(trainer.arenas.parameters, expected, `p ${p}, n ${size + 3}`)
          t.same(trainer.log, [1, 2, 3])
        }
      }
    }
  })

  if (algorithm === 'recursive-doubling') continue
  t.test(`${algorithm}: every rank sends exactly 2(p-1)/p·n floats where p divides n`, async t => {
    for (const p of [1, 2, 4, 8]) {
      const size = p * 37 - 3
      const world = adder(p, createRng(`${seed}/bytes/${p}`), size, algorithm, 10)
      for (const trainer of world.trainers.values()) trainer.lastStep = 2
      world.group(1, names(p), () => 0)
      world.run()
      for (const trainer of world.trainers.values()) t.equal(trainer.bytesSent, (2 * 2 * (p - 1) * (size + 3) * 4) / p)
    }
  })
}

t.test('a rank that contributes 2^i makes every sum a readable bitmask: nothing twice, nothing lost', async t => {
  for (let p = 1; p <= 8; p++) {
    const rng = createRng(`${seed}/mask/${p}`)
    const world = adder(p, rng, 200)
    world.init.engine.gradients = trainer => trainer.arenas.gradients.fill(2 ** names(p).indexOf(trainer.name))
    for (const trainer of world.trainers.values()) trainer.lastStep = 4
    world.group(1, names(p), () => 0)
    t.ok(world.run(() => world.alive.every(x => x.applied === 4)))
    for (const trainer of world.trainers.values()) t.ok(trainer.arenas.parameters.every(x => x === 4 * (2 ** p - 1)))
  }
})

t.test('recursive doubling sends n floats log2 p times', async t => {
  const world = adder(8, createRng(`${seed}/doubling`), 37, 'recursive-doubling', 10)
  for (const trainer of world.trainers.values()) trainer.lastStep = 2
  world.group(1, names(8), () => 0)
  world.run()
  for (const trainer of world.trainers.values()) t.equal(trainer.bytesSent, 2 * 3 * (37 + 3) * 4)
})

t.test('hierarchical: the sum is whole on every rank, the same bits, and only first ranks send across nodes', async t => {
  for (let p = 1; p <= 9; p++) {
    for (const nodes of [1, 2, 3, 4]) {
      const rng = createRng(`${seed}/hierarchical/${p}/${nodes}`)
      const world = adder(p, rng, 100, 'hierarchical')
      world.init.nodeOf = name => `n${Number(name.slice(1)) % nodes}`
      for (const trainer of world.trainers.values()) trainer.lastStep = 2
      world.group(1, names(p), () => 0)
      t.ok(
        world.run(() => world.alive.every(x => x.applied === 2 && allreduce.settled(x.state))),
        `${p} ranks on ${nodes} nodes`
      )
      const [first, ...others] = world.alive.map(x => x.arenas.parameters)
      for (const other of others) t.same(other, first)
      const expected = new Float64Array(100)
      for (let rank = 0; rank < p; rank++) {
        for (let step = 1; step <= 2; step++) for (const [i, x] of gradientsOf(rank, step, 103).subarray(0, 100).entries()) expected[i] += x
      }
      t.ok(first.every((x, i) => Math.abs(x - expected[i]) <= 1e-2))
      if (nodes > 1 && p % nodes === 0 && p > nodes) {
        const sent = world.alive.map(x => x.bytesSent)
        t.ok(
          sent.slice(nodes).every(bytes => bytes === 2 * 103 * 4),
          'the others send their own once'
        )
      }
    }
  }
})

t.test('auto follows size and nodes, the same way on all ranks', async t => {
  const of = (nodes: (string | undefined)[], length: number) => algorithmNamed('auto', { nodes, length }).name
  t.equal(of(['a', 'a', 'b', 'b'], 1e6), 'hierarchical')
  t.equal(of([undefined, undefined, undefined, undefined], 1e6), 'halving-doubling')
  t.equal(of(['a', 'a', 'a', 'a'], 100), 'recursive-doubling')
  t.equal(of(['a', 'b', 'c'], 100), 'ring')
})

t.test('a freeze and a new generation without the dead, at any point, apply every step once and nothing by half', async t => {
  for (let round = 0; round < 150; round++) {
    const rng = createRng(`${seed}/fault/${round}`)
    const p = 2 + rng.int(6)
    const size = 1 + rng.int(60)
    const world = adder(p, rng, size, ['ring', 'halving-doubling', 'recursive-doubling', 'hierarchical', 'auto'][rng.int(5)])
    world.init.nodeOf = name => `n${Number(name.slice(1)) % 3}`
    const all = names(p)
    // step k adds the ranks' mask of the generation that applied it
    world.init.engine.gradients = trainer => trainer.arenas.gradients.fill(2 ** all.indexOf(trainer.name))
    const last = 6
    for (const trainer of world.trainers.values()) trainer.lastStep = last
    let living = all
    world.group(1, living, () => 0)
    const maskOf = new Map<number, number>()
    for (let generation = 2; ; generation++) {
      const faulty = living.length > 1 && rng.int(4) !== 0
      const until = faulty ? rng.int(400) : Infinity
      let count = 0
      world.run(() => count++ === until || world.alive.every(x => x.applied === last))
      const mask = living.reduce((m, name) => m + 2 ** all.indexOf(name), 0)
      const over = world.alive.every(x => x.applied === last)
      // survivors freeze at different moments, so that some apply the step that others do not
      if (!over) {
        // what the dead alone had applied is lost with it
        const victim = living[rng.int(living.length)]
        world.kill(victim)
        living = living.filter(name => name !== victim)
      }
      for (const name of living) {
        let more = rng.int(20)
        world.run(() => more-- === 0)
        world.freeze(name)
      }
      for (const name of living) for (const step of world.trainers.get(name)!.log) if (!maskOf.has(step)) maskOf.set(step, mask)
      if (over) break
      const steps = living.map(name => world.trainers.get(name)!.applied)
      const highest = Math.max(...steps)
      t.ok(highest - Math.min(...steps) <= 1, 'ranks are at most one step apart')
      const source = world.trainers.get(living[steps.indexOf(highest)])!
      for (const name of living) {
        const trainer = world.trainers.get(name)!
        if (trainer.applied === highest) t.same(trainer.arenas.parameters, source.arenas.parameters)
        trainer.arenas.parameters.set(source.arenas.parameters)
      }
      world.group(generation, living, () => highest)
    }
    let expected = 0
    for (let step = 1; step <= last; step++) expected += maskOf.get(step) ?? Number.NaN
    for (const trainer of world.alive)
      t.ok(
        trainer.arenas.parameters.every(x => x === expected),
        `round ${round}`
      )
  }
})

t.test('a computation of an older generation is not counted', async t => {
  const state = allreduce.create({})
  const env = { now: 0, random: createRng(1) }
  const group = { job: 'j', generation: 1, self: 'a', members: [{ trainer: 'a' }], rank: 0, size: 4, tail: 3, optimizer: 0 }
  t.same(allreduce.step(state, { type: 'group', group, step: 7 }, env), [{ type: 'compute', generation: 1, step: 8 }])
  allreduce.step(state, { type: 'freeze' }, env)
  t.same(allreduce.step(state, { type: 'gradients', generation: 1, step: 8, samples: 1, rate: 1 }, env), [])
  allreduce.step(state, { type: 'group', group: { ...group, generation: 2 }, step: 7 }, env)
  t.same(allreduce.step(state, { type: 'gradients', generation: 1, step: 8, samples: 1, rate: 1 }, env), [])
  t.same(allreduce.step(state, { type: 'gradients', generation: 2, step: 8, samples: 1, rate: 1 }, env), [
    { type: 'apply', step: 8 },
    { type: 'compute', generation: 2, step: 9 }
  ])
})

t.test('wrong names and options are refused by name', async t => {
  t.throws(() => strategyNamed('paxos'), { name: 'InvalidParametersError', message: /paxos.*allreduce/ })
  t.throws(() => allreduce.create({ algorithm: 'star' }), { name: 'InvalidParametersError', message: /star.*ring/ })
  t.throws(() => allreduce.create({ segment: 0 }), { name: 'InvalidParametersError', message: /segment/ })
  t.throws(() => allreduce.create({ sement: 1 }), { name: 'InvalidParametersError', message: /sement.*segment/ })
  const group = { job: 'j', generation: 1, self: 'b', members: [{ trainer: 'a' }], rank: -1, size: 4, tail: 3, optimizer: 0 }
  t.throws(() => allreduce.step(allreduce.create({}), { type: 'group', group, step: 0 }, { now: 0, random: createRng(1) }), {
    name: 'InvalidParametersError'
  })
})

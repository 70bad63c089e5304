// The engine's thread works on the arenas themselves, where there are arenas, with the bits of the way by copies.
import t, { type Test } from 'tap'
import { stateHash, TAIL } from '../../../../actors/training/trainer/arenas.ts'
import { createEngine, type Engine } from '../../../../actors/training/trainer/engine.ts'
import { buildModel, initialise, trainingGraph } from '../../../../models/index.ts'
import { arenasAvailable, createArena, nativeReport } from '../../../../native/index.ts'

const skip = arenasAvailable ? false : `no arenas here: ${nativeReport().problem}`
const graph = trainingGraph(buildModel('lenet', { shape: [1, 28, 28], classes: 4 }))
const { total } = graph.layout
const batch = () => ({
  data: Float32Array.from({ length: 7840 }, (_, i) => Math.sin(i)),
  labels: Int32Array.from({ length: 10 }, (_, i) => i % 4),
  count: 10
})

interface Memory {
  parameters: Float32Array
  gradients: Float32Array
}

const copied = (): Memory => ({
  parameters: new Float32Array(new SharedArrayBuffer(total * 4)),
  gradients: new Float32Array(new SharedArrayBuffer((total + TAIL) * 4))
})
const mapped = (): Memory => ({
  parameters: createArena(total * 4).floats(0, total),
  gradients: createArena((total + TAIL) * 4).floats(0, total + TAIL)
})

async function start(t: Test, memory: Memory, snapshot: boolean): Promise<Engine> {
  initialise(graph.layout, 5, memory.parameters)
  const engine = await createEngine({ graph, provider: 'cpu', threads: 1, ...memory, snapshot })
  t.teardown(() => engine.close())
  return engine
}

t.test('gradients land in arenas with the bits of the way by copies', { skip }, async t => {
  const reference = copied()
  const expected = await (await start(t, reference, false)).forwardBackward(batch())
  for (const snapshot of [false, true]) {
    const memory = mapped()
    const engine = await start(t, memory, snapshot)
    const outcome = await engine.forwardBackward(batch())
    t.equal(outcome.lossSum, expected.lossSum)
    t.equal(stateHash(memory.gradients), stateHash(reference.gradients), `snapshot ${snapshot}`)
    t.same([...memory.gradients.slice(total)], [outcome.lossSum, outcome.denominator, outcome.correct], 'and the tail behind them')
  }
})

t.test('the next computation sees what was written to the arena, an evaluation only what it is given', { skip }, async t => {
  const memory = mapped()
  const engine = await start(t, memory, false)
  const first = await engine.forwardBackward(batch())
  const others = new Float32Array(new SharedArrayBuffer(total * 4))
  initialise(graph.layout, 6, others)
  const before = stateHash(memory.parameters)
  const scored = await engine.forward(batch(), others)
  t.not(scored.lossSum, first.lossSum)
  t.equal(stateHash(memory.parameters), before, 'the parameters that are trained stay as they are')
  t.equal((await engine.forwardBackward(batch())).lossSum, first.lossSum)
  memory.parameters.set(others)
  t.equal((await engine.forwardBackward(batch())).lossSum, scored.lossSum)
})

t.test('memory that no other thread can reach is refused', async t => {
  const memory = { parameters: new Float32Array(total), gradients: new Float32Array(total + TAIL) }
  await t.rejects(createEngine({ graph, provider: 'cpu', threads: 1, ...memory }), { name: 'InvalidParametersError' })
})

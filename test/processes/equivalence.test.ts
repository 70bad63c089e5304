// starts processes
import t from 'tap'
import { buildModel, initialise, trainingGraph } from '../../models/index.ts'
import { checkpointOf, embedded, type Run, train } from './embedded.ts'

/** ‖a − b‖ / ‖b‖ in float64. */
function distance(a: Float32Array, b: Float32Array): number {
  let difference = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    norm += b[i]! ** 2
  }
  return Math.sqrt(difference / norm)
}

function worst(a: Run, b: Run, steps: number): number {
  return Math.max(...a.losses.slice(0, steps).map((loss, i) => Math.abs(loss - b.losses[i]!)))
}

t.test('2 trainers of batch 32 and 4 of batch 16 are one trainer of batch 64: LeNet, its first update and ten losses', async t => {
  const spec = { batch: 64, checkpointEvery: 1, seed: 3 }
  const one = await embedded(t, 1)
  const reference = await train(one, spec)
  t.equal(reference.losses.length, 10)
  const { layout } = trainingGraph(buildModel('lenet', { shape: [1, 28, 28], classes: 10 }))
  const initial = new Float32Array(layout.total)
  initialise(layout, spec.seed, initial)
  const update = (state: Map<string, Float32Array>, p: (typeof layout.parameters)[number]) =>
    state.get(p.name)!.map((x, i) => x - initial[p.offset + i]!)
  const expected = await checkpointOf(one, reference, 1)
  for (const trainers of [2, 4]) {
    const node = await embedded(t, trainers)
    const run = await train(node, { ...spec, trainers, batch: 64 / trainers })
    const state = await checkpointOf(node, run, 1)
    for (const p of layout.parameters) {
      const d = distance(update(state, p), update(expected, p))
      t.ok(d <= 1e-5, `${trainers} trainers, first update of ${p.name}: ${d.toExponential(1)}`)
    }
    const w = worst(run, reference, 10)
    t.ok(w <= 1e-5, `${trainers} trainers, ten losses differ by ${w.toExponential(1)}`)
    await node.close()
  }
  await one.close()
})

t.test('losses of 200 steps agree to 1e-4 on a smooth model', async t => {
  const spec = { model: 'mlp?hidden=64&activation=tanh', data: 'digits?train=640&test=50', epochs: 20, batch: 64, seed: 5 }
  const one = await embedded(t, 1)
  const reference = await train(one, spec)
  await one.close()
  t.equal(reference.losses.length, 200)
  for (const trainers of [2, 4]) {
    const node = await embedded(t, trainers)
    const w = worst(await train(node, { ...spec, trainers, batch: 64 / trainers }), reference, 200)
    t.ok(w <= 1e-4, `${trainers} trainers: losses differ by ${w.toExponential(1)}`)
    await node.close()
  }
})

t.test('two runs with the same seed and trainers are the same, bit for bit; another seed is not', async t => {
  const spec = { data: 'digits?train=300&test=50', trainers: 2, batch: 32, epochs: 2 }
  const node = await embedded(t, 2)
  const [a, b, c] = [await train(node, spec), await train(node, spec), await train(node, { ...spec, seed: 2 })]
  const state = [...a!.files.keys()].filter(name => name.endsWith('state.safetensors'))
  t.equal(state.length, 2)
  for (const name of state) {
    t.equal(a!.files.get(name), b!.files.get(name), name)
    t.not(a!.files.get(name), c!.files.get(name))
  }
  t.same(a!.losses, b!.losses)
})

t.test('a batch that does not divide the data loses no sample, and --global-batch splits one total', async t => {
  const node = await embedded(t, 3)
  const run = await train(node, { data: 'digits?train=100&test=20', trainers: 3, batch: 9, epochs: 2 })
  t.equal(run.losses.length, 8, '27 + 27 + 27 + 19, twice')
  t.same(
    run.events.filter(e => e.type === 'epoch').map(e => e.type === 'epoch' && [e.epoch, e.committed, e.duplicated]),
    [
      [0, 100, 0],
      [1, 100, 0]
    ]
  )
  const global = await train(node, { data: 'digits?train=100&test=20', trainers: 3, globalBatch: 50 })
  t.equal(global.losses.length, 2)
})

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import t, { type Test } from 'tap'
import type { JobRecord } from '../../../../actors/training/job/records.ts'
import type { JobSpec } from '../../../../actors/training/service-types.ts'
import { TrainingRun } from '../../../../actors/training/trainer/run.ts'
import { readSafetensors } from '../../../../actors/training/trainer/safetensors.ts'
import { openDataset } from '../../../../datasets/index.ts'
import { loadOnnx } from '../../../../models/index.ts'
import { network } from '../model/network.ts'

const DATA = 'digits?train=64&test=40'

async function open(t: Test, model: Uint8Array, change: Partial<JobSpec> = {}): Promise<TrainingRun> {
  const folder = await mkdtemp(join(tmpdir(), 'gradmesh-run-'))
  await mkdir(join(folder, 'model'))
  await writeFile(join(folder, 'model', 'net.onnx'), model)
  const spec: JobSpec = {
    ...{ model: 'net.onnx', data: DATA, strategy: 'allreduce', trainers: 1, epochs: 1, batch: 16, lr: 0.05 },
    ...{ optimizer: { name: 'sgd', momentum: 0.9 }, schedule: { policy: 'fixed' }, seed: 3 },
    ...{ onSplit: 'wait', wait: false, logEvery: 1, scaleLr: false },
    ...change
  }
  const { fingerprint } = await openDataset(DATA)
  const job: JobRecord = { job: 'j', spec, submitted: 0, submitter: 'nobody', voters: ['nobody'], fingerprint }
  const run = await TrainingRun.open({ job, provider: 'cpu', threads: 1, folder })
  t.teardown(async () => {
    await run.close()
    await rm(folder, { recursive: true })
  })
  run.fromSeed()
  return run
}

/** One step of a group by hand: positions from `start` on, split evenly, gradients summed on the first run and applied by all. */
async function step(runs: TrainingRun[], start: number, end: number, epoch = 0): Promise<number> {
  const share = (end - start) / runs.length
  for (const [rank, run] of runs.entries()) await run.compute(run.read(epoch, start + rank * share, start + (rank + 1) * share))
  const sum = runs[0]!.arenas.gradients.slice()
  for (const run of runs.slice(1)) for (const [i, g] of run.arenas.gradients.entries()) sum[i]! += g
  for (const run of runs) {
    run.arenas.gradients.set(sum)
    run.apply(1)
  }
  const { lossSum, denominator } = runs[0]!.tail()
  return lossSum / denominator
}

function distance(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))
}

t.test('which elements dropout drops follows from seed, epoch and sample, not from how the batch is split', async t => {
  const model = network('dropout')
  const one = await open(t, model)
  const two = [await open(t, model), await open(t, model)]
  for (let at = 0; at < 64; at += 32) {
    const [a, b] = [await step([one], at, at + 32), await step(two, at, at + 32)]
    t.ok(Math.abs(a - b) < 1e-6, `loss ${a} of one, ${b} of two`)
  }
  const apart = distance(one.arenas.parameters, two[0]!.arenas.parameters)
  t.ok(apart < 1e-6, `parameters are within ${apart}`)

  const lossOf = async (change: Partial<JobSpec>, epoch: number) => step([await open(t, model, change)], 0, 32, epoch)
  const first = await lossOf({}, 0)
  t.equal(await lossOf({}, 0), first, 'again the same')
  const order = await open(t, model)
  const ids = order.read(0, 0, 32)
  // The same samples in another epoch meet other masks.
  const other = order.read(1, 0, 32)
  t.notSame([...other.samples!], [...ids.samples!])
  const { loss } = await order.evaluate()
  t.equal((await order.evaluate()).loss, loss, 'nothing falls when the model is scored')
})

t.test('running statistics are the mean over trainers, weighted by samples, and score and leave with the model', async t => {
  const model = network('batch normalization')
  const two = [await open(t, model), await open(t, model)]
  const statistics = (run: TrainingRun) => run.arenas.parameters.slice(run.training.layout.total)
  t.same(statistics(two[0]!), Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1))
  // What each would have by itself.
  const alone = [await open(t, model), await open(t, model)]
  await alone[0]!.compute(alone[0]!.read(0, 0, 16))
  await alone[1]!.compute(alone[1]!.read(0, 16, 32))
  for (const run of alone) run.apply(1)
  await step(two, 0, 32)
  const mean = statistics(alone[0]!).map((value, i) => (value + statistics(alone[1]!)[i]!) / 2)
  t.ok(distance(statistics(two[0]!), mean) < 1e-6, `${statistics(two[0]!)} is ${mean}`)
  t.equal(two[0]!.hash(), two[1]!.hash(), 'replicas stay equal')
  t.ok(distance(mean, Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1)) > 1e-3, 'they moved')

  const run = two[0]!
  await step([run], 32, 64)
  const checkpoint = await run.checkpoint({})
  const path = join(run.folder, checkpoint.files[0]!)
  const { tensors } = await readSafetensors(path)
  t.same(tensors.get('bn.mean')!.data, statistics(run).subarray(0, 4))
  const resumed = two[1]!
  await resumed.restore(path, run.progress, true)
  t.equal(resumed.hash(), run.hash(), 'a checkpoint holds them')

  const evaluation = await run.evaluate()
  const bytes = await readFile(join(run.folder, await run.exportModel(run.arenas.parameters, evaluation)))
  t.same(loadOnnx(bytes).states.get('bn.var')!.filler, { type: 'given', values: statistics(run).subarray(4) })
  const { test } = await openDataset(DATA)
  const data = new Float32Array(test.count * 784)
  const labels = new Int32Array(test.count)
  test.read(Array.from(labels.keys()), data, labels)
  const session = await ort.InferenceSession.create(bytes)
  const { scores } = await session.run({ data: new ort.Tensor('float32', data, [test.count, 1, 28, 28]) })
  await session.release()
  let loss = 0
  let correct = 0
  for (const [i, label] of labels.entries()) {
    const row = (scores!.data as Float32Array).subarray(10 * i, 10 * i + 10)
    loss += Math.log(row.reduce((sum, x) => sum + Math.exp(x - row[label]!), 0)) / test.count
    if (row.every((x, k) => k === label || x < row[label]!)) correct++
  }
  t.equal(correct / test.count, evaluation.accuracy)
  t.ok(Math.abs(loss - evaluation.loss) < 1e-4, `onnxruntime finds loss ${loss}, the run ${evaluation.loss}`)
})

t.test('losses of numbers take one number a class and report no accuracy', async t => {
  const run = await open(t, network('dropout'), { loss: 'mse' })
  const first = await step([run], 0, 64)
  for (let i = 0; i < 5; i++) await step([run], 0, 64)
  t.ok((await step([run], 0, 64)) < first)
  t.strictSame(Object.keys(await run.evaluate()), ['loss'])
})

// starts processes
// The command with an embedded mesh, as a newcomer runs it.
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import t from 'tap'
import { openDataset } from '../../datasets/index.ts'
import { Cluster, ended, jsonLines, until } from './cluster.ts'

const small = ['--model', 'lenet', '--data', 'digits?train=640&test=200', '--trainers', '2', '--batch', '16', '--seed', '1']

/** Process ids of the trainers of an embedded mesh: the children of the command, by the kernel's list. */
async function childrenOf(pid: number): Promise<number[]> {
  const found: number[] = []
  for (const task of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    const text = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')
    for (const word of text.split(' ')) if (word.trim() !== '') found.push(Number(word))
  }
  return found
}

const alive = (pid: number) => existsSync(`/proc/${pid}`)

t.test('a run leaves its configuration, metrics, checkpoints and a model that scores what was reported', async t => {
  const cluster = await Cluster.create(t)
  const out = join(cluster.folder, 'out')
  const run = cluster.command(['train', ...small, '--epochs', '2', '--log-every', '1', '--out', out])
  await ended(run.child)
  t.equal(run.child.exitCode, 0, run.output().slice(-1000))
  const reported = Number([...run.output().matchAll(/test accuracy ([\d.]+) ?%/g)].at(-1)?.[1])
  t.ok(reported > 0, run.output().slice(-300))
  t.match(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')), { spec: { model: 'lenet', trainers: 2, seed: 1 } })
  const lines = (await readFile(join(out, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(l => JSON.parse(l))
  const steps = lines.filter(l => l.type === 'metrics')
  t.equal(new Set(steps.map(l => l.step)).size, 40)
  t.equal(new Set(steps.map(l => l.trainer)).size, 2)
  t.match(steps[0], {
    loss: Number,
    samples: Number,
    samplesPerSecond: Number,
    bytesSent: Number,
    computeMs: Number,
    exchangeMs: Number,
    epoch: 0
  })
  t.same((await readdir(join(out, 'checkpoints'))).sort(), ['00000020', '00000040'])

  const { test, shape } = await openDataset('digits?train=640&test=200')
  const session = await ort.InferenceSession.create(await readFile(join(out, 'model.onnx')))
  const data = new Float32Array(test.count * shape.reduce((a, b) => a * b))
  const labels = new Int32Array(test.count)
  test.read(
    Array.from({ length: test.count }, (_, i) => i),
    data,
    labels
  )
  const outputs = await session.run({ [session.inputNames[0]!]: new ort.Tensor('float32', data, [test.count, ...shape]) })
  const scores = outputs[session.outputNames[0]!]!.data as Float32Array
  let correct = 0
  for (let i = 0; i < test.count; i++) {
    const row = scores.subarray(i * 10, (i + 1) * 10)
    if (row.indexOf(Math.max(...row)) === labels[i]) correct++
  }
  t.equal(correct, Math.round((reported / 100) * test.count), 'onnxruntime finds the reported accuracy')
})

t.test('a killed command takes its trainers down with it', async t => {
  const cluster = await Cluster.create(t)
  const run = cluster.command(['train', ...small, '--epochs', '1000', '--out', join(cluster.folder, 'out')])
  await until('steps', () => (/step \d/.test(run.output()) ? true : undefined))
  const trainers = await childrenOf(run.child.pid!)
  t.equal(trainers.length, 2)
  run.child.kill('SIGKILL')
  await ended(run.child)
  // The bound of the design is a second; a busy machine may be late, never idle for ever.
  await until('the trainers to be gone', () => (trainers.some(alive) ? undefined : true), 10_000)
})

t.test('a trainer that is killed is started again and takes part again', async t => {
  const cluster = await Cluster.create(t)
  const run = cluster.command(['train', '--json', ...small, '--epochs', '1000', '--log-every', '1', '--out', join(cluster.folder, 'out')])
  const generations = () =>
    jsonLines(run.output())
      .filter(e => e.type === 'generation')
      .map(e => e.members.length as number)
  await until('the first generation', () => (/"type":"metrics"/.test(run.output()) ? true : undefined))
  process.kill((await childrenOf(run.child.pid!))[0]!, 'SIGKILL')
  const seen = await until('a generation of one, then of two again', () => {
    const sizes = generations()
    const one = sizes.indexOf(1)
    return one > 0 && sizes.lastIndexOf(2) > one ? sizes : undefined
  })
  t.equal(seen[0], 2)
  run.child.kill('SIGINT')
  await ended(run.child)
  t.equal(run.child.exitCode, 130)
})

t.test('Ctrl-C leaves a checkpoint, prints what resumes, exits 130; resuming ends as if nothing had happened', async t => {
  const cluster = await Cluster.create(t)
  const out = join(cluster.folder, 'out')
  const run = cluster.command(['train', ...small, '--epochs', '3', '--log-every', '1', '--out', out])
  await until('steps', () => (/step \d/.test(run.output()) ? true : undefined))
  run.child.kill('SIGINT')
  await ended(run.child)
  t.equal(run.child.exitCode, 130, run.output().slice(-1000))
  t.match(run.output(), /mesh train --resume/)
  const resumed = cluster.command(['train', '--resume', out])
  await ended(resumed.child)
  t.equal(resumed.child.exitCode, 0, resumed.output().slice(-1000))

  const straight = cluster.command(['train', ...small, '--epochs', '3', '--out', join(cluster.folder, 'straight')])
  await ended(straight.child)
  const state = (folder: string) => readFile(join(folder, 'checkpoints', '00000060', 'state.safetensors'))
  t.ok((await state(out)).equals(await state(join(cluster.folder, 'straight'))), 'the same parameters and momentum, bit for bit')
})

for (const strategy of ['allreduce', 'gossip']) {
  t.test(`${strategy}: when the only trainer is killed the job goes on from its last checkpoint`, async t => {
    const cluster = await Cluster.create(t)
    const args = ['--model', 'lenet', '--data', 'digits?train=160&test=20', '--trainers', '1', '--batch', '16', '--epochs', '1000']
    const run = cluster.command([
      'train',
      '--json',
      ...args,
      '--strategy',
      strategy,
      '--log-every',
      '1',
      '--out',
      join(cluster.folder, 'out')
    ])
    const events = () => jsonLines(run.output())
    const first = await until('a checkpoint', () => events().find(e => e.type === 'checkpoint'))
    process.kill((await childrenOf(run.child.pid!))[0]!, 'SIGKILL')
    const before = new Set(events().flatMap(e => (e.type === 'metrics' ? [e.trainer] : [])))
    const next = await until('the new trainer', () => events().find(e => e.type === 'metrics' && !before.has(e.trainer)))
    t.ok(next.step > first.step, `it went on at step ${next.step}, after the checkpoint of step ${first.step}`)
    run.child.kill('SIGINT')
    await ended(run.child)
    t.equal(run.child.exitCode, 130)
  })
}

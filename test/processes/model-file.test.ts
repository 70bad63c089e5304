// starts processes
// A model's file belongs to the job: neither the process that submitted it, nor its node, nor the file itself is needed any more.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import t from 'tap'
import { loadOnnx } from '../../models/index.ts'
import { network } from '../actors/training/model/network.ts'
import { Cluster, ended, jsonLines, until, Watch } from './cluster.ts'

t.test('a job goes on with its model when the submitting node is killed and the file deleted; a newcomer gets the model too', async t => {
  const cluster = await Cluster.create(t)
  const a = await cluster.join('a')
  const [b] = await Promise.all([cluster.join('b'), cluster.join('c')])
  await cluster.members(3)
  const folder = join(cluster.folder, 'mine')
  await mkdir(folder)
  const path = join(folder, 'my net.onnx')
  const bytes = network('batch normalization', 'dropout')
  await writeFile(path, bytes)
  const flags = ['--data', 'digits?train=2000&test=100', '--batch', '8', '--epochs', '1000', '--log-every', '5', '--trainers', 'all']
  const train = cluster.command(['train', '--json', '--detach', '--node', join(cluster.folder, 'a'), '--model', path, ...flags])
  await ended(train.child)
  t.equal(train.child.exitCode, 0, train.output())
  const { job } = jsonLines(train.output()).find(e => e.type === 'submitted')
  const watch = new Watch(b.client, job)
  /** Waits until groups of these sizes have followed one another. */
  const groups = (...sizes: number[]) =>
    until(`groups of ${sizes}`, () => {
      let at = 0
      for (const size of watch.generations()) if (size === sizes[at]) at++
      return at === sizes.length || undefined
    })
  await groups(3)
  await watch.event('steps', e => e.type === 'metrics' && e.step >= 5)
  await rm(folder, { recursive: true })
  await a.kill()
  await groups(3, 2)
  await cluster.join('d')
  await groups(3, 2, 3)
  const { step } = (await b.client.job(job)) as { step: number }
  await watch.event('its steps', e => e.type === 'metrics' && e.step > step + 5)
  await b.client.stop(job)
  t.equal((await b.client.job(job)).spec.model, 'my_net.onnx')

  const chunks: Uint8Array[] = []
  for await (const chunk of b.client.file(job, 'model/my_net.onnx')) chunks.push(chunk)
  t.ok(Buffer.concat(chunks).equals(bytes), 'the file is as it was given')
})

t.test('without a mesh: gossip trains a model with running statistics, and the run keeps a copy of the model', async t => {
  const cluster = await Cluster.create(t)
  const path = join(cluster.folder, 'net.onnx')
  await writeFile(path, network('batch normalization'))
  const before = loadOnnx(await readFile(path))
  const out = join(cluster.folder, 'out')
  const flags = ['--data', 'digits?train=640&test=100', '--batch', '16', '--trainers', '2', '--lr', '0.05', '--strategy', 'gossip']
  const run = cluster.command(['train', '--model', path, ...flags, '--epochs', '2', '--out', out])
  await ended(run.child)
  t.equal(run.child.exitCode, 0, run.output().slice(-1000))
  const reported = [...run.output().matchAll(/test accuracy ([\d.]+) ?%/g)].map(m => Number(m[1]))
  t.ok(reported.at(-1)! > 30, `better than chance, also by running statistics: ${reported}`)
  t.ok((await readFile(join(out, 'model', 'net.onnx'))).equals(await readFile(path)))
  const trained = await readFile(join(out, 'model.onnx'))
  const session = await ort.InferenceSession.create(trained)
  t.strictSame([...session.inputNames, ...session.outputNames], ['data', 'scores'])
  await session.release()
  const after = loadOnnx(trained)
  t.strictSame(
    after.nodes.map(n => n.op),
    before.nodes.map(n => n.op),
    'the user’s graph'
  )
  for (const name of ['ip.w', 'bn.scale'])
    t.notSame(after.parameters.get(name)!.filler, before.parameters.get(name)!.filler, `${name} was trained`)
  t.notSame(after.states.get('bn.mean')!.filler, before.states.get('bn.mean')!.filler, 'statistics were kept')
})

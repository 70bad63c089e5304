// starts processes
// A solver of Caffe's and its second stage, as somebody who comes from Caffe runs them.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readSolverState, readWeights } from '../../models/index.ts'
import { Cluster, ended } from './cluster.ts'

const data = (phase: string, batch: number) => `layer { name: "data" type: "Data" top: "data" top: "label" include { phase: ${phase} }
  transform_param { scale: 0.00390625 } data_param { source: "not/there" batch_size: ${batch} } }`
const net = `${data('TRAIN', 16)} ${data('TEST', 20)}
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { lr_mult: 1 } param { lr_mult: 2 } inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }`
const solver = (maxIter: number, rate: number) => `net: "nets/small.prototxt" test_iter: 5 test_interval: 10 base_lr: ${rate} momentum: 0.9
weight_decay: 0.0005 lr_policy: "fixed" max_iter: ${maxIter} display: 5 snapshot: 20 snapshot_prefix: "out/small" random_seed: 1`

t.test('iterations, tests, reports and snapshots are those of the solver, and a second stage goes on with its own', async t => {
  const cluster = await Cluster.create(t)
  const folder = join(cluster.folder, 'caffe')
  await mkdir(join(folder, 'nets'), { recursive: true })
  await writeFile(join(folder, 'nets', 'small.prototxt'), net)
  await writeFile(join(folder, 'first.prototxt'), solver(30, 0.05))
  await writeFile(join(folder, 'second.prototxt'), solver(40, 0.005))
  const out = join(cluster.folder, 'out')
  const events = async () =>
    (await readFile(join(out, 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
  const stepsOf = (all: { type: string; step: number }[], type: string) => all.filter(e => e.type === type).map(e => e.step)

  const first = cluster.command([
    'train',
    '--solver',
    join(folder, 'first.prototxt'),
    '--data',
    'digits?train=400&test=100',
    '--trainers',
    '2',
    '--batch',
    '8',
    '--out',
    out
  ])
  await ended(first.child)
  t.equal(first.child.exitCode, 0, first.output().slice(-1000))
  t.match(first.output(), /source 'not\/there': the data of --data takes its place/)
  const before = await events()
  t.strictSame(stepsOf(before, 'evaluation'), [0, 10, 20, 30])
  t.strictSame([...new Set(stepsOf(before, 'metrics'))], [5, 10, 15, 20, 25, 30])
  t.strictSame(stepsOf(before, 'checkpoint'), [20, 30])
  t.match(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')), { spec: { steps: 30, lr: 0.05, optimizer: { form: 'caffe' } } })
  const checkpoint = join(out, 'checkpoints', '00000030')
  t.strictSame((await readdir(checkpoint)).sort(), [
    'manifest.json',
    'small_iter_30.caffemodel',
    'small_iter_30.solverstate',
    'state.safetensors'
  ])
  const weights = readWeights(await readFile(join(checkpoint, 'small_iter_30.caffemodel')), 'small')
  t.strictSame(
    weights.get('conv')!.map(b => b.shape),
    [[4, 1, 5, 5], [4]]
  )
  const state = readSolverState(await readFile(join(checkpoint, 'small_iter_30.solverstate')), 'state')
  t.match(state, { iter: 30, history: { length: 4 } })
  t.ok(
    state.history[0]!.data.some(v => v !== 0),
    'it holds the momentum'
  )

  const second = cluster.command(['train', '--resume', out, '--solver', join(folder, 'second.prototxt')])
  await ended(second.child)
  t.equal(second.child.exitCode, 0, second.output().slice(-1000))
  t.strictSame([...new Set(stepsOf((await events()).slice(before.length), 'metrics'))], [35, 40])
  t.match(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')), { spec: { steps: 40, lr: 0.005 } })
})

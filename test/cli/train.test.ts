import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { jobSpec } from '../../cli/job-spec.ts'
import { GradmeshError, InvalidParametersError, MalformedError } from '../../common/index.ts'
import { embedder, type FakeInit, goodFiles, goodRun } from './fake-node.ts'
import { TestWorld } from './world.ts'

const flags = ['--model', 'lenet', '--data', 'digits', '--epochs', '1', '--trainers', '2']

function world(t: Test, terminal = {}): TestWorld {
  const world = new TestWorld(terminal)
  t.teardown(() => world.close())
  return world
}

function embedded(world: TestWorld, init: Omit<FakeInit, 'stateDir'> = { events: goodRun(), files: goodFiles }) {
  const { started, startEmbedded } = embedder(world.folder, init)
  world.startEmbedded = startEmbedded
  return started
}

t.test('with no node running, a job trains in an embedded mesh and leaves its results', async t => {
  const w = world(t)
  const started = embedded(w)
  t.equal(await w.mesh('train', ...flags, '--out', 'out', '--lr', '0.02', '--batch', '16'), 0)
  t.equal(w.stderr.text, '')
  t.match(started[0]?.options, { trainers: 2 })
  t.match(started[0]?.node.submitted, [{ model: 'lenet', data: 'digits', trainers: 2, epochs: 1, lr: 0.02, batch: 16 }])
  t.same(w.stdout.lines.slice(-3), ['done', 'test accuracy 98.12 %', `model ${join(w.folder, 'out', 'model.onnx')}`])
  t.same(readdirSync(join(w.folder, 'out')).sort(), ['checkpoints', 'config.json', 'metrics.jsonl', 'model.onnx'])
  t.equal(started[0]?.node.calls.at(-1), 'close')
  t.same(readdirSync(join(w.folder, 'gradmesh')), ['fake'], 'and its control socket is gone')
})

t.test('without --out the folder is named after the job and the time', async t => {
  const w = world(t)
  embedded(w)
  t.equal(await w.mesh('train', ...flags, '--json'), 0)
  const out = join(w.folder, 'runs', 'lenet-digits-20260131-235958')
  const records = w.stdout.records
  t.same(records[0], { type: 'submitted', job: 'job-1', out })
  t.same(records.slice(1, -1), goodRun())
  t.same(records.at(-1), { type: 'result', job: 'job-1', state: 'done', accuracy: 0.9812, step: 4, out, model: join(out, 'model.onnx') })
})

t.test('a described model says how it is trained, and flags go before it', async t => {
  const w = world(t)
  const started = embedded(w)
  const text = `
layers: [{type: innerProduct, outputs: classes}]
seed: 4
training: {updater: {type: sgd, lr: 0.5, form: caffe}, schedule: {policy: step, gamma: 0.5, stepSize: 20}, l2: 0.25, batch: 20, epochs: 7}
`
  writeFileSync(join(w.folder, 'net.yaml'), text)
  t.equal(await w.mesh('train', '--model', 'net.yaml', '--data', 'digits', '--epochs', '1', '--out', 'out', '--momentum', '0.5'), 0)
  t.match(started[0]?.node.submitted, [
    {
      model: join(w.folder, 'net.yaml'),
      ...{ seed: 4, epochs: 1, lr: 0.5, batch: 20, optimizer: { name: 'sgd', momentum: 0.5, form: 'caffe', weightDecay: 0.25 } },
      schedule: { policy: 'step', gamma: 0.5, stepSize: 20 }
    }
  ])
  writeFileSync(join(w.folder, 'net.yaml'), text.replace('outputs', 'output'))
  t.equal(await w.mesh('train', '--model', 'net.yaml', '--data', 'digits'), 2)
  t.match(w.stderr.text, /net\.yaml:2:31: layers\[0\] \(innerProduct\) has no field 'output'; did you mean 'outputs'\?/)
})

t.test('the accuracy that was asked for is held to', async t => {
  const low = world(t)
  embedded(low, { events: goodRun({ accuracy: 0.969 }), files: goodFiles })
  t.equal(await low.mesh('train', ...flags, '--min-accuracy', '0.97'), 1)
  t.match(low.stderr.text, /96.90 % is under --min-accuracy 97.00 %/)
  const high = world(t)
  embedded(high)
  t.equal(await high.mesh('train', ...flags, '--min-accuracy', '0.97'), 0)
})

t.test('with a node running, the job is handed to it and outlives the command', async t => {
  const w = world(t)
  const node = await w.node('node', { events: goodRun(), files: goodFiles })
  node.submitWarnings = ['with 2 nodes, the loss of one pauses the job']
  t.equal(await w.mesh('train', ...flags, '--out', 'out'), 0)
  t.equal(node.submitted.length, 1)
  t.notMatch(node.calls, ['close'])
  t.equal(w.stdout.lines[0], 'handing the job to node node')
  t.equal(w.stderr.text, 'warning: with 2 nodes, the loss of one pauses the job\n')
  t.ok(existsSync(join(w.folder, 'out', 'model.onnx')))
})

t.test('--detach hands the job in and ends', async t => {
  const w = world(t)
  const node = await w.node('node', { events: goodRun().slice(0, 4) })
  t.equal(await w.mesh('train', ...flags, '--detach'), 0)
  t.equal(node.submitted.length, 1)
  t.same(w.stdout.lines.at(-1), 'job job-1 has begun; follow it: mesh logs job-1')
  t.same(readdirSync(w.folder), ['gradmesh'], 'no folder is made')
  t.equal(await world(t).mesh('train', ...flags, '--detach'), 2)
  t.equal(await w.mesh('train', ...flags, '--detach', '--out', 'x'), 2)
})

t.test('a node inside another mesh train is not handed jobs, unless it is named', async t => {
  const w = world(t)
  const other = await w.node('embedded-1', { events: goodRun(), files: goodFiles })
  const { started, startEmbedded } = embedder(join(w.folder, 'own'), { events: goodRun(), files: goodFiles })
  w.startEmbedded = startEmbedded
  t.equal(await w.mesh('train', ...flags, '--out', 'a'), 0)
  t.equal(other.submitted.length, 0)
  t.equal(started.length, 1)
  t.equal(await w.mesh('train', ...flags, '--out', 'b', '--node', 'embedded-1'), 0)
  t.equal(other.submitted.length, 1)
})

t.test('Ctrl-C in an embedded mesh makes a checkpoint, says how to go on and exits 130', async t => {
  const w = world(t)
  const files = [
    { name: 'checkpoints/000020/manifest.json', text: '{}' },
    { name: 'checkpoints/000020/model.safetensors', text: 'w' }
  ]
  const started = embedded(w, { events: goodRun().slice(0, 6), files })
  const done = w.mesh('train', ...flags, '--out', 'my run')
  await w.stdout.shows('step 1')
  w.interrupt()
  t.equal(await done, 130)
  t.same(
    started[0]?.node.calls.filter(call => !call.startsWith('file')),
    ['stop', 'close']
  )
  t.match(w.stdout.text, /stopping with a checkpoint; Ctrl-C again stops at once/)
  t.equal(w.stdout.lines.at(-1), `go on with: mesh train --resume '${join(w.folder, 'my run')}'`)

  const again = embedded(w, { events: goodRun(), files: goodFiles })
  t.equal(await w.mesh('train', '--resume', 'my run', '--epochs', '2'), 0)
  t.match(again[0]?.node.submitted, [{ model: 'lenet', epochs: 2, trainers: 2, resume: join(w.folder, 'my run', 'checkpoints', '000020') }])
  t.ok(existsSync(join(w.folder, 'my run', 'model.onnx')))
})

t.test('a second Ctrl-C ends at once, whatever is waited for', async t => {
  const w = world(t)
  const started = embedded(w, { events: goodRun().slice(0, 6) })
  const done = w.mesh('train', ...flags, '--out', 'out')
  await w.stdout.shows('step 1')
  const node = started[0]?.node
  if (node === undefined) throw new Error('no node was started')
  node.stop = () => new Promise(() => {})
  w.interrupt()
  w.interrupt()
  t.equal(await done, 130)
})

t.test('Ctrl-C before the job has begun ends without a trace', async t => {
  const w = world(t)
  w.startEmbedded = ({ signal }) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  const done = w.mesh('train', ...flags, '--out', 'out')
  while (!existsSync(join(w.folder, 'out'))) await new Promise(setImmediate)
  w.interrupt()
  t.equal(await done, 130)
  t.equal(existsSync(join(w.folder, 'out')), false)
})

t.test('a checkpoint that fails after Ctrl-C is told, and nothing hangs', async t => {
  const w = world(t)
  const started = embedded(w, { events: goodRun().slice(0, 6) })
  const done = w.mesh('train', ...flags, '--out', 'out')
  await w.stdout.shows('step 1')
  if (started[0]) started[0].node.stopFailure = new GradmeshError('the disk is full')
  w.interrupt()
  t.equal(await done, 130)
  t.match(w.stderr.text, /the disk is full/)
})

t.test('Ctrl-C with a node running stops the following only', async t => {
  const w = world(t)
  const node = await w.node('node', { events: goodRun().slice(0, 6) })
  const done = w.mesh('train', ...flags, '--out', 'out')
  await w.stdout.shows('step 1')
  w.interrupt()
  t.equal(await done, 130)
  t.same(node.calls, [])
  t.match(w.stdout.text, /the job goes on. Follow it: mesh logs job-1/)
})

t.test('when the node that is followed dies, another one of the machine is followed, and nothing is told twice', async t => {
  const w = world(t)
  await w.node('node', { events: goodRun().slice(0, 7) })
  const rest = goodRun().slice(4)
  const second = await w.node('node-1', { events: [...rest.slice(0, 2), ...goodRun().slice(0, 4), ...rest.slice(2)], files: goodFiles })
  await second.submit(jobSpec({ model: 'lenet', data: 'digits' }, w.folder))
  const done = w.mesh('train', ...flags, '--out', 'out')
  await w.stdout.shows('step 1')
  await w.kill('node')
  t.equal(await done, 0)
  t.equal(w.stderr.text, 'warning: the node that was followed is gone; following through node node-1\n')
  const lines = readFileSync(join(w.folder, 'out', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  t.same(
    lines.map(line => JSON.parse(line)),
    goodRun()
  )
  t.ok(existsSync(join(w.folder, 'out', 'model.onnx')))

  const alone = world(t)
  await alone.node('node', { events: goodRun().slice(0, 7) })
  const followed = alone.mesh('train', ...flags)
  await alone.stdout.shows('step 1')
  await alone.kill('node')
  t.equal(await followed, 1)
  t.match(alone.stderr.text, /^error: the node that was followed is gone; the job goes on with the others: mesh logs job-1/)
})

t.test('a job that fails or is stopped by another exits 1', async t => {
  const failed = world(t)
  embedded(failed, { events: [...goodRun().slice(0, 6), { type: 'state', job: 'job-1', state: 'failed', message: 'loss is not finite' }] })
  t.equal(await failed.mesh('train', ...flags), 1)
  t.equal(failed.stderr.text, 'error: job job-1 failed: loss is not finite\n')
  const stopped = world(t)
  embedded(stopped, { events: [...goodRun().slice(0, 6), { type: 'state', job: 'job-1', state: 'stopped' }] })
  t.equal(await stopped.mesh('train', ...flags), 1)
})

t.test('on a terminal there is a live line, and the lines that matter stand above it', async t => {
  const w = world(t, { isTTY: true, columns: 200 })
  embedded(w)
  t.equal(await w.mesh('train', ...flags), 0)
  t.ok(w.stdout.text.includes('\r\u001b[2Kepoch 1/1'))
  t.match(w.stdout.text, /epoch 1: 1,000 samples committed\n/)
  t.notMatch(w.stdout.text, /checkpoint 000004/)
})

t.test('a wrong flag or value is one line and exit 2, before anything is started', async t => {
  const cases: [string[], RegExp][] = [
    [['--model', 'resnet9000', '--data', 'digits'], /there is no model 'resnet9000'; choose one of lenet/],
    [['--data', 'digits'], /--model is missing/],
    [['--model', 'lenet'], /--data is missing/],
    [[...flags, '--lr', '0'], /--lr takes a number above 0/],
    [[...flags, '--lr', 'nan'], /--lr takes/],
    [[...flags, '--epochs', '0'], /--epochs takes a whole number from 1/],
    [[...flags, '--epochs', '1.5'], /--epochs takes/],
    [[...flags, '--batch', '-3'], /--batch takes/],
    [[...flags, '--batch', '8', '--global-batch', '16'], /give one of the two/],
    [[...flags, '--trainers', 'many'], /--trainers takes/],
    [[...flags, '--momentum', '1'], /--momentum takes/],
    [[...flags, '--min-accuracy', '97'], /--min-accuracy takes a number at least 0, at most 1/],
    [[...flags, '--on-split', 'panic'], /--on-split takes wait or continue/],
    [[...flags, '--embedded', '--detach'], /--embedded/],
    [[...flags, '--out', 'file/below'], /cannot be written/],
    [[...flags, '--out', 'taken'], /holds another run/],
    [['--resume', 'nowhere'], /is no run's folder/],
    [['--resume', 'taken', '--out', 'other'], /leave --out away/],
    [[...flags, '--node', 'nobody'], /no node called 'nobody'/],
    [[...flags, '--frobnicate'], /unknown option '--frobnicate'/],
    [[...flags, 'stray'], /too many arguments/]
  ]
  for (const [args, message] of cases) {
    const w = world(t)
    writeFileSync(join(w.folder, 'file'), '')
    mkdirSync(join(w.folder, 'taken'))
    writeFileSync(join(w.folder, 'taken', 'config.json'), JSON.stringify({ job: 'j', spec: {} }))
    t.equal(await w.mesh('train', ...args), 2, args.join(' '))
    t.match(w.stderr.text, message)
    t.equal(w.stderr.lines.length, 1, w.stderr.text)
    t.equal(w.stdout.text, '')
    t.same(readdirSync(w.folder).sort(), ['file', 'taken'], 'nothing is left behind')
  }
})

t.test('what the node refuses is one line with its exit code, and leaves no folder', async t => {
  const refusals = [
    new InvalidParametersError('--batch 4000 is larger than the data set (1000 samples)'),
    new MalformedError('idx:/x: train-images-idx3-ubyte is cut short'),
    new InvalidParametersError('--trainers 5, but the mesh has 2 free: 3 are missing; --wait waits for them')
  ]
  for (const refusal of refusals) {
    const w = world(t)
    const node = await w.node('node')
    node.refusal = refusal
    t.equal(await w.mesh('train', ...flags, '--out', 'out', '--json'), 2)
    t.same(w.stderr.records, [{ type: 'error', name: refusal.name, message: refusal.message, retryable: false }])
    t.equal(existsSync(join(w.folder, 'out')), false)
  }
  const crash = world(t)
  const started = embedded(crash)
  crash.startEmbedded = async options => {
    const node = await embedder(crash.folder, {}).startEmbedded(options)
    node.refusal = new GradmeshError('out of luck')
    started.push({ options, node })
    return node
  }
  t.equal(await crash.mesh('train', ...flags), 1)
  t.same(started[0]?.node.calls, ['close'], 'and an embedded mesh is closed')
})

t.test('metrics are written as the events came, also those of a run that is interrupted', async t => {
  const w = world(t)
  embedded(w, { events: goodRun().slice(0, 6) })
  const done = w.mesh('train', ...flags, '--out', 'out')
  await w.stdout.shows('step 1')
  w.interrupt()
  await done
  const lines = readFileSync(join(w.folder, 'out', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  t.same(
    lines.map(line => JSON.parse(line).type),
    [
      ...goodRun()
        .slice(0, 6)
        .map(event => event.type),
      'checkpoint',
      'state'
    ]
  )
})

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { version } from '../../actors/training/node/version.ts'
import { jobSpec } from '../../cli/job-spec.ts'
import { run } from '../../cli/program.ts'
import { goodFiles, goodRun } from './fake-node.ts'
import { TestWorld } from './world.ts'

const commands = ['join', 'train', 'status', 'jobs', 'logs', 'stop', 'fetch', 'invite', 'key', 'leave', 'doctor']
const spec = jobSpec({ model: 'lenet', data: 'digits' }, '/')

function world(t: Test, terminal = {}): TestWorld {
  const world = new TestWorld(terminal)
  t.teardown(() => world.close())
  return world
}

/** A machine with a node that has one job. */
async function working(t: Test, events = goodRun()) {
  const w = world(t)
  const node = await w.node('node', { events, files: goodFiles })
  await node.submit(spec)
  return { w, node }
}

t.test('every command has help on stdout, exit 0', async t => {
  for (const command of commands) {
    const w = world(t)
    t.equal(await w.mesh(command, '--help'), 0)
    t.match(w.stdout.text, new RegExp(`^Usage: mesh ${command}`))
    t.equal(w.stderr.text, '')
    if (command !== 'key') t.match(w.stdout.text, /--json/)
  }
  const w = world(t)
  t.equal(await w.mesh('--help'), 0)
  for (const command of commands) t.match(w.stdout.text, new RegExp(`^  ${command}`, 'm'))
})

t.test('no command shows the help on stderr, exit 2', async t => {
  const w = world(t)
  t.equal(await w.mesh(), 2)
  t.equal(w.stdout.text, '')
  t.match(w.stderr.text, /^Usage: mesh /)
})

t.test('the version', async t => {
  const w = world(t)
  t.equal(await w.mesh('--version'), 0)
  t.equal(w.stdout.text, `${version}\n`)
  t.match(version, /^\d+\.\d+\.\d+/)
})

t.test('wrong use is one line and exit 2', async t => {
  const cases: [string[], RegExp][] = [
    [['trian'], /unknown command 'trian' \(Did you mean train\?\)/],
    [['status', '--frob'], /unknown option '--frob'/],
    [['logs'], /missing required argument 'job'/],
    [['fetch', 'job-1'], /required option '--out/],
    [['invite', '--ttl', 'soon'], /--ttl takes a time/],
    [['join', '--gpus', '1', '--cpus', '1'], /give one of them/],
    [['join', '--gpus', 'x'], /--gpus takes a whole number/],
    [['join', '--peer', 'localhost:1'], /--peer takes a multiaddr/],
    [['join', '--label', 'x'], /--label takes key=value/],
    [['join', '--bulk-ports', '9-1'], /--bulk-ports takes ports/]
  ]
  for (const [args, message] of cases) {
    const w = world(t)
    t.equal(await w.mesh(...args), 2, args.join(' '))
    t.match(w.stderr.text, message)
    t.equal(w.stderr.lines.length, 1)
    t.equal(w.stdout.text, '')
  }
})

t.test('without a node, commands that need one say how to start it', async t => {
  for (const args of [['status'], ['jobs'], ['logs', 'j'], ['stop', 'j'], ['fetch', 'j', '--out', 'o'], ['invite'], ['leave']]) {
    const w = world(t)
    t.equal(await w.mesh(...args), 2)
    t.equal(w.stderr.text, 'error: no node runs on this machine; start one with mesh join\n')
  }
})

t.test('status shows members, devices, trainers and jobs', async t => {
  const { w, node } = await working(t)
  t.equal(await w.mesh('status'), 0)
  t.same(w.stdout.lines, [
    'node node, mesh zMesh, version 0.1.0',
    'peer 12D3KooWFakeFakeA',
    'listening on /ip4/127.0.0.1/tcp/4001',
    'event loop delay: median 1.0 ms, p99 2.5 ms, most 11.0 ms',
    '',
    'MEMBER                 STATE  DEVICES                         FABRICS   LABELS',
    '…akeFakeA (this node)  alive  2 × cpu Processor 8.0 GB (cpu)  tcp eth0  room=attic',
    '…akeFakeB              alive  2 × cpu Processor 8.0 GB (cpu)  tcp eth0  -',
    '',
    'TRAINER OF  SLOT   PROCESS  STATE    STEP  CHANNELS  DELAY P99',
    'job-1       cpu-0  4242     running  17    1 shm     3.3 ms',
    '',
    'JOB    NAME             STATE    EPOCH  STEP  LOSS    ACCURACY  SAMPLES/S  TRAINERS',
    'job-1  lenet on digits  running  1/3    17    0.5000  97.31 %   2,345      1'
  ])
  w.stdout.text = ''
  t.equal(await w.mesh('status', '--json', '--node', 'node'), 0)
  t.same(w.stdout.records, [{ type: 'status', ...(await node.status()) }])
})

t.test('jobs lists what there is', async t => {
  const { w, node } = await working(t)
  t.equal(await w.mesh('jobs', '--json'), 0)
  t.same(w.stdout.records, [{ type: 'job', ...(await node.job('job-1')) }])
  const idle = world(t)
  await idle.node('node')
  t.equal(await idle.mesh('jobs'), 0)
  t.equal(idle.stdout.text, 'no jobs; hand one in with mesh train\n')
})

t.test('logs follow a job to its end, as lines or as JSON', async t => {
  const { w } = await working(t)
  t.equal(await w.mesh('logs', 'job-1'), 0)
  t.equal(w.stdout.lines.at(-1), 'done')
  w.stdout.text = ''
  t.equal(await w.mesh('logs', 'job-1', '--json'), 0)
  t.same(w.stdout.records, goodRun())
  t.equal(await w.mesh('logs', 'job-2'), 2)
  t.match(w.stderr.text, /no job is called 'job-2'/)
})

t.test('logs of a job that goes on: Ctrl-C ends them with 130, --no-follow at once with 0', async t => {
  const { w, node } = await working(t, goodRun().slice(0, 6))
  const done = w.mesh('logs', 'job-1')
  await w.stdout.shows('step 1')
  w.interrupt()
  t.equal(await done, 130)
  t.equal(w.stderr.text, '')
  t.same(node.calls, [])
  w.stdout.text = ''
  t.equal(await w.mesh('logs', 'job-1', '--no-follow', '--json'), 0)
  t.same(w.stdout.records, goodRun().slice(0, 6))
})

t.test('stop, invite and leave', async t => {
  const { w, node } = await working(t, goodRun().slice(0, 6))
  t.equal(await w.mesh('stop', 'job-1'), 0)
  t.equal(await w.mesh('stop', 'job-1', '--json'), 0)
  t.equal(await w.mesh('invite', '--ttl', '30m'), 0)
  t.equal(await w.mesh('invite', '--json'), 0)
  t.equal(await w.mesh('leave'), 0)
  t.same(w.stdout.lines, [
    'job job-1 has stopped; its checkpoints: mesh fetch job-1 --out DIR',
    '{"type":"stopped","job":"job-1"}',
    'invite-1800000',
    '{"type":"invite","invite":"invite-86400000","ttl":86400000}',
    'node node has left its mesh'
  ])
  t.same(node.calls, ['stop', 'stop', 'leave'])
})

t.test('fetch fills a folder, again too, but not that of another run', async t => {
  const { w } = await working(t)
  for (const _ of [1, 2]) {
    t.equal(await w.mesh('fetch', 'job-1', '--out', 'got'), 0)
    t.same(readdirSync(join(w.folder, 'got')).sort(), ['checkpoints', 'config.json', 'metrics.jsonl', 'model.onnx'])
    t.equal(
      readFileSync(join(w.folder, 'got', 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n').length,
      goodRun().length
    )
  }
  t.match(JSON.parse(readFileSync(join(w.folder, 'got', 'config.json'), 'utf8')), { job: 'job-1', spec })
  t.equal(await w.mesh('fetch', 'job-2', '--out', 'other'), 2)
  t.equal(existsSync(join(w.folder, 'other')), false)
})

t.test('key new writes a key that only its owner reads, and never over another file', async t => {
  const w = world(t)
  t.equal(await w.mesh('key', 'new', 'my.key'), 0)
  const path = join(w.folder, 'my.key')
  t.equal(statSync(path).mode & 0o777, 0o600)
  const content = readFileSync(path, 'utf8')
  t.equal(await w.mesh('key', 'new', 'my.key'), 2)
  t.match(w.stderr.text, /exists/)
  t.equal(readFileSync(path, 'utf8'), content)
  mkdirSync(join(w.folder, 'sub'))
  t.equal(await w.mesh('key', 'new', 'sub'), 2)
})

t.test('doctor names what it looked at, and fails only for what nothing works without', async t => {
  const w = world(t)
  w.env['XDG_STATE_HOME'] = join(w.folder, 'x'.repeat(120))
  t.equal(await w.mesh('doctor', '--json'), 1)
  const records = w.stdout.records
  for (const record of records) {
    t.match(record, { type: 'check', check: String, standing: /^(ok|lacks|broken)$/, message: String })
    t.notMatch(record.message, /\n/)
  }
  for (const check of ['node', 'provider cpu', 'port tcp', 'data digits, shapes32']) {
    t.match(
      records.find(record => record.check === check),
      { standing: 'ok' },
      check
    )
  }
  t.match(
    records.filter(record => record.standing === 'broken'),
    [{ check: 'state folder', message: /too long/, mend: /XDG_STATE_HOME/ }]
  )
})

t.test('what no command foresaw is one line and exit 1', async t => {
  const w = world(t)
  w.onInterrupt = () => {
    throw new TypeError('a bug')
  }
  await w.node('node')
  t.equal(await run(['logs', 'j'], w), 1)
  t.equal(w.stderr.text, 'error: a bug\n')
})

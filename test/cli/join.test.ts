import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StartNodeOptions } from '../../actors/training/service-types.ts'
import { AdmissionError, InvalidParametersError } from '../../common/index.ts'
import { type FakeInit, FakeNode } from './fake-node.ts'
import { TestWorld } from './world.ts'

function joining(t: Test, init: Omit<FakeInit, 'stateDir'> = {}, stateDir = 'gradmesh/node') {
  const world = new TestWorld()
  t.teardown(() => world.close())
  const node = new FakeNode({ ...init, stateDir: join(world.folder, stateDir) })
  const seen: { options?: StartNodeOptions } = {}
  world.startNode = async options => {
    seen.options = options
    return node
  }
  return { world, node, seen, socket: join(node.stateDir, 'control.sock') }
}

t.test('the first node founds a mesh, prints an invite and answers commands until Ctrl-C', async t => {
  const { world, node, socket } = joining(t)
  const done = world.mesh('join', '--cpus', '1')
  await world.stdout.shows('join from elsewhere')
  t.same(world.stdout.lines, [
    'node node has founded mesh zMesh',
    'peer 12D3KooWFakeFakeA',
    'listening on /ip4/127.0.0.1/tcp/4001',
    'trains on cpu Processor',
    'join from elsewhere, within 24 hours: mesh join --invite invite-86400000'
  ])
  t.equal(statSync(socket).mode & 0o777, 0o600)
  t.equal(await world.mesh('jobs'), 0)
  world.interrupt()
  t.equal(await done, 130)
  t.same(node.calls, ['close'])
  t.equal(existsSync(socket), false)
})

t.test('flags reach the node', async t => {
  const { world, seen } = joining(t)
  const args = ['--gpus', '2', '--invite', 'T', '--key', 'k', '--peer', '/ip4/1.2.3.4/tcp/1', '--peer', '/ip4/1.2.3.4/tcp/2', '--no-mdns']
  args.push(
    '--listen',
    '/ip4/0.0.0.0/tcp/4001',
    '--label',
    'a=1',
    '--label',
    'b=2',
    '--data-root',
    'd',
    '--state-dir',
    's',
    '--bulk-ports',
    '5000-5010'
  )
  const done = world.mesh('join', ...args)
  await world.stdout.shows('join from elsewhere')
  t.match(seen.options, {
    gpus: 2,
    cpus: undefined,
    invite: 'T',
    keyFile: join(world.folder, 'k'),
    peers: ['/ip4/1.2.3.4/tcp/1', '/ip4/1.2.3.4/tcp/2'],
    listen: ['/ip4/0.0.0.0/tcp/4001'],
    labels: { a: '1', b: '2' },
    dataRoots: [join(world.folder, 'd')],
    stateDir: join(world.folder, 's'),
    bulkPorts: [5000, 5010],
    mdns: false
  })
  world.interrupt()
  await done
})

t.test('an invite may come by the environment, and the command line goes before it', async t => {
  for (const [args, invite] of [
    [[], 'E'],
    [['--invite', 'T'], 'T']
  ] as const) {
    const { world, seen } = joining(t)
    world.env['GRADMESH_INVITE'] = 'E'
    const done = world.mesh('join', ...args)
    await world.stdout.shows('join from elsewhere')
    t.equal(seen.options?.invite, invite)
    world.interrupt()
    await done
  }
})

t.test('a second node on the machine says its name, and one that joined prints no invite', async t => {
  const { world } = joining(t, { founded: false, taken: ['node'], warnings: ['another mesh is on this network'] }, 'gradmesh/node-1')
  const done = world.mesh('join')
  await world.stderr.shows('another mesh')
  t.equal(world.stdout.lines[0], 'this node is called node-1: on this machine node runs already')
  t.match(world.stdout.lines[1], /has joined mesh/)
  t.notMatch(world.stdout.text, /invite/)
  t.equal(world.stderr.text, 'warning: another mesh is on this network\n')
  world.interrupt()
  t.equal(await done, 130)
})

t.test('with --json one record says all of it', async t => {
  const { world, node } = joining(t)
  const done = world.mesh('join', '--json')
  await world.stdout.shows('\n')
  t.match(world.stdout.records, [
    { type: 'joined', node: 'node', stateDir: node.stateDir, taken: [], founded: true, mesh: 'zMesh', invite: 'invite-86400000' }
  ])
  world.interrupt()
  await done
})

t.test('mesh leave ends the node with 0', async t => {
  const { world, node } = joining(t)
  const done = world.mesh('join')
  await world.stdout.shows('join from elsewhere')
  t.equal(await world.mesh('leave'), 0)
  t.equal(await done, 0)
  t.same(node.calls, ['leave', 'close'])
})

t.test('what cannot be started is one line and exit 2', async t => {
  const failures = [
    new InvalidParametersError('--gpus 2, but nvidia-smi sees none; train on CPUs with --cpus 1'),
    new AdmissionError('the invite expired at 12:00; ask a member for a new one')
  ]
  for (const failure of failures) {
    const { world } = joining(t)
    world.startNode = async () => {
      throw failure
    }
    t.equal(await world.mesh('join'), 2)
    t.equal(world.stderr.text, `error: ${failure.message}\n`)
  }
})

t.test('Ctrl-C while the node starts ends at once', async t => {
  const { world } = joining(t)
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  world.startNode = () => {
    resolve()
    return new Promise(() => {})
  }
  const done = world.mesh('join')
  await asked
  world.interrupt()
  t.equal(await done, 130)
})

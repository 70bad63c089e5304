// starts processes
// What a user gets wrong: one line that says what to do, exit code 2, and nothing left behind. It starts processes: the real command.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { createIdentity, keyAuthority, readKeyFile, writeKeyFile } from '../../mesh/index.ts'
import { writeIdxFolder } from '../datasets/fixtures.ts'
import { Cluster, ended } from './cluster.ts'

async function refused(t: Tap, cluster: Cluster, args: string[], pattern: RegExp, env: Record<string, string> = {}): Promise<void> {
  const run = cluster.command(args, env)
  await ended(run.child)
  const what = args.join(' ').replaceAll(cluster.folder, '…').slice(0, 100)
  const lines = run
    .output()
    .trim()
    .split('\n')
    .filter(l => l.startsWith('error:'))
  t.equal(run.child.exitCode, 2, `${what}: ${run.output().slice(-500)}`)
  t.equal(lines.length, 1, `${what}: one line of error`)
  t.match(lines[0], pattern)
  t.notMatch(run.output(), /\n\s+at /, 'no stack trace')
}

type Tap = Pick<typeof t, 'equal' | 'match' | 'notMatch'>

const train = (out: string, ...flags: string[]) => [
  'train',
  '--model',
  'lenet',
  '--data',
  'digits?train=100&test=10',
  '--trainers',
  '1',
  '--out',
  out,
  ...flags
]

t.test('jobs that cannot be', async t => {
  const cluster = await Cluster.create(t)
  const out = join(cluster.folder, 'out')
  const file = join(cluster.folder, 'file')
  await writeFile(file, '')
  await refused(t, cluster, train(out, '--model', 'resnet-9000'), /resnet-9000.*lenet/)
  await refused(t, cluster, train(out, '--strategy', 'telepathy'), /telepathy.*allreduce/)
  await refused(t, cluster, train(out, '--batch', '101'), /batch.*100/)
  await refused(t, cluster, train(join(file, 'below')), /file/)
  await refused(t, cluster, train(out, '--lr', '-1'), /lr/)
})

t.test('data that is absent, truncated, not IDX, or labelled out of range', async t => {
  const cluster = await Cluster.create(t)
  const out = join(cluster.folder, 'out')
  const data = (name: string) => train(out, '--data', `idx:${join(cluster.folder, name)}`)
  await refused(t, cluster, data('absent'), /absent/)
  const damage: [name: string, file: string, change: (bytes: Buffer) => Buffer, pattern: RegExp][] = [
    ['truncated', 'train-images-idx3-ubyte', bytes => bytes.subarray(0, 1000), /bytes/],
    ['not-idx', 't10k-labels-idx1-ubyte', () => Buffer.from('hello, world'), /IDX/i],
    ['labels', 'train-labels-idx1-ubyte', bytes => Buffer.concat([bytes.subarray(0, -1), Buffer.of(200)]), /label/]
  ]
  for (const [name, file, change, pattern] of damage) {
    const path = join(await writeIdxFolder(join(cluster.folder, name), { train: 20, test: 10 }), file)
    await writeFile(path, change(await readFile(path)))
    await refused(t, cluster, data(name), pattern)
  }
  await mkdir(join(cluster.folder, 'empty'))
  await refused(t, cluster, data('empty'), /empty/)
  await refused(t, cluster, train(out, '--data', 'imagenet'), /imagenet.*digits/)
})

t.test('a port in use, an invite that is none or expired, more devices than there are', async t => {
  const cluster = await Cluster.create(t)
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const join_ = (name: string, ...flags: string[]) => ['join', '--state-dir', join(cluster.folder, name), '--cpus', '1', ...flags]
  const loopback = ['--listen', '/ip4/127.0.0.1/tcp/0']
  await refused(t, cluster, join_('p', '--listen', `/ip4/127.0.0.1/tcp/${port}`), /in use/)
  await refused(t, cluster, join_('q', ...loopback, '--invite', 'gm1nonsense'), /invite/)
  await refused(t, cluster, join_('r', '--listen', 'localhost:80'), /multiaddr/)
  await refused(t, cluster, ['join', '--state-dir', join(cluster.folder, 's'), '--gpus', '99', ...loopback], /GPU.*--cpus/)

  const key = join(cluster.folder, 'key')
  writeKeyFile(key)
  const node = await cluster.join('node', ['--key', key])
  const { addresses } = await node.client.status()
  // Made by whoever holds the key, three days ago, for a day.
  const yesterday = keyAuthority(createIdentity(), readKeyFile(key), () => Date.now() - 3 * 86_400_000).invite(addresses, 86_400_000)
  await refused(t, cluster, join_('late', ...loopback, '--invite', yesterday), /expired/)
  await refused(
    t,
    cluster,
    ['train', '--node', join(cluster.folder, 'node'), ...train(join(cluster.folder, 'o'), '--trainers', '3').slice(1)],
    /3 trainers.*1/
  )
  await refused(t, cluster, ['join', '--state-dir', join(cluster.folder, 'node'), '--cpus', '1', ...loopback], /held by another/)
})

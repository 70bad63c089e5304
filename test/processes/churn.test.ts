import t from 'tap'
import { Cluster, ended, spec, until, Watch } from './cluster.ts'

const all = 2000

for (const strategy of ['allreduce', 'gossip']) {
  for (const victim of [0, 2]) {
    t.test(`${strategy}: kill -9 of ${victim === 0 ? 'the first of three nodes' : 'the last of three nodes'} loses no sample`, async t => {
      const cluster = await Cluster.create(t)
      await cluster.join('a')
      await Promise.all([cluster.join('b'), cluster.join('c')])
      const observer = cluster.nodes[1]!
      await until(
        'three members',
        async () => (await observer.client.status()).members.filter(m => m.state === 'alive').length === 3 || undefined
      )
      // Handed in at the node that dies or at another: it makes no difference.
      const { job } = await cluster.nodes[0]!.client.submit(spec({ strategy }))
      const watch = new Watch(observer.client, job)
      await watch.event('steps', e => e.type === 'metrics' && e.step >= 10)
      await cluster.nodes[victim]!.kill()
      await watch.over
      t.equal((await observer.client.job(job)).state, 'done')
      const epochs = watch.epochs()
      t.same([...epochs.keys()].sort(), [0, 1])
      for (const [epoch, { committed, duplicated }] of epochs) {
        t.equal(committed, all, `epoch ${epoch} commits every sample, once`)
        // One range of four batches a trainer can be in flight when a fault strikes; none is in a synchronous job.
        t.ok(duplicated <= (strategy === 'gossip' ? 3 * 4 * 8 : 0), `${duplicated} duplicated`)
      }
      if (strategy === 'allreduce') t.ok(watch.generations().includes(2), `went on with two trainers: ${watch.generations()}`)
    })
  }
}

for (const strategy of ['allreduce', 'gossip']) {
  t.test(`${strategy}: a node that joins in the middle takes part with the current parameters`, async t => {
    const cluster = await Cluster.create(t)
    await cluster.join('a')
    await cluster.join('b')
    const [a, b] = cluster.nodes
    await until('two members', async () => (await a!.client.status()).members.filter(m => m.state === 'alive').length === 2 || undefined)
    const { job } = await a!.client.submit(spec({ strategy, epochs: 40 }))
    const watch = new Watch(b!.client, job)
    await watch.event('steps', e => e.type === 'metrics' && e.step >= 30)
    const before = new Set(watch.events.flatMap(e => (e.type === 'metrics' ? [e.trainer] : [])))
    const c = await cluster.join('c')
    const first = await watch.event('the newcomer to train', e => e.type === 'metrics' && !before.has(e.trainer))
    t.ok(first.type === 'metrics' && first.loss < 2, 'it goes on from where the others are')
    t.equal((await c.client.job(job)).members.length, 3)
    await c.client.stop(job)
    t.equal((await a!.client.job(job)).state, 'stopped')
    t.ok(
      (await b!.client.files(job)).some(f => f.name.endsWith('manifest.json')),
      'stopping left a checkpoint'
    )
  })
}

t.test('of two nodes one is killed: the job pauses, says so, and goes on when it is back', async t => {
  const cluster = await Cluster.create(t)
  await cluster.join('a')
  await cluster.join('b')
  const [a, b] = cluster.nodes
  await until('two members', async () => (await a!.client.status()).members.filter(m => m.state === 'alive').length === 2 || undefined)
  const { job, warnings } = await b!.client.submit(spec({ epochs: 2 }))
  t.match(warnings, [/losing one pauses this job/])
  const watch = new Watch(b!.client, job)
  await watch.event('steps', e => e.type === 'metrics' && e.step >= 10)
  await a!.kill()
  const paused = await watch.event('the pause', e => e.type === 'paused')
  t.match(paused, { missing: [a!.peer], message: /paused.*--on-split continue/ })
  const step = watch.step()
  await cluster.join('a')
  await watch.event('the job to go on', e => e.type === 'metrics' && e.step > step + 5)
  await watch.over
  t.same(watch.epochs(), new Map([0, 1].map(epoch => [epoch, { committed: all, duplicated: 0 }])))
})

t.test('of two nodes one is killed under --on-split continue: the other goes on alone', async t => {
  const cluster = await Cluster.create(t)
  await cluster.join('a')
  await cluster.join('b')
  const [a, b] = cluster.nodes
  await until('two members', async () => (await a!.client.status()).members.filter(m => m.state === 'alive').length === 2 || undefined)
  const { job } = await a!.client.submit(spec({ onSplit: 'continue', epochs: 1 }))
  const watch = new Watch(b!.client, job)
  await watch.event('steps', e => e.type === 'metrics' && e.step >= 10)
  await a!.kill()
  await watch.over
  t.match(
    watch.events.findLast(e => e.type === 'generation'),
    { reason: /without a majority/ }
  )
  t.same(watch.epochs(), new Map([[0, { committed: all, duplicated: 0 }]]))
})

t.test('killing the command that submitted a job leaves the job, and another node follows it', async t => {
  const cluster = await Cluster.create(t)
  await cluster.join('a')
  await cluster.join('b')
  const train = cluster.command([
    ...['train', '--node', `${cluster.folder}/a`, '--model', 'lenet', '--data', 'digits?train=2000&test=100', '--trainers', '2'],
    ...['--batch', '8', '--epochs', '1', '--seed', '1', '--log-every', '5', '--out', `${cluster.folder}/out`]
  ])
  const job = await until('the job', () => /job (\w+), results/.exec(train.output())?.[1])
  await until('steps', () => (/step 1\d/.test(train.output()) ? true : undefined))
  train.child.kill('SIGKILL')
  await ended(train.child)
  const logs = cluster.command(['logs', job, '--follow', '--node', `${cluster.folder}/b`])
  await ended(logs.child)
  t.equal(logs.child.exitCode, 0, logs.output().slice(-500))
  t.match(logs.output(), /done|test accuracy/)
  t.equal((await cluster.nodes[1]!.client.job(job)).state, 'done')
})

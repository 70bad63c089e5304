// starts processes
import t from 'tap'
import { Cluster, ended, spec, Watch } from './cluster.ts'

t.test('a node that leaves hands its trainer back: the job goes on without a pause, and the mesh forgets the node', async t => {
  const cluster = await Cluster.create(t)
  await cluster.join('a')
  await cluster.join('b')
  await cluster.join('c')
  const [a, b, c] = cluster.nodes
  await cluster.members(3)
  const { job } = await a!.client.submit(spec({ epochs: 2 }))
  const watch = new Watch(b!.client, job)
  await watch.event('steps', e => e.type === 'metrics' && e.step >= 10)
  const leave = cluster.command(['leave', '--node', `${cluster.folder}/c`])
  await Promise.all([ended(leave.child), ended(c!.process)])
  t.equal(leave.child.exitCode, 0, leave.output())
  t.equal(c!.process.exitCode, 0, c!.output().slice(-500))
  await watch.over
  t.equal((await b!.client.job(job)).state, 'done')
  t.ok(watch.generations().includes(2), `went on with two trainers: ${watch.generations()}`)
  t.same(
    watch.events.filter(e => e.type === 'paused'),
    []
  )
  t.same(watch.epochs(), new Map([0, 1].map(epoch => [epoch, { committed: 2000, duplicated: 0 }])))
  const { members } = await a!.client.status()
  t.equal(members.find(m => m.peer === c!.peer)?.state ?? 'left', 'left')
})

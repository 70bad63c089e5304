// starts processes
import t from 'tap'
import { Cluster, spec, Watch } from './cluster.ts'

const all = 2000

t.test('of two nodes one is killed: the job pauses, says so, and goes on when it is back', async t => {
  const cluster = await Cluster.create(t)
  await cluster.join('a')
  await cluster.join('b')
  const [a, b] = cluster.nodes
  await cluster.members(2)
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
  await cluster.members(2)
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

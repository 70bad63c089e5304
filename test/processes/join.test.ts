// starts processes
import t from 'tap'
import { Cluster, spec, Watch } from './cluster.ts'

for (const strategy of ['allreduce', 'gossip']) {
  t.test(`${strategy}: a node that joins in the middle takes part with the current parameters`, async t => {
    const cluster = await Cluster.create(t)
    await cluster.join('a')
    await cluster.join('b')
    const [a, b] = cluster.nodes
    await cluster.members(2)
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

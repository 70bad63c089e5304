// starts processes
import t from 'tap'
import { Cluster, spec, until, Watch } from './cluster.ts'

for (const strategy of ['allreduce', 'gossip']) {
  t.test(`${strategy}: a node that joins in the middle takes part with the current parameters`, async t => {
    const cluster = await Cluster.create(t)
    await cluster.join('a')
    await cluster.join('b')
    const [a, b] = cluster.nodes
    await cluster.members(2)
    const { job } = await a!.client.submit(spec({ strategy, epochs: 40 }))
    const watch = new Watch(b!.client, job)
    const trainers = () => new Set(watch.events.flatMap(e => (e.type === 'metrics' && e.step >= 30 ? [e.trainer] : [])))
    await until('both to have trained for a while', () => trainers().size === 2)
    const before = trainers()
    const c = await cluster.join('c')
    const first = await watch.event('the newcomer to train', e => e.type === 'metrics' && !before.has(e.trainer))
    t.ok(first.type === 'metrics' && first.loss < 2, 'it goes on from where the others are')
    await until('the newcomer to know all three', async () => (await c.client.job(job)).members.length === 3)
    await c.client.stop(job)
    t.equal((await a!.client.job(job)).state, 'stopped')
    t.ok(
      (await b!.client.files(job)).some(f => f.name.endsWith('manifest.json')),
      'stopping left a checkpoint'
    )
  })
}

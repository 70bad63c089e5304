// starts processes
import t from 'tap'
import { Cluster, spec, Watch } from './cluster.ts'

const all = 2000

for (const strategy of ['allreduce', 'gossip']) {
  for (const victim of [0, 2]) {
    t.test(`${strategy}: kill -9 of ${victim === 0 ? 'the first of three nodes' : 'the last of three nodes'} loses no sample`, async t => {
      const cluster = await Cluster.create(t)
      await cluster.join('a')
      await Promise.all([cluster.join('b'), cluster.join('c')])
      const observer = cluster.nodes[1]!
      await cluster.members(3)
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

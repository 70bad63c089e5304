// starts processes
import t from 'tap'
import { CounterCluster } from '../actors/runtime/counter/cluster.ts'

// scripts/counter.ts torments the same nodes at random and at length.
t.test(
  'a counter on five nodes goes on when the first two are killed, and when they are back, with every acknowledged increment',
  async t => {
    const cluster = await CounterCluster.start()
    t.teardown(() => cluster.close())
    const [a, b, c, d, e] = cluster.nodes
    let acknowledged = 0
    let unknown = 0
    const increments = async (count: number) => {
      for (let done = 0; done < count; ) {
        const answer = await [c, d, e][done % 3]!.ask('add')
        if (answer.error === undefined) {
          acknowledged++
          done++
        } else if (answer.error !== 'NoQuorumError' && answer.error !== 'UnreachableError') unknown++
      }
    }
    await increments(10)
    await a!.kill()
    await increments(10)
    await b!.kill()
    await increments(10)
    await Promise.all([a!.start(''), b!.start('')])
    await increments(10)
    const count = await cluster.count()
    t.ok(count >= acknowledged && count <= acknowledged + unknown, `${acknowledged} ≤ ${count} ≤ ${acknowledged + unknown}`)
  }
)

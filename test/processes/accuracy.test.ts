// starts processes
import t from 'tap'
import { embedded, train } from './embedded.ts'

t.test('2 and 4 trainers reach the test accuracy of one after an epoch of 4,000 samples, within half a point over three seeds', async t => {
  const seeds = [1, 2, 3]
  const means = new Map<number, number>()
  for (const trainers of [1, 2, 4]) {
    const node = await embedded(t, trainers)
    let sum = 0
    for (const seed of seeds) {
      const run = await train(node, { data: 'digits?train=4000&test=2000', trainers, batch: 64 / trainers, seed, logEvery: 1000 })
      t.comment(`seed ${seed}, ${trainers} trainers: ${(run.accuracy * 100).toFixed(2)} %`)
      sum += run.accuracy
    }
    means.set(trainers, (sum / seeds.length) * 100)
    await node.close()
  }
  for (const trainers of [2, 4]) {
    const difference = Math.abs(means.get(trainers)! - means.get(1)!)
    t.ok(difference <= 0.5, `${trainers} trainers differ by ${difference.toFixed(2)} points`)
  }
})

// The counter of test/processes/counter.test.ts at its full length: node scripts/counter.ts [INCREMENTS] [SEED]
import { CounterCluster } from '../test/actors/runtime/counter/cluster.ts'

const [increments = '10000', seed = '1'] = process.argv.slice(2)
const cluster = await CounterCluster.start()
try {
  const started = performance.now()
  const { acknowledged, unknown, refused, count, faults, errors } = await cluster.torment(Number(increments), seed)
  const right = count >= acknowledged && count <= acknowledged + unknown
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(
    `seed ${seed}: ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused, ${count} counted, ${faults} faults, ${seconds} s`
  )
  console.log(Object.fromEntries(errors))
  if (!right) throw new Error(`${count} is not between ${acknowledged} and ${acknowledged + unknown}`)
} finally {
  await cluster.close()
}

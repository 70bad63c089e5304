// Every exchange strategy on three real nodes, one killed and one added in the middle: `npm run test:strategies [-- NAME …]`.
import t from 'tap'
import { killAndJoin, sweep } from '../test/processes/strategies.ts'

const names = process.argv.slice(2)
for (const known of names) if (!sweep.some(s => s.strategy === known)) throw new Error(`no strategy of the sweep is called '${known}'`)
for (const one of sweep) {
  if (names.length > 0 && !names.includes(one.strategy)) continue
  t.test(`${one.strategy} on three processes, one killed, one added`, async t => await killAndJoin(t, one))
}

// starts processes
import t from 'tap'
import { killAndJoin, sweep } from './strategies.ts'

// one of rounds that rolls back and one of shares; `npm run test:strategies` has all
for (const name of ['local-sgd', 'sgp']) {
  t.test(`${name}: a node is killed, another joins, and the model comes out well`, async t => {
    await killAndJoin(t, sweep.find(s => s.strategy === name)!)
  })
}

import t from 'tap'
import { createPair, pattern } from './hosts.ts'

t.test('bytes land where the receiver named them, both ways at once', async t => {
  const { left, right, stop } = await createPair()
  t.teardown(stop)
  t.equal(left.kind, 'stream')
  const a = pattern(3_000_000, 1)
  const b = pattern(1_234_567, 2)
  const intoA = new Uint8Array(b.length)
  const intoB = new Uint8Array(a.length)
  await Promise.all([left.send('x', a), right.receive('x', intoB), left.receive('y', intoA), right.send('y', b)])
  t.ok(Buffer.from(intoB).equals(a))
  t.ok(Buffer.from(intoA).equals(b))
})

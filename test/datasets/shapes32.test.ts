import { createHash } from 'node:crypto'
import t from 'tap'
import { openDataset, shapes32Classes } from '../../datasets/index.ts'
import { shapeDrawer } from '../../datasets/shapes32.ts'
import { linearAccuracy } from './linear.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const SIZE = 3 * 32 * 32

t.test('the first hundred pictures are these, on every machine and in every release of this version', async t => {
  const draw = shapeDrawer(0)
  const hash = createHash('sha256')
  const picture = new Uint8Array(SIZE)
  for (let id = 0; id < 100; id++) hash.update(Uint8Array.of(draw(id, picture, 0))).update(picture)
  t.equal(
    hash.digest('hex'),
    '229e240fe461b9a15855215d6be988823aab4c92c855da9a9179eaf4337476bc',
    'if the change is meant, raise the version in datasets/open.ts and write the new digest here'
  )
})

t.test('a picture depends on its seed and id alone', async t => {
  const first = new Uint8Array(SIZE)
  const again = new Uint8Array(SIZE + 5)
  const label = shapeDrawer(seed)(1234, first, 0)
  const draw = shapeDrawer(seed)
  draw(99, again, 0)
  t.equal(draw(1234, again, 5), label)
  t.equal(Buffer.compare(again.subarray(5), first), 0)
})

t.test('every class comes once in ten', async t => {
  const draw = shapeDrawer(seed)
  const picture = new Uint8Array(SIZE)
  for (let block = 0; block < 5; block++) {
    t.equal(new Set(Array.from({ length: 10 }, (_, i) => draw(10 * block + i, picture, 0))).size, shapes32Classes.length)
  }
})

t.test('pixels are centred and of moderate size', async t => {
  const { train } = await openDataset('shapes32?train=400&test=1')
  const into = new Float32Array(400 * SIZE)
  train.read(
    Array.from({ length: 400 }, (_, id) => id),
    into,
    new Int32Array(400)
  )
  const mean = into.reduce((a, b) => a + b, 0) / into.length
  const deviation = Math.sqrt(into.reduce((a, b) => a + (b - mean) ** 2, 0) / into.length)
  t.ok(Math.abs(mean) < 0.4, `mean ${mean}`)
  t.ok(deviation > 1.5 && deviation < 2.5, `deviation ${deviation}`)
})

t.test('a linear model gets about half of them at best', async t => {
  const { train, test } = await linearAccuracy(await openDataset('shapes32?train=1500&test=500'), { epochs: 6, rate: 0.0005 })
  t.comment(`linear model: ${(100 * train).toFixed(1)} % of the training samples, ${(100 * test).toFixed(1)} % of the others`)
  t.ok(test < 0.6)
})

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { digitDrawer } from '../../datasets/digits.ts'
import { type Dataset, openDataset } from '../../datasets/index.ts'
import type { Draw } from '../../datasets/splits.ts'
import { linearAccuracy } from './linear.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const SIZE = 28 * 28

function digest(draw: Draw, count: number): string {
  const hash = createHash('sha256')
  const picture = new Uint8Array(SIZE)
  for (let id = 0; id < count; id++) hash.update(Uint8Array.of(draw(id, picture, 0))).update(picture)
  return hash.digest('hex')
}

/** The bytes of sample `id`, as its floats tell them. */
function bytesOf(dataset: Dataset, half: 'train' | 'test', id: number): string {
  const into = new Float32Array(SIZE)
  const labels = new Int32Array(1)
  dataset[half].read([id], into, labels)
  return `${labels[0]}:${Array.from(into, x => x * 256).join()}`
}

t.test('the first hundred digits are these, on every machine and in every release of this version', async t => {
  t.equal(
    digest(digitDrawer(0), 100),
    '87856e4fa8a5d846efe5cf9347b08cda19096741454f0736db513f0a1810fc7a',
    'if the change is meant, raise the version in datasets/open.ts and write the new digest here'
  )
})

t.test('a sample depends on its seed and id alone, not on what was drawn before', async t => {
  const straight = digitDrawer(3)
  const pictures = Array.from({ length: 200 }, (_, id) => {
    const picture = new Uint8Array(SIZE)
    return { label: straight(id, picture, 0), picture }
  })
  const jumping = digitDrawer(3)
  fc.assert(
    fc.property(fc.nat(199), fc.nat(50), (id, offset) => {
      const into = new Uint8Array(SIZE + offset)
      return jumping(id, into, offset) === pictures[id]!.label && Buffer.compare(into.subarray(offset), pictures[id]!.picture) === 0
    }),
    { seed, numRuns: 300 }
  )
  t.not(digest(digitDrawer(4), 20), digest(digitDrawer(3), 20))
})

t.test('the number of samples changes none of them, and the halves share none', async t => {
  const few = await openDataset('digits?train=50&test=20')
  const many = await openDataset('digits?train=300&test=60')
  for (const id of [0, 1, 49]) t.equal(bytesOf(few, 'train', id), bytesOf(many, 'train', id))
  for (const id of [0, 19]) t.equal(bytesOf(few, 'test', id), bytesOf(many, 'test', id))
  const train = new Set(Array.from({ length: 300 }, (_, id) => bytesOf(many, 'train', id)))
  t.equal(train.size, 300)
  for (let id = 0; id < 60; id++) t.notOk(train.has(bytesOf(many, 'test', id)))
})

t.test('every digit comes once in ten', async t => {
  const draw = digitDrawer(seed)
  const picture = new Uint8Array(SIZE)
  const orders = new Set<string>()
  for (let block = 0; block < 20; block++) {
    const labels = Array.from({ length: 10 }, (_, i) => draw(10 * block + i, picture, 0))
    t.strictSame(new Set(labels).size, 10)
    orders.add(labels.join())
  }
  t.ok(orders.size > 10, 'in changing order')
})

t.test('a linear model stays under 90 %', async t => {
  const { train, test } = await linearAccuracy(await openDataset('digits?train=5000&test=1000'), { epochs: 12, rate: 0.03 })
  t.comment(`linear model: ${(100 * train).toFixed(1)} % of the training samples, ${(100 * test).toFixed(1)} % of the others`)
  t.ok(test < 0.9)
  t.ok(test > 0.6, 'and yet it learns')
})

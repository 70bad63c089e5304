import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { InvalidParametersError } from '../../common/index.ts'
import { epochRanges, rangePositions, sampleOrder, stepSlice, stepsPerEpoch } from '../../datasets/index.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

t.test('an order is a permutation that depends on count, seed and epoch', async t => {
  fc.assert(
    fc.property(fc.nat(2000), fc.oneof(fc.nat(), fc.string()), fc.nat(1000), (count, jobSeed, epoch) => {
      const order = sampleOrder(count, jobSeed, epoch)
      return order.length === count && new Set(order).size === count && order.every(id => id < count)
    }),
    { seed, numRuns: 100 }
  )
  t.strictSame(sampleOrder(1000, 7, 3), sampleOrder(1000, '7', 3), 'a number is taken as its text')
  t.notSame(sampleOrder(1000, 7, 3), sampleOrder(1000, 7, 4))
  t.notSame(sampleOrder(1000, 7, 3), sampleOrder(1000, 8, 3))
})

t.test('an order is the same on every machine', async t => {
  t.equal(
    createHash('sha256')
      .update(sampleOrder(10_000, 1, 0))
      .digest('hex'),
    '2fe36620b087aeb6bb7d8a321744610dc808e20bc152fe375ff8a71a8a4b8051',
    'a checkpoint of an older release resumes in another order'
  )
})

t.test('an order over nonsense is refused', async t => {
  for (const count of [-1, 1.5, Number.NaN, 2 ** 31]) t.throws(() => sampleOrder(count, 1, 0), InvalidParametersError)
  for (const epoch of [-1, 0.5, Number.NaN]) t.throws(() => sampleOrder(10, 1, epoch), InvalidParametersError)
})

const step = fc.record({
  count: fc.integer({ min: 1, max: 3000 }),
  world: fc.integer({ min: 1, max: 40 }),
  batch: fc.integer({ min: 1, max: 70 }),
  globalBatch: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined })
})

t.test('the slices of all ranks are what one trainer with the whole batch takes', async () => {
  fc.assert(
    fc.property(step, ({ count, world, batch, globalBatch }) => {
      let position = 0
      let steps = 0
      while (position < count) {
        const alone = stepSlice({ count, position, world: 1, rank: 0, batch: globalBatch ?? world * batch })
        const sizes: number[] = []
        let at = position
        for (let rank = 0; rank < world; rank++) {
          const { start, end, total } = stepSlice({ count, position, world, rank, batch, globalBatch })
          if (start !== at || end < start || total !== alone.total) return false
          sizes.push(end - start)
          at = end
        }
        if (at !== alone.end || Math.max(...sizes) - Math.min(...sizes) > 1) return false
        position += alone.total
        steps++
      }
      return position === count && steps === stepsPerEpoch(count, globalBatch ?? world * batch)
    }),
    { seed, numRuns: 300 }
  )
})

t.test('a whole step gives each rank its batch; a last one is split evenly and nothing is dropped', async t => {
  const of = (rank: number, position: number) => stepSlice({ count: 130, position, world: 4, rank, batch: 32 })
  t.strictSame(of(0, 0), { start: 0, end: 32, total: 128 })
  t.strictSame(of(3, 0), { start: 96, end: 128, total: 128 })
  t.strictSame(of(0, 128), { start: 128, end: 129, total: 2 })
  t.strictSame(of(1, 128), { start: 129, end: 130, total: 2 })
  t.strictSame(of(2, 128), { start: 130, end: 130, total: 2 }, 'a rank may get nothing')
  t.strictSame(stepSlice({ count: 1000, position: 0, world: 3, rank: 0, batch: 1, globalBatch: 64 }), { start: 0, end: 22, total: 64 })
  t.strictSame(of(3, 130), { start: 130, end: 130, total: 0 }, 'at the end there is nothing left')
})

t.test('a step that cannot be is refused', async t => {
  const good = { count: 100, position: 0, world: 2, rank: 0, batch: 10 }
  for (const bad of [
    { count: -1 },
    { position: 101 },
    { position: -1 },
    { world: 0 },
    { rank: 2 },
    { rank: -1 },
    { batch: 0 },
    { batch: 1.5 },
    { globalBatch: 0 },
    { count: Number.NaN }
  ]) {
    t.throws(() => stepSlice({ ...good, ...bad }), InvalidParametersError, JSON.stringify(bad))
  }
  t.doesNotThrow(() => stepSlice({ ...good, batch: 0, globalBatch: 8 }), 'with a global batch the one of a rank is not looked at')
})

t.test('ranges cover an epoch once', async t => {
  fc.assert(
    fc.property(fc.nat(5000), fc.integer({ min: 1, max: 700 }), (count, size) => {
      let at = 0
      for (let i = 0; i < epochRanges(count, size); i++) {
        const { start, end } = rangePositions(count, size, i)
        if (start !== at || end <= start || end - start > size) return false
        at = end
      }
      return at === count
    }),
    { seed }
  )
  t.throws(() => epochRanges(10, 0), InvalidParametersError)
  t.throws(() => rangePositions(10, 5, 2), InvalidParametersError)
  t.throws(() => rangePositions(10, 5, -1), InvalidParametersError)
})

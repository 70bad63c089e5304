import { MessageChannel } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { InvalidParametersError } from '../../common/index.ts'
import { createBatchReader, type Split, sampleOrder } from '../../datasets/index.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

/** Sample i is [i, i + 0.5] with label i mod 10; counts its reads. */
function numbers(count: number): Split & { reads: number } {
  return {
    count,
    reads: 0,
    read(ids, into, labels) {
      this.reads++
      for (let i = 0; i < ids.length; i++) {
        into[2 * i] = ids[i]!
        into[2 * i + 1] = ids[i]! + 0.5
        labels[i] = ids[i]! % 10
      }
    }
  }
}

const shape = [1, 1, 2]
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

t.test('batches follow the order, read ahead or not, in fresh or used buffers', async () => {
  const ways = fc.array(fc.record({ size: fc.integer({ min: 0, max: 9 }), ahead: fc.boolean(), wait: fc.boolean(), release: fc.boolean() }))
  await fc.assert(
    fc.asyncProperty(ways, async steps => {
      const order = sampleOrder(1000, seed, 0)
      const reader = createBatchReader(numbers(1000), shape)
      let at = 0
      for (const { size, ahead, wait, release } of steps) {
        if (ahead) reader.ahead(order, at, at + size)
        if (wait) await turn()
        const batch = reader.read(order, at, at + size)
        const ids = [...order.subarray(at, at + size)]
        const expected = ids.flatMap(id => [id, id + 0.5])
        if (batch.data.join() !== expected.join() || batch.labels.join() !== ids.map(id => id % 10).join()) return false
        if (batch.start !== at || batch.end !== at + size) return false
        if (release) reader.release(batch)
        at += size
      }
      reader.close()
      return true
    }),
    { seed, numRuns: 100 }
  )
})

t.test('a batch that was read ahead is not read again', async t => {
  const split = numbers(100)
  const order = sampleOrder(100, 1, 0)
  const reader = createBatchReader(split, shape)
  reader.ahead(order, 10, 20)
  t.equal(split.reads, 0, 'not in this turn')
  await turn()
  t.equal(split.reads, 1)
  const batch = reader.read(order, 10, 20)
  t.equal(split.reads, 1)
  t.strictSame(
    [...batch.labels],
    [...order.subarray(10, 20)].map(id => id % 10)
  )
  reader.ahead(order, 20, 30)
  t.equal(reader.read(order, 20, 30).start, 20, 'asked for before its turn came, it is read now')
  await turn()
  t.equal(split.reads, 2, 'and only once')
  reader.ahead(order, 30, 40)
  reader.ahead(order, 40, 50)
  await turn()
  t.equal(split.reads, 3, 'only the last one asked for')
  t.equal(reader.read(sampleOrder(100, 1, 1), 40, 50).data.length, 20)
  t.equal(split.reads, 4, 'another order is another batch')
  reader.close()
})

t.test('released buffers are used again, a partial batch is a view of them', async t => {
  const order = sampleOrder(100, 1, 0)
  const reader = createBatchReader(numbers(100), shape)
  const first = reader.read(order, 0, 10)
  reader.release(first)
  const second = reader.read(order, 10, 17)
  t.equal(second.data.buffer, first.data.buffer)
  t.equal(second.data.length, 14)
  t.equal(second.labels.length, 7)
  reader.release(second)
  const third = reader.read(order, 20, 30)
  t.equal(third.data.buffer, first.data.buffer, 'and whole again')
  t.not(reader.read(order, 30, 40).data.buffer, third.data.buffer, 'what is not released is left alone')
})

t.test('buffers that were transferred to a worker are not used until they come back', async t => {
  const order = sampleOrder(100, 1, 0)
  const reader = createBatchReader(numbers(100), shape)
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port1.close())
  const batch = reader.read(order, 0, 10)
  const arrived = new Promise<{ data: Float32Array; labels: Int32Array }>(resolve => {
    port2.once('message', resolve)
  })
  port1.postMessage({ data: batch.data, labels: batch.labels }, [batch.data.buffer as ArrayBuffer, batch.labels.buffer as ArrayBuffer])
  reader.release(batch)
  t.equal(reader.read(order, 10, 20).data.length, 20, 'a detached buffer is not taken')
  const back = await arrived
  reader.release(back)
  t.equal(reader.read(order, 20, 30).data.buffer, back.data.buffer)
})

t.test('a batch is written into buffers the caller names', async t => {
  const order = sampleOrder(100, 1, 0)
  const reader = createBatchReader(numbers(100), shape)
  const arena = new Float32Array(1000)
  const into = { data: arena.subarray(100, 200), labels: new Int32Array(64) }
  const batch = reader.read(order, 0, 50, into)
  t.equal(batch.data.byteOffset, 400)
  t.equal(arena[100], order[0])
  reader.ahead(order, 50, 60, into)
  await turn()
  t.equal(arena[100], order[50])
  t.equal(reader.read(order, 50, 60).data.buffer, arena.buffer)
})

t.test('what cannot be read says so when it is asked for', async t => {
  const order = sampleOrder(100, 1, 0)
  const reader = createBatchReader(numbers(100), shape)
  for (const [start, end] of [
    [-1, 5],
    [5, 4],
    [0, 101],
    [0.5, 2]
  ] as const) {
    t.throws(() => reader.read(order, start, end), InvalidParametersError)
    reader.ahead(order, start, end)
    await turn()
    t.throws(() => reader.read(order, start, end), InvalidParametersError, 'a failure ahead is kept for then')
  }
})

import { readFile, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { AbortedError, MalformedError } from '../../common/index.ts'
import { COLOUR_SCALE, openDataset } from '../../datasets/index.ts'
import { writeCifarFolder } from './fixtures.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

t.test('every record is read, less the mean of its channel', async t => {
  const folder = await writeCifarFolder(path.join(t.testdir(), 'set'), 300, seed)
  const dataset = await openDataset(`cifar:${folder}`)
  t.strictSame(dataset.shape, [3, 32, 32])
  t.match(dataset.fingerprint, { count: 1500, testCount: 300, classes: 10 })

  const names = [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`)
  const bytes = Buffer.concat(await Promise.all(names.map(name => readFile(path.join(folder, name)))))
  const mean = [0, 1, 2].map(c => {
    let sum = 0
    for (let r = 0; r < 1500; r++) for (let i = 0; i < 1024; i++) sum += bytes[r * 3073 + 1 + c * 1024 + i]!
    return sum / (1500 * 1024)
  })
  const into = new Float32Array(3072)
  const labels = new Int32Array(1)
  fc.assert(
    fc.property(fc.nat(1499), fc.nat(3071), (id, i) => {
      dataset.train.read([id], into, labels)
      return labels[0] === bytes[id * 3073] && into[i] === Math.fround((bytes[id * 3073 + 1 + i]! - mean[i >> 10]!) * COLOUR_SCALE)
    }),
    { seed }
  )
})

t.test('a changed byte changes the digest', async t => {
  const folder = await writeCifarFolder(path.join(t.testdir(), 'set'), 3)
  const before = (await openDataset(`cifar:${folder}`)).fingerprint.digest
  const name = path.join(folder, 'test_batch.bin')
  const bytes = await readFile(name)
  bytes[5000] = bytes[5000]! ^ 1
  await writeFile(name, bytes)
  t.not((await openDataset(`cifar:${folder}`)).fingerprint.digest, before)
})

t.test('files that are no whole CIFAR-10 files are refused', async t => {
  const folder = await writeCifarFolder(path.join(t.testdir(), 'set'))
  const name = path.join(folder, 'data_batch_3.bin')
  const good = await readFile(name)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: good.length - 1 }), async length => {
      await truncate(name, length)
      const found = await openDataset(`cifar:${folder}`).catch(error => error)
      await writeFile(name, good)
      if (length > 0 && length % 3073 === 0) return found.train.count === 48 + length / 3073
      t.ok(found instanceof MalformedError)
      t.match(found.message, /data_batch_3\.bin: is (empty|truncated)/)
      return true
    }),
    { seed, numRuns: 30 }
  )
  await truncate(name, 10_000)
  await t.rejects(openDataset(`cifar:${folder}`), { message: /expected 12292 bytes \(records of 3073\), found 10000/ })
})

t.test('a label over 9 is named with its place', async t => {
  const folder = await writeCifarFolder(path.join(t.testdir(), 'set'))
  const name = path.join(folder, 'data_batch_2.bin')
  const bytes = await readFile(name)
  bytes[7 * 3073] = 10
  await writeFile(name, bytes)
  await t.rejects(openDataset(`cifar:${folder}`), {
    name: 'MalformedError',
    message: /data_batch_2\.bin: label 7 is 10, out of the range 0 to 9/
  })
})

t.test('a file too large to be one is refused by its size alone', async t => {
  const folder = await writeCifarFolder(path.join(t.testdir(), 'set'), 1)
  await truncate(path.join(folder, 'data_batch_1.bin'), 3073 * 2_000_000)
  await t.rejects(openDataset(`cifar:${folder}`), { name: 'TooLargeError', message: /2000000 pictures are over the limit/ })
})

t.test('reading can be aborted', async t => {
  const folder = await writeCifarFolder(path.join(t.testdir(), 'set'))
  const abort = new AbortController()
  await t.rejects(openDataset(`cifar:${folder}`, { signal: abort.signal, onProgress: () => abort.abort() }), AbortedError)
})

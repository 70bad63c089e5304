import { createHash } from 'node:crypto'
import { open, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { AbortedError, GradmeshError, MalformedError, TooLargeError } from '../../common/index.ts'
import { readIdx } from '../../datasets/idx.ts'
import { openDataset } from '../../datasets/index.ts'
import { idxBytes, writeIdxFolder } from './fixtures.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const folder = t.testdir()
let files = 0

/** Reads `bytes` as an IDX file of `rank` dimensions. */
async function read(bytes: Uint8Array, rank: number, signal?: AbortSignal) {
  const name = path.join(folder, `file-${files++}`)
  await writeFile(name, bytes)
  const handle = await open(name)
  try {
    return await readIdx({ handle, size: bytes.length, shown: 'FILE' }, rank, createHash('sha256'), signal)
  } finally {
    await handle.close()
  }
}

const array = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })).chain(dims => {
  const size = dims[0] * dims[1] * dims[2]
  return fc.record({ dims: fc.constant(dims), data: fc.uint8Array({ minLength: size, maxLength: size }), zip: fc.boolean() })
})

t.test('what is written is read, plain and gzip', async () => {
  await fc.assert(
    fc.asyncProperty(array, async ({ dims, data, zip }) => {
      const bytes = idxBytes(dims, data)
      const found = await read(zip ? gzipSync(bytes) : bytes, 3)
      return found.dims.join() === dims.join() && Buffer.compare(found.data, data) === 0
    }),
    { seed, numRuns: 60 }
  )
})

t.test('a file cut anywhere is refused with one line, plain and gzip', async t => {
  await fc.assert(
    fc.asyncProperty(array, fc.double({ min: 0, max: 0.999, noNaN: true }), async ({ dims, data, zip }, part) => {
      const bytes = zip ? gzipSync(idxBytes(dims, data)) : idxBytes(dims, data)
      const error = await read(bytes.subarray(0, Math.floor(bytes.length * part)), 3).catch(error => error)
      t.ok(error instanceof MalformedError)
      t.match(error.message, /^FILE: [^\n]*$/)
    }),
    { seed, numRuns: 60 }
  )
})

t.test('any bytes are read or refused with an error of the closed set', async t => {
  const header = fc.tuple(
    fc.constantFrom(0, 0, 0, 31),
    fc.constantFrom(0, 0, 0, 139),
    fc.constantFrom(8, 8, 9, 13),
    fc.integer({ min: 0, max: 4 })
  )
  const bytes = fc.tuple(header, fc.uint8Array({ maxLength: 60 })).map(([head, rest]) => Uint8Array.from([...head, ...rest]))
  await fc.assert(
    fc.asyncProperty(bytes, fc.boolean(), async (bytes, zip) => {
      const error = await read(zip ? gzipSync(bytes) : bytes, 1).then(
        ({ dims, data }) => (dims[0] === data.length ? undefined : new Error('wrong size')),
        error => error
      )
      t.ok(error === undefined || error instanceof GradmeshError, String(error))
    }),
    { seed, numRuns: 200 }
  )
})

t.test('a byte flipped in a gzip file is noticed, or means nothing', async t => {
  const bytes = idxBytes(
    [50, 10, 10],
    Uint8Array.from({ length: 5000 }, (_, i) => (i * i) >> 3)
  )
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const zipped = gzipSync(bytes)
      // the ten bytes of gzip's own header hold a time and flags that need not matter
      const i = 10 + (at % (zipped.length - 10))
      zipped[i] = zipped[i]! ^ flip
      const found = await read(zipped, 3).catch(error => error)
      // the last byte of a deflate stream may have bits to spare
      if (found instanceof Error) t.ok(found instanceof GradmeshError, String(found))
      else t.equal(Buffer.compare(found.data, bytes.subarray(16)), 0, String(i))
    }),
    { seed, numRuns: 60 }
  )
})

t.test('each kind of damage is named, with the figures', async t => {
  const good = idxBytes([4, 3, 3], new Uint8Array(36))
  const with_ = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return bytes
  }
  const cases: [Uint8Array, RegExp][] = [
    [Buffer.from('this is no IDX file'), /^FILE: is no IDX file: it starts with 0x74686973/],
    [new Uint8Array(0), /^FILE: is no IDX file, it has 0 bytes/],
    [with_(2, 13), /holds values of IDX type 0x0d; only 0x08/],
    [with_(3, 1), /has 1 dimensions where 3 are expected; it looks like a file of labels/],
    [with_(3, 4), /has 4 dimensions where 3 are expected/],
    [with_(7, 0), /is empty, its header says 0 × 3 × 3/],
    [good.subarray(0, 9), /is truncated: expected 16 bytes of header, found 9/],
    [good.subarray(0, 50), /is truncated: expected 52 bytes, found 50/],
    [Buffer.concat([good, Buffer.alloc(1)]), /holds more than the 52 bytes its header claims/],
    [gzipSync(good).subarray(0, 25), /is truncated/],
    [gzipSync(good).subarray(0, -3), /is truncated: its gzip data lacks its end; copy it again/],
    [gzipSync(good.subarray(0, 50)), /is truncated: expected 52 bytes, found 50/],
    [gzipSync(Buffer.concat([good, Buffer.alloc(1)])), /holds more than the 52 bytes its header claims/],
    [Buffer.from([0x1f, 0x8b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), /its gzip data is damaged/]
  ]
  for (const [bytes, message] of cases) await t.rejects(read(bytes, 3), { name: 'MalformedError', message }, String(message))
  await t.rejects(read(good, 1), { message: /it looks like a file of images in the place of labels/ })
})

t.test('a header that claims more than the file can hold allocates nothing', async t => {
  const claim = (dims: number[]): Buffer => idxBytes(dims, new Uint8Array(100))
  const before = process.memoryUsage().arrayBuffers
  for (const dims of [
    [4294967295, 4096, 4096],
    [4294967295, 1, 1],
    [2000000, 28, 28]
  ]) {
    await t.rejects(read(claim(dims), 3), MalformedError, dims.join())
    await t.rejects(
      read(gzipSync(claim(dims)), 3),
      { name: 'MalformedError', message: /which \d+ compressed bytes cannot hold/ },
      dims.join()
    )
  }
  await t.rejects(read(claim([1, 65536, 65536]), 3), TooLargeError)
  await t.rejects(read(claim([1, 4294967295, 4294967295]), 3), TooLargeError)
  t.ok(process.memoryUsage().arrayBuffers - before < 256 * 1024 * 1024, 'each claims 1.5 GB or more')
})

t.test('a gzip bomb is left where its header’s claim ends', async t => {
  // 64 MiB of zeros behind a header that claims 9 bytes
  const bomb = gzipSync(idxBytes([1, 3, 3], new Uint8Array(64 * 1024 * 1024)))
  await t.rejects(read(bomb, 3), { name: 'MalformedError', message: /holds more than the 25 bytes its header claims/ })
})

t.test('a file that is as large as it claims, but too large to keep, is refused', async t => {
  const name = path.join(folder, 'sparse')
  await writeFile(name, idxBytes([2 ** 24 - 1, 28, 28], new Uint8Array(0)))
  const size = 16 + (2 ** 24 - 1) * 784
  await truncate(name, size)
  const handle = await open(name)
  await t.rejects(readIdx({ handle, size, shown: 'FILE' }, 3, createHash('sha256')), TooLargeError)
  await handle.close()
})

t.test('reading can be aborted', async t => {
  await t.rejects(read(idxBytes([5], new Uint8Array(5)), 1, AbortSignal.abort()), AbortedError)
  await t.rejects(openDataset('idx:anything', { signal: AbortSignal.abort() }), AbortedError)
})

t.test('a folder is read in each of its spellings to the same samples', async t => {
  const fingerprints = new Set<string>()
  for (const gzip of [false, true]) {
    for (const separator of ['-', '.'] as const) {
      const dataset = await openDataset(
        `idx:${await writeIdxFolder(path.join(folder, `${gzip}${separator}`), { gzip, separator, size: [9, 7] })}`
      )
      t.strictSame(dataset.shape, [1, 9, 7])
      t.equal(dataset.train.count, 60)
      t.equal(dataset.test.count, 20)
      fingerprints.add(JSON.stringify(dataset.fingerprint))
    }
  }
  t.equal(fingerprints.size, 1)
  const other = await openDataset(`idx:${await writeIdxFolder(path.join(folder, 'other'), { size: [9, 7], seed: 2 })}`)
  t.notOk(fingerprints.has(JSON.stringify(other.fingerprint)), 'other bytes have another digest')
})

t.test('samples are scaled by 1/256 and carry their labels', async t => {
  const at = await writeIdxFolder(path.join(folder, 'values'), { train: 3, size: [2, 2] })
  await writeFile(
    path.join(at, 'train-images-idx3-ubyte'),
    idxBytes([3, 2, 2], Uint8Array.from([0, 1, 2, 3, 10, 20, 30, 40, 255, 128, 64, 32]))
  )
  await writeFile(path.join(at, 'train-labels-idx1-ubyte'), idxBytes([3], Uint8Array.from([7, 0, 9])))
  const { train } = await openDataset(`idx:${at}`)
  const into = new Float32Array(8)
  const labels = new Int32Array(2)
  train.read([2, 0], into, labels)
  t.strictSame(
    Array.from(into, x => x * 256),
    [255, 128, 64, 32, 0, 1, 2, 3]
  )
  t.strictSame([...labels], [9, 7])
  t.throws(() => train.read([3], into, labels), { name: 'InvalidParametersError', message: /no sample 3: ids go from 0 to 2/ })
  for (const id of [-1, 0.5, Number.NaN]) t.throws(() => train.read([id], into, labels), { name: 'InvalidParametersError' })
  t.throws(() => train.read([0, 1, 2], into, labels), {
    message: /3 samples need room for 12 floats and 3 labels; the targets hold 8 and 2/
  })
})

t.test('files of a folder that do not go together are refused', async t => {
  const at = await writeIdxFolder(path.join(folder, 'mixed'))
  const labels = path.join(at, 'train-labels-idx1-ubyte')
  await writeFile(labels, idxBytes([59], new Uint8Array(59)))
  await t.rejects(openDataset(`idx:${at}`), {
    name: 'MalformedError',
    message: /train-labels-idx1-ubyte: has 59 labels for the 60 pictures of/
  })

  const wrong = new Uint8Array(60)
  wrong[41] = 10
  await writeFile(labels, idxBytes([60], wrong))
  await t.rejects(openDataset(`idx:${at}`), {
    name: 'MalformedError',
    message: /train-labels-idx1-ubyte: label 41 is 10, out of the range 0 to 9/
  })
  t.equal((await openDataset(`idx:${at}?classes=11`)).classes, 11)

  await writeIdxFolder(at)
  await writeFile(path.join(at, 't10k-images-idx3-ubyte'), idxBytes([20, 27, 28], new Uint8Array(20 * 27 * 28)))
  await t.rejects(openDataset(`idx:${at}`), {
    name: 'MalformedError',
    message: /t10k-images-idx3-ubyte: its pictures are 27 × 28, those of .* 28 × 28/
  })
})

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readSafetensors, writeSafetensors } from '../../../../actors/training/trainer/safetensors.ts'
import { MalformedError } from '../../../../common/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'gradmesh-safetensors-'))
t.teardown(() => rm(folder, { recursive: true }))
const path = join(folder, 'x.safetensors')

t.test('whatever is written is read again, bit for bit', async t => {
  const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })
  const tensors = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 12 }), shape), { selector: ([name]) => name, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(tensors, fc.string({ maxLength: 20 }), async (drawn, note) => {
      const written = drawn
        .filter(([name]) => name !== '__metadata__' && name !== '__proto__')
        .map(([name, shape]) => ({
          name,
          shape,
          data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(i * 1.1))
        }))
      await writeSafetensors(path, written, { note })
      const { tensors, metadata } = await readSafetensors(path)
      t.equal(metadata['note'], note)
      t.same([...tensors.keys()].sort(), written.map(w => w.name).sort())
      for (const w of written) t.same(tensors.get(w.name), w)
      t.equal((await readFile(path)).readUInt32LE(0) % 8, 0, 'the data begins at a multiple of 8')
    }),
    { numRuns: 40 }
  )
})

t.test('a damaged file is refused with its name, and nothing of the claimed size is allocated', async t => {
  await writeSafetensors(path, [{ name: 'w', shape: [4], data: Float32Array.of(1, 2, 3, 4) }])
  const good = await readFile(path)
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, x, cut) => {
      const bytes = cut ? good.subarray(0, at) : Buffer.from(good.map((b, i) => (i === at ? b ^ x : b)))
      await writeFile(path, bytes)
      try {
        await readSafetensors(path)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        t.ok(error.message.startsWith(path))
      }
    }),
    { numRuns: 150 }
  )
  const header = (json: string) => {
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(json.length))
    return Buffer.concat([length, Buffer.from(json)])
  }
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(8, 255),
    header('[]'),
    header('{'),
    header('{"w":null}'),
    header('{"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}'),
    header('{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'),
    header('{"w":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}'),
    header('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
  ]) {
    await writeFile(path, bytes)
    await t.rejects(readSafetensors(path), MalformedError)
  }
})

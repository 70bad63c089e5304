import fc from 'fast-check'
import t from 'tap'
import { encodeFrame, FrameReader } from '../../../mesh/control/index.ts'

t.test('frames come out as they went in, however the bytes are cut', async t => {
  const seed = Date.now() % 2 ** 31
  t.comment('seed', seed)
  const frames = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 100, max: 20_000 }).map(n => new Uint8Array(n).fill(n))
    ),
    { maxLength: 8 }
  )
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 300 })), (messages, cuts) => {
      const bytes = Buffer.concat(messages.map(encodeFrame))
      const reader = new FrameReader(20_000)
      const out: Uint8Array[] = []
      for (let at = 0; at < bytes.byteLength; ) {
        const n = cuts.next().value as number
        out.push(...reader.push(bytes.subarray(at, at + n)))
        at += n
      }
      return reader.buffered === 0 && out.length === messages.length && out.every((frame, i) => Buffer.compare(frame, messages[i]!) === 0)
    }),
    { seed, numRuns: 200 }
  )
})

t.test('a length over the limit is refused before anything is kept for it', async t => {
  const reader = new FrameReader(1000)
  t.throws(() => reader.push(new Uint8Array([0xff, 0xff, 0xff, 0x7f])), {
    name: 'TooLargeError',
    message: 'a frame of 268435455 bytes was announced; the most is 1000'
  })
  t.ok(reader.buffered <= 4)
  t.throws(() => new FrameReader(1000).push(new Uint8Array([0xe9, 0x07])), { name: 'TooLargeError' })
  t.same(new FrameReader(1000).push(encodeFrame(new Uint8Array(1000))).length, 1)
})

t.test('a length prefix that does not end is refused', async t => {
  t.throws(() => new FrameReader(1000).push(new Uint8Array([0x80, 0x80, 0x80, 0x80])), { name: 'MalformedError' })
  const reader = new FrameReader(1000)
  t.same(reader.push(new Uint8Array([0x80, 0x80, 0x80])), [])
  t.throws(() => reader.push(new Uint8Array([0x80])), { name: 'MalformedError' })
})

import fc from 'fast-check'
import t from 'tap'
import { MalformedError } from '../../../common/index.ts'
import { decodeId, encodeFrame, encodeId, FrameParser, type FrameSink, FrameType, writeHeader } from '../../../mesh/bulk/frames.ts'
import { HEADER_BYTES, MAX_CHUNK_BYTES, MAX_ID_BYTES, MAX_MESSAGE_BYTES } from '../../../mesh/bulk/limits.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
t.comment('seed', seed)
const settings = { seed, numRuns: 300 }

interface Seen {
  type: number
  handle: number
  value: number
  body: string
}

/** Collects frames; checks that a chunk's pieces add up. */
function collector(): FrameSink & { seen: Seen[] } {
  const seen: Seen[] = []
  let chunk: { head: Seen; length: number; bytes: number[] } | undefined
  return {
    seen,
    frame(type, handle, value, body) {
      seen.push({ type, handle, value, body: Buffer.from(body).toString('hex') })
    },
    chunkStart(handle, value, length) {
      if (chunk) throw new Error('a chunk within a chunk')
      chunk = { head: { type: FrameType.chunk, handle, value, body: '' }, length, bytes: [] }
    },
    chunkBytes(piece) {
      chunk!.bytes.push(...piece)
    },
    chunkEnd() {
      if (chunk!.bytes.length !== chunk!.length) throw new Error('a chunk of another length than announced')
      seen.push({ ...chunk!.head, body: Buffer.from(chunk!.bytes).toString('hex') })
      chunk = undefined
    }
  }
}

const frame = fc.oneof(
  fc.record({
    type: fc.constantFrom(FrameType.chunk, FrameType.message),
    handle: fc.nat(0xffffffff),
    value: fc.maxSafeNat(),
    body: fc.uint8Array({ maxLength: 300 })
  }),
  fc.record({
    type: fc.constant(FrameType.grant),
    handle: fc.nat(0xffffffff),
    value: fc.maxSafeNat(),
    body: fc.uint8Array({ maxLength: MAX_ID_BYTES })
  }),
  fc.record({
    type: fc.constantFrom(FrameType.hello, FrameType.accept, FrameType.ack, FrameType.revoke, FrameType.done, FrameType.withdraw),
    handle: fc.nat(0xffffffff),
    value: fc.maxSafeNat(),
    body: fc.constant(new Uint8Array(0))
  })
)

/** Hand `bytes` over in pieces of the given lengths, over and over. */
function feed(parser: FrameParser, bytes: Uint8Array, cuts: number[]): void {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const next = at + (cuts[i % cuts.length] ?? 1)
    parser.push(bytes.subarray(at, next))
    at = next
  }
}

t.test('frames come out as they went in, however the bytes are cut', t => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1 }), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(f => encodeFrame(f.type, f.handle, f.value, f.body)))
      const sink = collector()
      feed(new FrameParser(sink), bytes, cuts)
      const sent = frames.map(f => ({ ...f, body: Buffer.from(f.body).toString('hex') }))
      return JSON.stringify(sink.seen) === JSON.stringify(sent)
    }),
    settings
  )
  t.end()
})

t.test('random bytes end in MalformedError or in frames, never in anything else', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1 }), (bytes, cuts) => {
      try {
        feed(new FrameParser(collector()), bytes, cuts)
      } catch (error) {
        return error instanceof MalformedError
      }
      return true
    }),
    settings
  )
  t.end()
})

t.test('a frame with one byte changed is another frame or is refused; the parser stays within its bounds', t => {
  fc.assert(
    fc.property(frame, fc.nat(), fc.integer({ min: 1, max: 255 }), (f, where, flip) => {
      const bytes = encodeFrame(f.type, f.handle, f.value, f.body)
      bytes[where % bytes.length] ^= flip
      const sink = collector()
      const parser = new FrameParser(sink)
      try {
        parser.push(bytes)
      } catch (error) {
        parser.push(encodeFrame(FrameType.heartbeat))
        return error instanceof MalformedError && sink.seen.length === 0
      }
      return sink.seen.length <= 1 + f.body.length / HEADER_BYTES
    }),
    settings
  )
  t.end()
})

t.test('lengths beyond a limit are refused on the header alone, before any memory is taken', t => {
  const cases: [number, number][] = [
    [FrameType.chunk, MAX_CHUNK_BYTES],
    [FrameType.message, MAX_MESSAGE_BYTES],
    [FrameType.grant, MAX_ID_BYTES],
    [FrameType.ack, 0],
    [FrameType.hello, 0]
  ]
  for (const [type, limit] of cases) {
    const header = new Uint8Array(HEADER_BYTES)
    for (const length of [limit + 1, 0x7fffffff, 0xffffffff]) {
      writeHeader(header, type, 1, 0, length)
      t.throws(() => new FrameParser(collector()).push(header), { name: 'MalformedError', message: /at most/ })
    }
  }
  const header = new Uint8Array(HEADER_BYTES)
  writeHeader(header, FrameType.ack, 1, 0, 0)
  header[18] = 0x40
  t.throws(() => new FrameParser(collector()).push(header), { name: 'MalformedError', message: /2\^53/ })
  writeHeader(header, FrameType.ack, 1, 0, 0)
  header[6] = 1
  t.throws(() => new FrameParser(collector()).push(header), { name: 'MalformedError', message: /reserved/ })
  for (const type of [0, 20, 255]) {
    writeHeader(header, type, 1, 0, 0)
    t.throws(() => new FrameParser(collector()).push(header), { name: 'MalformedError', message: /no frame type/ })
  }
  t.end()
})

t.test('a stopped parser takes nothing, also when it was stopped by what it told', t => {
  const sink = collector()
  const parser = new FrameParser({
    ...sink,
    frame(type, handle, value, body) {
      sink.frame(type, handle, value, body)
      parser.stop()
    }
  })
  parser.push(Buffer.concat([encodeFrame(FrameType.ack, 1), encodeFrame(FrameType.ack, 2)]))
  parser.push(encodeFrame(FrameType.ack, 3))
  t.same(
    sink.seen.map(f => f.handle),
    [1]
  )
  t.end()
})

t.test('transfer ids are 1 to 128 bytes of UTF-8', t => {
  t.equal(encodeId(''), undefined)
  t.equal(encodeId('ü'.repeat(65)), undefined)
  t.equal(encodeId('x'.repeat(129)), undefined)
  t.equal(decodeId(encodeId('ü'.repeat(64))!), 'ü'.repeat(64))
  t.throws(() => decodeId(Uint8Array.of(0xff, 0xfe)), { name: 'MalformedError' })
  t.end()
})

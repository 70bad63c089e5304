import t from 'tap'
import { createRng, GradmeshError } from '../../../common/index.ts'
import { message } from '../../../models/caffe/message.ts'
import { messageTypes } from '../../../models/caffe/schema.ts'
import { decodeMessage, encodeMessage, totalLength } from '../../../models/caffe/wire.ts'
import { plain, randomMessage } from './random.ts'

const bytesOf = (m: Parameters<typeof encodeMessage>[0]) => Buffer.concat(encodeMessage(m))

t.test('what is encoded reads back as it was', async t => {
  const seed = 31
  const rng = createRng(seed)
  for (let i = 0; i < 60; i++) {
    const made = randomMessage(rng, i < messageTypes.length ? messageTypes[i] : 'NetParameter', true)
    const bytes = bytesOf(made)
    t.equal(bytes.byteLength, totalLength(encodeMessage(made)))
    t.same(plain(decodeMessage(bytes, made.type.name, 'x')), plain(made), `seed ${seed}, case ${i}: ${made.type.name}`)
  }
})

t.test('the encoding is protobuf’s: bytes as its specification has them', async t => {
  const blob = message('BlobProto')
    .set('shape', message('BlobShape').set('dim', [1, 300]))
    .set('data', Float32Array.of(1, -2))
  t.equal(bytesOf(blob).toString('hex'), '2a080000803f000000c0' + '3a05' + '0801' + '08ac02')
  t.equal(bytesOf(message('SolverParameter').set('random_seed', -1)).toString('hex'), 'a001ffffffffffffffffff01')
  const packed = Buffer.from('3a05' + '0a03' + '01ac02' + '2d0000803f' + '2d00000040' + '2a0400004040', 'hex')
  const read = decodeMessage(packed, 'BlobProto', 'x')
  t.strictSame(read.message('shape').numbers('dim'), [1, 300], 'packed')
  t.strictSame([...read.floats('data')], [1, 2, 3], 'one by one and packed')
})

t.test('fields of other versions are skipped', async t => {
  const unknown = Buffer.from('9003ac02' + '920303616263' + '9503' + '00000000' + '9103' + '0000000000000000', 'hex')
  const read = decodeMessage(Buffer.concat([unknown, Buffer.from('0807', 'hex'), unknown]), 'SolverState', 'x')
  t.equal(read.number('iter'), 7)
  t.throws(() => decodeMessage(Buffer.from('0a0107', 'hex'), 'SolverState', 'weights'), {
    name: 'MalformedError',
    message: /^weights: .*iter/
  })
  t.throws(() => decodeMessage(Buffer.from('9303', 'hex'), 'SolverState', 'x'), { name: 'MalformedError', message: /wire type 3/ })
})

t.test('cut and damaged bytes are refused by name and byte, or read', async t => {
  const seed = 5
  const rng = createRng(seed)
  const whole = bytesOf(randomMessage(rng, 'NetParameter', true))
  let refused = 0
  for (let i = 0; i < 400; i++) {
    const bytes = Uint8Array.from(whole.subarray(0, i % 2 === 0 ? whole.length : rng.int(whole.length)))
    for (let k = rng.int(4); k >= 0 && bytes.length > 0; k--) bytes[rng.int(bytes.length)] = rng.int(256)
    try {
      decodeMessage(bytes, 'NetParameter', 'net.caffemodel')
    } catch (error) {
      refused++
      if (!(error instanceof GradmeshError) || !/^net\.caffemodel: [^\n]+ at byte \d+$/.test(error.message))
        t.fail(`seed ${seed}, case ${i}: ${error}`)
    }
  }
  t.ok(refused > 50, `seed ${seed}: ${refused} of 400 refused`)
  const huge = Buffer.from('2affffffff0f00000000', 'hex')
  const message = 'x: 4294967295 bytes are announced and 4 are left at byte 6'
  t.throws(() => decodeMessage(huge, 'BlobProto', 'x'), { name: 'MalformedError', message })
})

import t from 'tap'
import { createRng, shuffle } from '../../../common/index.ts'
import { FrameType } from '../../../mesh/bulk/frames.ts'
import { CHUNK_BYTES, MAX_QUEUED_MESSAGES, MAX_REGIONS } from '../../../mesh/bulk/limits.ts'
import { pattern, until } from './hosts.ts'
import { allSteps, channelPair, hostilePair, type Step } from './memory-pipe.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const settled = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    error => error.name as string
  )

t.test('transfers of any size in any order, both ways, cut anywhere, arrive intact', async t => {
  const rng = createRng(seed)
  const { left, right } = channelPair(rng)
  const lengths = [0, 1, 19, 20, 21, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]
  for (let i = 0; i < 30; i++) lengths.push(rng.int(200_000))
  const steps: (() => void)[] = []
  const work: Promise<void>[] = []
  const landed: { into: Uint8Array; from: Uint8Array }[] = []
  for (const [i, length] of lengths.entries()) {
    for (const [source, target] of [
      [left, right],
      [right, left]
    ]) {
      const from = pattern(length, i)
      const into = new Uint8Array(length)
      landed.push({ into, from })
      steps.push(() => work.push(source.send(`t${i}`, from)))
      steps.push(() => work.push(target.receive(`t${i}`, into)))
    }
  }
  // the receiver may be late in naming, and the sender in offering
  for (const step of shuffle(steps, rng)) {
    step()
    if (rng.int(4) === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await Promise.all(work)
  t.ok(landed.every(({ into, from }) => Buffer.compare(into, from) === 0))
  t.equal(left.statistics.transfersSent, lengths.length)
  t.equal(left.statistics.transfersReceived, lengths.length)
  t.equal(left.statistics.bytesDropped, 0)
  t.equal(left.statistics.bytesSent, right.statistics.bytesReceived)
})

t.test('a channel goes over to another lane in the middle of everything, whichever end is first', async t => {
  const rng = createRng(seed).fork('lanes')
  for (let round = 0; round < 10; round++) {
    const { left, right, leftPipe, rightPipe, move } = channelPair(rng)
    const work: Promise<void>[] = []
    const pairs: [Uint8Array, Uint8Array][] = []
    const got: number[] = []
    left.onMessage(body => got.push(body[0]))
    for (let i = 0; i < 10; i++) {
      for (const [source, target] of [
        [left, right],
        [right, left]
      ]) {
        const from = pattern(rng.int(400_000), i)
        const into = new Uint8Array(from.length)
        pairs.push([from, into])
        work.push(source.send(`t${i}`, from), target.receive(`t${i}`, into))
      }
      right.message(Uint8Array.of(i))
    }
    const waits: Step[] = Array.from({ length: rng.int(12) }, () => 'wait')
    const lanes = await move(shuffle([...waits, ...allSteps], rng))
    await Promise.all(work)
    right.message(Uint8Array.of(10))
    await until(() => got.length === 11)
    t.same(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    t.ok(pairs.every(([from, into]) => Buffer.compare(from, into) === 0))
    t.equal(leftPipe.written.at(-1)?.type, FrameType.moved, 'nothing followed on the first connection')
    t.equal(rightPipe.written.at(-1)?.type, FrameType.moved)
    t.equal(left.encryption, 'tls')
    // and what is queued at the end leaves over the lane before anything is closed
    right.message(Uint8Array.of(11))
    await right.close()
    await until(() => left.ended)
    t.equal(got.at(-1), 11)
    const all = [...Object.values(lanes), leftPipe, rightPipe]
    await until(() => all.every(pipe => pipe.ended))
  }
})

t.test('random offers, regions, cancellations and aborts: what settles is right, what was given up is never written', async t => {
  const rng = createRng(seed).fork('model')
  for (let round = 0; round < 8; round++) {
    const { left, right, leftPipe, rightPipe } = channelPair(rng)
    const ends = [
      { channel: left, pipe: leftPipe },
      { channel: right, pipe: rightPipe }
    ]
    const frozen: { region: Uint8Array; copy: Uint8Array }[] = []
    const work: Promise<unknown>[] = []
    const wrong: string[] = []
    for (let step = 0; step < 120; step++) {
      const { channel, pipe } = ends[rng.int(2)]
      const number = rng.int(6)
      const generation = `g${Math.floor(step / 30)}/`
      const id = `${generation}${number}`
      const length = [0, 10, 50_000, 262_045, 300_000, 600_000][number]
      const controller = new AbortController()
      const action = rng.int(10)
      if (action < 4) {
        const into = new Uint8Array(length)
        const promise = channel.receive(id, into, { signal: controller.signal }).then(
          () => {
            if (Buffer.compare(into, pattern(length, number)) !== 0) wrong.push(`${id} landed with other bytes`)
          },
          error => {
            if (!/^(FencedError|AbortedError|InvalidParametersError)$/.test(error.name)) wrong.push(error.message)
          }
        )
        work.push(promise.then(() => frozen.push({ region: into, copy: into.slice() })))
      } else if (action < 8) {
        const from = pattern(length, number)
        const promise = channel.send(id, from, { signal: controller.signal }).catch(error => {
          if (!/^(FencedError|AbortedError|InvalidParametersError)$/.test(error.name)) wrong.push(error.message)
        })
        // a settled send's buffer is the caller's again
        work.push(promise.then(() => from.fill(0xee)))
      } else if (action === 8) {
        const given = generation
        channel.cancel(id => id.startsWith(given))
      } else {
        pipe.full = !pipe.full
        if (!pipe.full) pipe.drain()
      }
      const when = rng.int(8)
      if (when === 0) controller.abort()
      if (when === 1) setImmediate(() => controller.abort())
      if (rng.int(3) === 0) await new Promise(resolve => setImmediate(resolve))
    }
    for (const { pipe } of ends) pipe.drain()
    for (const { channel } of ends) channel.cancel(() => true)
    await Promise.all(work)
    await until(() => leftPipe.buffered + rightPipe.buffered === 0)
    for (const { region, copy } of frozen) if (Buffer.compare(region, copy) !== 0) wrong.push('a region was written after it settled')
    for (const { channel, pipe } of ends) if (pipe.ended) wrong.push(`the channel to ${channel.peer} ended: ${pipe.ended}`)
    // nothing is left behind on either side: every region of the limit can be named again
    const into = new Uint8Array(1)
    const regions = Array.from({ length: MAX_REGIONS }, (_, i) => settled(left.receive(`end${i}`, into)))
    await right.send('end0', into)
    left.cancel(() => true)
    await Promise.all(regions)
    t.same(wrong, [], `round ${round}`)
  }
})

t.test('cancelled in the middle, then the same buffers in a new generation: no late byte lands', async t => {
  const { left, right, leftPipe } = channelPair()
  const old = pattern(2_000_000, 1)
  const from = old.slice()
  const into = new Uint8Array(from.length)
  const sent = settled(left.send('g1', from))
  const received = settled(right.receive('g1', into))
  await until(() => right.statistics.bytesReceived > 300_000)
  right.cancel(id => id === 'g1')
  t.equal(await received, 'FencedError')
  into.fill(0)
  await until(() => leftPipe.buffered === 0)
  t.equal(await sent, 'FencedError', 'the sender is told that the peer abandoned it')
  t.ok(right.statistics.bytesDropped > 0, 'chunks were under way')
  t.ok(
    into.every(byte => byte === 0),
    'and did not land'
  )
  pattern(from.length, 2, from)
  await Promise.all([left.send('g2', from), right.receive('g2', into)])
  t.equal(Buffer.compare(into, from), 0)
})

t.test('a sender that cancels may use its buffer at once: nothing of its new content is taken for the old transfer', async t => {
  const { left, right, leftPipe } = channelPair()
  const from = pattern(CHUNK_BYTES, 1)
  const into = new Uint8Array(from.length)
  const received = settled(right.receive('g1', into))
  const sent = settled(left.send('g1', from))
  await until(() => leftPipe.written.some(frame => frame.type === FrameType.chunk))
  left.cancel(() => true)
  from.fill(0)
  t.equal(await sent, 'FencedError')
  if ((await received) === 'resolved') t.equal(Buffer.compare(into, pattern(CHUNK_BYTES, 1)), 0)
})

t.test('a signal ends either side of a transfer and frees its id', async t => {
  const { left, right } = channelPair()
  const from = pattern(1_000_000, 3)
  const into = new Uint8Array(from.length)
  await t.rejects(left.send('x', from, { signal: AbortSignal.abort() }), { name: 'AbortedError' })
  const late = new AbortController()
  const waiting = settled(left.send('x', from, { signal: late.signal }))
  late.abort()
  t.equal(await waiting, 'AbortedError')
  const mid = new AbortController()
  const received = settled(right.receive('x', into))
  const sending = settled(left.send('x', from, { signal: mid.signal }))
  await until(() => right.statistics.bytesReceived > 300_000)
  mid.abort()
  t.equal(await sending, 'AbortedError')
  t.equal(await received, 'FencedError')
  await Promise.all([left.send('x', from), right.receive('x', into)])
  t.equal(Buffer.compare(into, from), 0)
})

t.test('a receiver that names nothing costs the sender nothing; a full transport gets no further chunk', async t => {
  const { left, right, leftPipe } = channelPair()
  const from = new Uint8Array(50_000_000)
  const sent = left.send('big', from)
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  t.same(leftPipe.written, [])
  const into = new Uint8Array(from.length)
  const received = right.receive('big', into)
  await until(() => leftPipe.written.length > 0)
  leftPipe.full = true
  const before = leftPipe.written.length
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  t.equal(leftPipe.written.length, before)
  leftPipe.drain()
  await Promise.all([sent, received])
})

t.test('a message waits for one chunk at most', async t => {
  const { left, right, leftPipe } = channelPair()
  const from = new Uint8Array(50_000_000)
  const work = [left.send('big', from), right.receive('big', new Uint8Array(from.length))]
  const got: number[] = []
  right.onMessage(body => got.push(body[0]))
  for (let i = 0; i < 10; i++) {
    const at = leftPipe.written.length
    left.message(Uint8Array.of(i))
    await until(() => leftPipe.written.filter(frame => frame.type === FrameType.message).length === i + 1)
    const place = leftPipe.written.findIndex((frame, index) => index >= at && frame.type === FrameType.message)
    t.ok(place - at <= 1, `message ${i} went after ${place - at} chunks`)
  }
  await until(() => got.length === 10)
  t.same(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'in order')
  t.ok(right.statistics.bytesReceived < from.length, 'and before the transfer was over')
  await Promise.all(work)
})

t.test('messages keep order, and transfers go on beside a flood of them', async t => {
  const { left, right } = channelPair(createRng(seed).fork('flood'))
  const bodies: number[] = []
  right.onMessage(body => bodies.push(Buffer.from(body).readUInt32LE()))
  let number = 0
  let flooding = true
  const flood = () => {
    try {
      for (;;) {
        const body = Buffer.alloc(30_000)
        body.writeUInt32LE(number)
        left.message(body)
        number++
      }
    } catch (error) {
      t.match(error, { name: 'OverloadedError' })
    }
    if (flooding) setImmediate(flood)
  }
  flood()
  const from = pattern(3_000_000, 7)
  const into = new Uint8Array(from.length)
  await Promise.all([left.send('x', from), right.receive('x', into)])
  flooding = false
  t.equal(Buffer.compare(into, from), 0)
  await until(() => bodies.length === number)
  t.ok(bodies.every((value, i) => value === i))
})

t.test('the queue of messages is bounded, and so is what waits for a first listener', async t => {
  const { left, right, leftPipe, rightPipe } = channelPair()
  leftPipe.full = true
  for (let i = 0; i < MAX_QUEUED_MESSAGES; i++) left.message(Uint8Array.of(i))
  t.throws(() => left.message(Uint8Array.of(0)), { name: 'OverloadedError', retryable: true })
  t.throws(() => left.message(new Uint8Array(65_537)), { name: 'TooLargeError' })
  leftPipe.drain()
  await until(() => rightPipe.paused)
  t.equal(right.statistics.messagesReceived, MAX_QUEUED_MESSAGES)
  const got: number[] = []
  const remove = right.onMessage(body => got.push(body[0]))
  t.equal(rightPipe.paused, false)
  t.same(
    got,
    Array.from({ length: MAX_QUEUED_MESSAGES }, (_, i) => i % 256)
  )
  remove()
})

t.test('what the caller asks wrongly is refused without harm to the channel', async t => {
  const { left, right } = channelPair()
  const bytes = new Uint8Array(10)
  for (const id of ['', 'x'.repeat(129)]) {
    await t.rejects(left.send(id, bytes), { name: 'InvalidParametersError' })
    await t.rejects(left.receive(id, bytes), { name: 'InvalidParametersError' })
  }
  const first = settled(left.send('twice', bytes))
  await t.rejects(left.send('twice', bytes), { name: 'InvalidParametersError', message: /already/ })
  const named = settled(left.receive('twice', bytes))
  await t.rejects(left.receive('twice', bytes), { name: 'InvalidParametersError', message: /already/ })
  left.cancel(() => true)
  t.same([await first, await named], ['FencedError', 'FencedError'])
  const regions = Array.from({ length: MAX_REGIONS }, (_, i) => settled(left.receive(`r${i}`, bytes)))
  await t.rejects(left.receive('more', bytes), { name: 'OverloadedError' })
  const offers = Array.from({ length: MAX_REGIONS }, (_, i) => settled(left.send(`s${i}`, bytes)))
  await t.rejects(left.send('more', bytes), { name: 'OverloadedError' })
  left.cancel(() => true)
  await Promise.all([...regions, ...offers])
  await Promise.all([right.send('still', bytes), left.receive('still', bytes)])
})

t.test('two ends that disagree on a length both learn it, and the channel goes on', async t => {
  const { left, right } = channelPair()
  const sent = left.send('x', new Uint8Array(11))
  const received = right.receive('x', new Uint8Array(10))
  await t.rejects(sent, { name: 'MalformedError', message: /named 10 bytes for transfer x, which has 11/ })
  await t.rejects(received, { name: 'MalformedError', message: /has 11 bytes for transfer x, the region named has 10/ })
  await Promise.all([left.send('x', new Uint8Array(10)), right.receive('x', new Uint8Array(10))])
})

t.test('a buffer that was handed to another thread meanwhile rejects its own transfer only', async t => {
  const { left, right } = channelPair()
  const into = new Uint8Array(1_000_000)
  const received = settled(right.receive('x', into))
  const sent = settled(left.send('x', new Uint8Array(1_000_000)))
  await until(() => right.statistics.bytesReceived > 300_000)
  structuredClone(into.buffer, { transfer: [into.buffer] })
  t.equal(await received, 'InvalidParametersError')
  t.equal(await sent, 'FencedError')
  const from = new Uint8Array(1_000_000)
  const receiving = settled(right.receive('y', new Uint8Array(1_000_000)))
  const sending = settled(left.send('y', from))
  await until(() => right.statistics.bytesReceived > 1_500_000)
  structuredClone(from.buffer, { transfer: [from.buffer] })
  t.equal(await sending, 'InvalidParametersError')
  t.equal(await receiving, 'FencedError')
  await Promise.all([left.send('z', new Uint8Array(0)), right.receive('z', new Uint8Array(0))])
})

t.test('closing rejects what is under way, lets messages leave, and tells the other side', async t => {
  const { left, right } = channelPair()
  const got: string[] = []
  right.onMessage(body => got.push(Buffer.from(body).toString()))
  const closes: unknown[] = []
  right.onClose(error => closes.push(error))
  left.onClose(error => closes.push(error))
  const work = [left.send('a', new Uint8Array(5)), left.receive('b', new Uint8Array(5)), right.send('c', new Uint8Array(5))].map(settled)
  left.message(Buffer.from('bye'))
  await left.close()
  t.same(await Promise.all(work), ['UnreachableError', 'UnreachableError', 'UnreachableError'])
  await until(() => closes.length === 2)
  t.same(got, ['bye'])
  t.same(closes, [undefined, undefined])
  await t.rejects(left.send('d', new Uint8Array(1)), { name: 'UnreachableError' })
  await t.rejects(right.receive('d', new Uint8Array(1)), { name: 'UnreachableError' })
  t.throws(() => right.message(new Uint8Array(1)), { name: 'UnreachableError' })
  await left.close()
})

t.test('a lane that breaks ends the channel; one that comes too late is not used', async t => {
  const { left, right, leftPipe, rightPipe, move } = channelPair()
  const { leftIn } = await move([...allSteps, 'wait', 'wait', 'wait'])
  const late = await move(allSteps)
  t.ok(Object.values(late).every(pipe => pipe.ended))
  await Promise.all([left.send('x', new Uint8Array(5)), right.receive('x', new Uint8Array(5))])
  const waiting = settled(left.receive('y', new Uint8Array(5)))
  leftIn.end(new Error('connection reset'))
  t.equal(await waiting, 'UnreachableError')
  await until(() => right.ended)
  t.ok(leftPipe.ended && rightPipe.ended)
})

t.test('a connection that breaks rejects everything at once with UnreachableError', async t => {
  const { channel, vanish } = hostilePair()
  let closed: Error | undefined
  channel.onClose(error => {
    closed = error
  })
  const work = [channel.send('a', new Uint8Array(5)), channel.receive('b', new Uint8Array(5))].map(settled)
  vanish()
  t.same(await Promise.all(work), ['UnreachableError', 'UnreachableError'])
  t.match(closed, { name: 'UnreachableError', message: /connection reset/ })
})

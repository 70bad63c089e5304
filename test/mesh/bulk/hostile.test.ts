import t from 'tap'
import { createRng } from '../../../common/index.ts'
import { encodeFrame, FrameType } from '../../../mesh/bulk/frames.ts'
import { HEADER_BYTES, MAX_QUEUED_CONTROL_BYTES, MAX_REGIONS } from '../../../mesh/bulk/limits.ts'
import { until } from './hosts.ts'
import { hostilePair } from './memory-pipe.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const settled = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    error => error.name as string
  )

type Hostile = ReturnType<typeof hostilePair>

/** Runs `attack` against a channel with one region of 100 bytes named, as handle 1, inside a larger buffer. */
async function attacked(attack: (hostile: Hostile) => void) {
  const hostile = hostilePair()
  let closed: Error | undefined
  hostile.channel.onClose(error => {
    closed = error
  })
  const memory = new Uint8Array(300).fill(0xaa)
  const received = settled(hostile.channel.receive('region', memory.subarray(100, 200)))
  await until(() => hostile.seen.length === 1)
  attack(hostile)
  await until(() => closed !== undefined)
  return { closed, memory, received: await received, ended: hostile.pipe.ended }
}

t.test('whatever a peer writes beyond what was named for it ends the channel, and nothing of it lands', async t => {
  const bytes = (n: number) => new Uint8Array(n).fill(0x55)
  const attacks: Record<string, { attack: (h: Hostile) => void; says: RegExp; landed?: number }> = {
    'a chunk longer than the region': { attack: h => h.say(FrameType.chunk, 1, 0, bytes(101)), says: /sent 101 bytes .* has 100/ },
    'a chunk past its end': {
      attack: h => {
        h.say(FrameType.chunk, 1, 0, bytes(60))
        h.say(FrameType.chunk, 1, 60, bytes(41))
      },
      says: /sent 101 bytes/,
      landed: 60
    },
    'a chunk not in order': { attack: h => h.say(FrameType.chunk, 1, 50, bytes(10)), says: /byte 50 .* where byte 0 follows/ },
    'the same bytes twice': {
      attack: h => {
        h.say(FrameType.chunk, 1, 0, bytes(10))
        h.say(FrameType.chunk, 1, 0, bytes(10))
      },
      says: /byte 0 .* where byte 10 follows/,
      landed: 10
    },
    'an offset beyond 2^52': { attack: h => h.say(FrameType.chunk, 1, 2 ** 52, bytes(10)), says: /where byte 0 follows/ },
    'a handle that was never given': { attack: h => h.say(FrameType.chunk, 2, 0, bytes(10)), says: /handle 2, which names no region/ },
    'an empty chunk': { attack: h => h.say(FrameType.chunk, 1, 0), says: /empty chunk/ },
    'a chunk announced as 4 GiB': { attack: h => h.sayHeader(FrameType.chunk, 1, 0, 0xffffffff), says: /4294967295 bytes, at most 262144/ },
    'a message announced as 64 KiB + 1': { attack: h => h.sayHeader(FrameType.message, 0, 0, 65_537), says: /at most 65536/ },
    'a frame of no type': { attack: h => h.say(99), says: /no frame type 99/ },
    'a second greeting': { attack: h => h.say(FrameType.hello, 0, 1), says: /type 1 on an open channel/ },
    'an offer of a lane that nobody asked for': { attack: h => h.say(FrameType.offer), says: /offered a lane/ },
    'two moves to a lane': {
      attack: h => h.raw(Buffer.concat([encodeFrame(FrameType.moved), encodeFrame(FrameType.moved)])),
      says: /moved to another lane twice/
    },
    'bytes over a connection it has left': {
      attack: h => {
        h.say(FrameType.moved)
        h.say(FrameType.chunk, 1, 0, bytes(10))
      },
      says: /over a connection that it had left/
    },
    'an answer to no revocation': { attack: h => h.say(FrameType.done, 1), says: /revocation of handle 1 that was not made/ },
    'another length after it began': {
      attack: h => {
        h.say(FrameType.chunk, 1, 0, bytes(10))
        h.say(FrameType.mismatch, 1, 20)
      },
      says: /changed the length/,
      landed: 10
    },
    'an id that is not UTF-8': { attack: h => h.say(FrameType.grant, 1, 1, Uint8Array.of(0xff)), says: /not UTF-8/ },
    'two regions for one id': {
      attack: h => {
        h.say(FrameType.grant, 1, 5, Buffer.from('x'))
        h.say(FrameType.grant, 2, 5, Buffer.from('x'))
      },
      says: /two regions for transfer x/
    },
    'two regions with one handle': {
      attack: h => {
        h.say(FrameType.grant, 1, 5, Buffer.from('x'))
        h.say(FrameType.grant, 1, 5, Buffer.from('y'))
      },
      says: /two regions with handle 1/
    },
    'more regions than the bound': {
      attack: h => {
        for (let i = 0; i <= MAX_REGIONS; i++) h.say(FrameType.grant, i, 5, Buffer.from(`x${i}`))
      },
      says: /more than 4096/
    },
    'an acknowledgement of what was not sent': {
      attack: h => {
        void settled(h.channel.send('x', new Uint8Array(0)))
        h.raw(Buffer.concat([encodeFrame(FrameType.grant, 7, 0, Buffer.from('x')), encodeFrame(FrameType.ack, 7)]))
      },
      says: /acknowledged transfer x/
    }
  }
  for (const [name, { attack, says, landed = 0 }] of Object.entries(attacks)) {
    const { closed, memory, received, ended } = await attacked(attack)
    t.match(closed, { name: 'MalformedError', message: says }, name)
    t.equal(received, 'MalformedError', `${name}: the region is given back`)
    t.ok(ended instanceof Error, `${name}: the connection is cut`)
    t.ok(
      memory.every((byte, i) => byte === (i >= 100 && i < 100 + landed ? 0x55 : 0xaa)),
      `${name}: only asked-for bytes were written`
    )
  }
})

t.test('garbage after a good greeting ends the channel', async t => {
  const rng = createRng(seed)
  for (let i = 0; i < 50; i++) {
    const garbage = Uint8Array.from({ length: HEADER_BYTES + rng.int(200) }, () => rng.int(256))
    garbage[5] |= 1
    const { closed } = await attacked(h => h.raw(garbage))
    t.match(closed, { name: 'MalformedError' })
  }
})

t.test('chunks of a cancelled region are dropped until the peer says it stopped; after that they are hostile', async t => {
  const { channel, say, seen } = hostilePair()
  let closed: Error | undefined
  channel.onClose(error => {
    closed = error
  })
  const memory = new Uint8Array(100)
  const received = settled(channel.receive('g1/x', memory))
  await until(() => seen.length === 1)
  say(FrameType.chunk, 1, 0, new Uint8Array(10).fill(1))
  await until(() => memory[9] === 1)
  channel.cancel(id => id.startsWith('g1/'))
  t.equal(await received, 'FencedError')
  say(FrameType.chunk, 1, 10, new Uint8Array(10).fill(2))
  say(FrameType.chunk, 1, 99_999, new Uint8Array(10).fill(2))
  await until(() => channel.statistics.bytesDropped === 20)
  t.equal(memory[10], 0)
  t.equal(closed, undefined)
  t.match(seen.at(-1), { type: FrameType.revoke, handle: 1 })
  say(FrameType.done, 1)
  say(FrameType.chunk, 1, 10, new Uint8Array(10).fill(3))
  await until(() => closed !== undefined)
  t.match(closed, { name: 'MalformedError', message: /names no region/ })
  t.equal(memory[10], 0)
})

t.test('a region cancelled while a chunk is half in takes none of the other half', async t => {
  const { channel, raw, seen } = hostilePair()
  const memory = new Uint8Array(100)
  const received = settled(channel.receive('x', memory))
  await until(() => seen.length === 1)
  const frame = encodeFrame(FrameType.chunk, 1, 0, new Uint8Array(100).fill(1))
  raw(frame.subarray(0, 70))
  await until(() => memory[49] === 1)
  channel.cancel(() => true)
  raw(frame.subarray(70))
  await until(() => channel.statistics.bytesDropped === 50)
  t.equal(await received, 'FencedError')
  t.equal(memory[50], 0)
})

t.test('a peer that makes us answer and does not read is cut off at a bound', async t => {
  const { channel, pipe, raw } = hostilePair()
  let closed: Error | undefined
  channel.onClose(error => {
    closed = error
  })
  pipe.full = true
  const pairs = Array.from({ length: 1000 }, () => [encodeFrame(FrameType.grant, 1, 5, Buffer.from('x')), encodeFrame(FrameType.revoke, 1)])
  const burst = Buffer.concat(pairs.flat())
  const enough = Math.ceil(MAX_QUEUED_CONTROL_BYTES / HEADER_BYTES / 1000) + 1
  for (let i = 0; i < enough; i++) raw(burst)
  await until(() => closed !== undefined)
  t.match(closed, { name: 'OverloadedError', message: /does not read/ })
})

t.test('a peer that falls silent is taken for gone; one that only has nothing to say is not', async t => {
  let now = 0
  const timers: { at: number; callback: () => void }[] = []
  const clock = {
    now: () => now,
    setTimer(delay: number, callback: () => void) {
      const timer = { at: now + delay, callback }
      timers.push(timer)
      return () => {
        timers.splice(timers.indexOf(timer), 1)
      }
    }
  }
  const advance = (milliseconds: number) => {
    now += milliseconds
    for (const timer of timers.splice(0)) {
      if (timer.at <= now) timer.callback()
      else timers.push(timer)
    }
  }
  const { channel, say, seen } = hostilePair({ clock, heartbeatInterval: 1000, silenceTimeout: 5000 })
  let closed: Error | undefined
  channel.onClose(error => {
    closed = error
  })
  for (let i = 0; i < 20; i++) {
    advance(1000)
    say(FrameType.heartbeat)
    await until(() => channel.statistics.bytesReceived === (i + 1) * HEADER_BYTES)
  }
  t.equal(closed, undefined)
  t.ok(seen.length >= 19 && seen.every(frame => frame.type === FrameType.heartbeat), 'and we tell it that we live')
  // this process stood still: that says nothing of the peer
  advance(60_000)
  t.equal(closed, undefined)
  const waiting = settled(channel.send('x', new Uint8Array(1)))
  for (let i = 0; i < 6; i++) advance(1000)
  t.match(closed, { name: 'UnreachableError', message: /nothing came for 6 s/ })
  t.equal(await waiting, 'UnreachableError')
})

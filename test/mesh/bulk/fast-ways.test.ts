import t from 'tap'
import { createRng } from '../../../common/index.ts'
import type { FastWay } from '../../../mesh/bulk/boarding.ts'
import { fastWays } from '../../../mesh/bulk/index.ts'
import type { RingEvents, RingLink } from '../../../mesh/bulk/ring-link.ts'
import { shmWay } from '../../../mesh/bulk/shm.ts'
import { createPair, pattern, until } from './hosts.ts'

const here = shmWay()
const skip = 'absent' in here && `no shared memory here: ${here.absent}`

function shm(identity?: string): FastWay {
  const way = shmWay(identity, 1 << 20)
  if ('absent' in way) throw new Error(way.absent)
  return way
}

/** A way whose links break when `broken` says so, before or after what they were asked. */
function brittle(way: FastWay, broken: (call: string) => boolean): FastWay {
  return {
    ...way,
    async begin(peer, first) {
      const attempt = await way.begin(peer, first)
      return {
        details: attempt.details,
        abandon: () => attempt.abandon(),
        async complete(theirs, signal) {
          const link = await attempt.complete(theirs, signal)
          if (broken('complete')) {
            link.close()
            throw new Error('the probe failed')
          }
          return new BrittleLink(link, broken)
        }
      }
    }
  }
}

class BrittleLink implements RingLink {
  readonly out: Uint8Array
  readonly in: Uint8Array
  readonly #link: RingLink
  readonly #broken: (call: string) => boolean

  constructor(link: RingLink, broken: (call: string) => boolean) {
    this.#link = link
    this.#broken = broken
    this.out = link.out
    this.in = link.in
  }

  #check(call: string): void {
    if (this.#broken(call)) throw new Error(`the link broke in ${call}`)
  }

  start(events: RingEvents): void {
    this.#link.start(events)
  }

  publish(head: number): void {
    this.#check('before publish')
    this.#link.publish(head)
    this.#check('after publish')
  }

  consume(position: number): void {
    this.#link.consume(position)
    this.#check('consume')
  }

  peerHead(): number {
    return this.#link.peerHead()
  }

  peerConsumed(): number {
    return this.#link.peerConsumed()
  }

  starve(yes: boolean): void {
    this.#link.starve(yes)
  }

  close(): void {
    this.#link.close()
  }
}

interface Checks {
  equal(a: unknown, b: unknown, says: string): boolean
  same(a: unknown, b: unknown, says: string): boolean
}

/** Transfers both ways and numbered messages at once, all checked. */
async function exercise(t: Checks, pair: Awaited<ReturnType<typeof createPair>>, sizes: number[], round: number): Promise<void> {
  const got: [number[], number[]] = [[], []]
  const stop = [pair.left, pair.right].map((channel, side) =>
    channel.onMessage(body => got[side].push(new DataView(body.buffer, body.byteOffset).getUint32(0)))
  )
  const work: Promise<void>[] = []
  for (const [i, size] of sizes.entries()) {
    for (const [from, to, way] of [
      [pair.left, pair.right, 'lr'],
      [pair.right, pair.left, 'rl']
    ] as const) {
      const id = `${round}.${i}.${way}`
      const sent = pattern(size, i + round * 100)
      const into = new Uint8Array(size)
      work.push(
        from.send(id, sent),
        to.receive(id, into).then(() => void t.equal(Buffer.compare(into, sent), 0, `transfer ${id} of ${size} bytes is whole`))
      )
      const body = new Uint8Array(4)
      new DataView(body.buffer).setUint32(0, i)
      from.message(body)
    }
  }
  await Promise.all(work)
  await until(() => got[0].length === sizes.length && got[1].length === sizes.length)
  for (const messages of got)
    t.same(
      messages,
      sizes.map((_, i) => i),
      'messages came once, in order'
    )
  for (const callback of stop) callback()
}

t.test('two trainers of one host go over to shared memory, and all kinds of transfers arrive', { skip }, async t => {
  const pair = await createPair({ ways: [shm()] })
  t.teardown(() => pair.stop())
  await until(() => pair.left.kind === 'shm' && pair.right.kind === 'shm')
  t.equal(pair.left.encryption, 'none')
  await exercise(t, pair, [0, 1, 7, 4096, 262_043, 262_044, 262_045, 1_000_003, 5_000_000], 1)
  // larger than the ring, one way, while nothing else goes
  const sent = pattern(9_000_000, 3)
  const into = new Uint8Array(sent.length)
  await Promise.all([pair.right.receive('large', into), pair.left.send('large', sent)])
  t.equal(Buffer.compare(into, sent), 0)
  t.ok(pair.left.statistics.bytesSent > sent.length, 'what went by shared memory is counted')
})

t.test('messages queued before a close arrive over shared memory', { skip }, async t => {
  const pair = await createPair({ ways: [shm()] })
  t.teardown(() => pair.stop())
  await until(() => pair.left.kind === 'shm')
  let count = 0
  pair.right.onMessage(() => count++)
  for (let i = 0; i < 100; i++) pair.left.message(new Uint8Array(1000))
  const closed = new Promise<Error | undefined>(resolve => pair.right.onClose(resolve))
  await pair.left.close()
  t.equal(await closed, undefined)
  t.equal(count, 100)
})

t.test('trainers of different hosts stay on the stream, and so do those that were told to', { skip }, async t => {
  const [pair, plain] = await Promise.all([createPair({ ways: [shm('a')] }), createPair({ ways: [] })])
  t.teardown(() => Promise.all([pair.stop(), plain.stop()]))
  const other = shm('b')
  t.notOk(shm('a').suits(other.proposal))
  await exercise(t, plain, [1000, 300_000], 1)
  t.equal(plain.left.kind, 'stream')
})

t.test('a transfer goes on over the stream from the first frame that was not taken, wherever shared memory breaks', { skip }, async t => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.comment('seed', seed)
  const rng = createRng(seed)
  for (const call of ['complete', 'before publish', 'after publish', 'consume']) {
    for (let round = 0; round < 2; round++) {
      let calls = call === 'complete' ? 0 : rng.int(30)
      let side = 0
      const fails: string[] = []
      const way = brittle(shm(), at => at === call && calls-- === 0)
      const pair = await createPair({
        ways: [way],
        onTravel: (_peer, kind, reason) => {
          if (reason) fails.push(`${side++} ${kind} ${reason.message}`)
        }
      })
      try {
        await exercise(t, pair, [400_000, 3_000_000, 17, 0, 2_000_000], 1)
        await until(() => fails.length === 2)
        t.match(fails[0], call === 'complete' ? /probe failed/ : /the link broke/)
        t.match(fails[1], /gave shm up/)
        await exercise(t, pair, [100_000], 2)
        t.same([pair.left.kind, pair.right.kind], ['stream', 'stream'])
        t.equal(pair.left.statistics.transfersSent, 6, 'each transfer counts once')
        t.equal(pair.right.statistics.transfersReceived, 6)
      } finally {
        await pair.stop()
      }
    }
  }
})

t.test('when one fast way fails the next is taken', { skip }, async t => {
  let calls = 5
  const pair = await createPair({ ways: [brittle(shm(), at => at === 'before publish' && calls-- === 0), { ...shm(), kind: 'rdma' }] })
  t.teardown(() => pair.stop())
  await exercise(t, pair, [2_000_000, 1_000_000], 1)
  await until(() => pair.left.kind === 'rdma' && pair.right.kind === 'rdma')
  await exercise(t, pair, [2_000_000], 2)
})

t.test('a way that is not allowed is not tried', async t => {
  t.same(await fastWays(['stream']), [])
  t.same(
    (await fastWays(['shm'])).map(way => way.kind),
    skip ? [] : ['shm']
  )
})

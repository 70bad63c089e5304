/** The channel between two processes over this machine's RDMA: transfers both ways, messages, then a transfer during which the link goes. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type BulkChannel, fastWays } from '../../mesh/bulk/index.ts'
import { createTrainer, pattern, until } from '../mesh/bulk/hosts.ts'

const child = process.argv[2] === 'child'
const told: string[] = []

async function open() {
  const ways = await fastWays(['rdma'])
  if (ways.length === 0) throw new Error('there is no RDMA here')
  return await createTrainer({
    ways,
    onTravel: (_peer, kind, reason) =>
      told.push(reason === undefined ? `${process.pid} goes by ${kind}` : `${process.pid} left: ${reason.message}`)
  })
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

type Order = { receive: string; size: number } | { send: string; size: number; seed: number } | { kind: true }

async function serve(): Promise<void> {
  const trainer = await open()
  let channel: BulkChannel | undefined
  trainer.endpoint.onChannel(opened => {
    channel = opened
    opened.onMessage(body => opened.message(body))
  })
  process.on('disconnect', () => process.exit(0))
  process.on('message', async (order: Order) => {
    if ('kind' in order) process.send?.({ kind: channel?.kind, told })
    else if ('receive' in order) {
      const into = new Uint8Array(order.size)
      await channel!.receive(order.receive, into)
      process.send?.({ digest: digest(into) })
    } else {
      await channel!.send(order.send, pattern(order.size, order.seed))
      process.send?.({})
    }
  })
  process.send?.({ peer: trainer.peer, endpoints: trainer.endpoint.endpoints() })
}

async function ask(other: ChildProcess, order: Order): Promise<any> {
  const answer = once(other, 'message')
  other.send(order)
  return (await answer)[0]
}

function check(holds: boolean, what: string): void {
  console.log(`${holds ? 'ok' : 'not ok'} - ${what}`)
  if (!holds) process.exitCode = 1
}

async function main(): Promise<void> {
  const other = fork(import.meta.filename, ['child'])
  const [{ peer, endpoints }] = (await once(other, 'message')) as [{ peer: string; endpoints: string[] }]
  const trainer = await open()
  const channel = await trainer.endpoint.connect(peer, endpoints)
  await until(() => channel.kind === 'rdma' || told.some(line => line.includes('left')))
  check(channel.kind === 'rdma', `two processes exchange by RDMA (${told.join('; ')})`)
  for (const size of [1, 4096, 262_045, 4_000_000]) {
    const sent = pattern(size, size)
    const [answer] = await Promise.all([ask(other, { receive: `out${size}`, size }), channel.send(`out${size}`, sent)])
    check(answer.digest === digest(sent), `${size} bytes arrived whole`)
    const into = new Uint8Array(size)
    await Promise.all([ask(other, { send: `back${size}`, size, seed: 5 }), channel.receive(`back${size}`, into)])
    check(digest(into) === digest(pattern(size, 5)), `${size} bytes came back whole`)
  }
  const echoes: number[] = []
  const times: number[] = []
  const body = new Uint8Array(8)
  let next = () => {}
  channel.onMessage(() => next())
  for (let i = 0; i < 200; i++) {
    const start = performance.now()
    await new Promise<void>(resolve => {
      next = resolve
      channel.message(body)
    })
    times.push(performance.now() - start)
    echoes.push(i)
  }
  const sorted = times.toSorted((a, b) => a - b)
  check(echoes.length === 200, `200 messages were echoed (median ${(sorted[100]! * 1000).toFixed(0)} µs on an emulated processor)`)
  if (process.argv[2] === 'cut') await cut(other, channel)
  other.disconnect()
  await trainer.stop()
  process.exit()
}

/** The device goes while bytes are under way. */
async function cut(other: ChildProcess, channel: BulkChannel): Promise<void> {
  const size = 12_000_000
  const sent = pattern(size, 9)
  const before = channel.statistics.bytesSent
  const work = Promise.all([ask(other, { receive: 'cut', size }), channel.send('cut', sent)])
  await until(() => channel.statistics.bytesSent - before > 2_000_000)
  const start = performance.now()
  spawn('rdma', ['link', 'delete', 'rxe0'], { stdio: 'ignore' })
  spawn('ip', ['link', 'set', 'dummy0', 'down'], { stdio: 'ignore' })
  const [answer] = await work
  check(
    answer.digest === digest(sent),
    `the transfer under way when the link was removed arrived whole after ${((performance.now() - start) / 1000).toFixed(1)} s`
  )
  check(channel.kind === 'stream', `it went on over the stream (${told.join('; ')})`)
}

await (child ? serve() : main())

/**
 * Speed of the bulk channel between two processes on loopback, each a libp2p host of its own as a trainer has.
 *
 *   node bench/bulk.ts [--sizes 1,4,26,100] [--repeats 7] [--over tls|noise] [--json]
 *
 * One way: A sends. Both ways: each sends to the other, as in a ring; the figure is the sum. GB are 10⁹ bytes. CPU is user and system
 * time of both processes together. Delay is the event loop's, the worse of the two processes, at a resolution of 1 ms.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { type BulkChannel, createBulkEndpoint } from '../mesh/bulk/index.ts'

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1,4,26,100' },
    repeats: { type: 'string', default: '7' },
    over: { type: 'string', default: 'tls' },
    json: { type: 'boolean', default: false },
    peer: { type: 'boolean', default: false }
  }
})

/** What the parent tells the peer process to do. */
type Order =
  | { do: 'hello'; peer: string; endpoints: string[] }
  | { do: 'run'; name: string; bytes: number; send: boolean; receive: boolean }
  | { do: 'messages' }
  | { do: 'reset' }
  | { do: 'figures' }

interface Figures {
  cpuMilliseconds: number
  delayP99: number
  delayMax: number
}

function createHost(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false }
  })
}

const delay = monitorEventLoopDelay({ resolution: 1 })
let cpuStart = process.cpuUsage()

function reset(): void {
  delay.reset()
  delay.enable()
  cpuStart = process.cpuUsage()
}

function figures(): Figures {
  const cpu = process.cpuUsage(cpuStart)
  return { cpuMilliseconds: (cpu.user + cpu.system) / 1000, delayP99: delay.percentile(99) / 1e6, delayMax: delay.max / 1e6 }
}

const buffers = new Map<string, Uint8Array>()

function buffer(kind: string, bytes: number): Uint8Array {
  let found = buffers.get(kind)
  if (!found || found.length < bytes) {
    found = new Uint8Array(new SharedArrayBuffer(bytes)).fill(kind.length)
    buffers.set(kind, found)
  }
  return found.subarray(0, bytes)
}

/** One measurement at this end; `name` is the same at the other. */
async function run(channel: BulkChannel, name: string, bytes: number, send: boolean, receive: boolean): Promise<void> {
  const work: Promise<void>[] = []
  const [out, back] = values.peer ? ['b', 'a'] : ['a', 'b']
  if (receive) work.push(channel.receive(name + back, buffer('into', bytes)))
  if (send) work.push(channel.send(name + out, buffer('from', bytes)))
  await Promise.all(work)
}

async function servePeer(): Promise<void> {
  const host = await createHost()
  const endpoint = createBulkEndpoint(host, { lanes: values.over === 'tls' })
  endpoint.allow(() => true)
  let channel: BulkChannel
  process.on('disconnect', () => process.exit(0))
  process.on('message', async (order: Order) => {
    if (order.do === 'hello') {
      channel = await endpoint.connect(order.peer, order.endpoints)
      while (values.over === 'tls' && channel.encryption !== 'tls') await new Promise(resolve => setTimeout(resolve, 5))
    } else if (order.do === 'run') await run(channel, order.name, order.bytes, order.send, order.receive)
    else if (order.do === 'messages') channel.onMessage(body => channel.message(body))
    else if (order.do === 'reset') reset()
    process.send?.(order.do === 'figures' ? figures() : {})
  })
  process.send?.({})
}

function ask(child: ChildProcess, order: Order): Promise<any> {
  return new Promise(resolve => {
    child.once('message', resolve)
    child.send(order)
  })
}

function median(samples: number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

async function main(): Promise<void> {
  const child = fork(import.meta.filename, [...process.argv.slice(2), '--peer'])
  await new Promise(resolve => child.once('message', resolve))
  const host = await createHost()
  const endpoint = createBulkEndpoint(host, { lanes: values.over === 'tls' })
  endpoint.allow(() => true)
  const accepted = new Promise<BulkChannel>(resolve => endpoint.onChannel(resolve))
  await ask(child, { do: 'hello', peer: host.peerId.toString(), endpoints: endpoint.endpoints() })
  const channel = await accepted
  const repeats = Number(values.repeats)
  if (!values.json) console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.version}, over ${values.over}`)
  let number = 0
  for (const way of ['one way', 'both ways']) {
    for (const size of values.sizes.split(',').map(Number)) {
      const bytes = size === 1 ? 2 ** 20 : size * 1e6
      const both = way === 'both ways'
      const total = bytes * (both ? 2 : 1)
      const seconds: number[] = []
      // warm up by time, not by count: the compiler needs some hundred chunks
      const rounds = Math.max(2, Math.ceil(100e6 / bytes))
      for (let i = 0; i < rounds + repeats; i++) {
        if (i === rounds) {
          await ask(child, { do: 'reset' })
          reset()
        }
        const name = `t${number++}`
        const started = performance.now()
        await Promise.all([ask(child, { do: 'run', name, bytes, send: both, receive: true }), run(channel, name, bytes, true, both)])
        if (i >= rounds) seconds.push((performance.now() - started) / 1000)
      }
      const mine = figures()
      const theirs: Figures = await ask(child, { do: 'figures' })
      const row = {
        way,
        bytes,
        gigabytesPerSecond: total / median(seconds) / 1e9,
        best: total / Math.min(...seconds) / 1e9,
        cpuSecondsPerGigabyte: (mine.cpuMilliseconds + theirs.cpuMilliseconds) / 1000 / ((total * repeats) / 1e9),
        delayP99: Math.max(mine.delayP99, theirs.delayP99),
        delayMax: Math.max(mine.delayMax, theirs.delayMax)
      }
      report(row)
    }
  }
  await messages(child, channel)
  child.disconnect()
  await endpoint.close()
  await host.stop()
}

function report(row: Record<string, string | number>): void {
  if (values.json) {
    console.log(JSON.stringify(row))
    return
  }
  const shown = Object.entries(row).map(
    ([key, value]) => `${key} ${typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(3) : value}`
  )
  console.log(shown.join('  '))
}

/** Time of an echoed message of 8 bytes, one in flight. */
async function messages(child: ChildProcess, channel: BulkChannel): Promise<void> {
  await ask(child, { do: 'messages' })
  let next = () => {}
  channel.onMessage(() => next())
  const body = new Uint8Array(8)
  const samples: number[] = []
  for (let i = 0; i < 5000; i++) {
    const started = performance.now()
    await new Promise<void>(resolve => {
      next = resolve
      channel.message(body)
    })
    if (i >= 1000) samples.push((performance.now() - started) * 1000)
  }
  const sorted = samples.toSorted((a, b) => a - b)
  report({
    way: 'echo of a message',
    bytes: 8,
    microsecondsP50: median(samples),
    microsecondsP99: sorted[Math.floor(sorted.length * 0.99)]
  })
}

await (values.peer ? servePeer() : main())

/**
 * Speed and latency of the bulk channel between two processes of this machine, each a libp2p host of its own as a trainer has, by each way
 * that it may travel.
 *
 *   npm run bench -- channels [--sizes 1,4,26,100] [--repeats 9] [--over shm,rdma,tls,noise] [--json]
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
import type { Logger } from '../common/index.ts'
import { type BulkChannel, type BulkEndpoint, createBulkEndpoint, type FabricChoice, fastWays } from '../mesh/bulk/index.ts'

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1,4,26,100' },
    repeats: { type: 'string', default: '9' },
    over: { type: 'string', default: 'shm,rdma,tls,noise' },
    json: { type: 'boolean', default: false },
    peer: { type: 'boolean', default: false }
  }
})

const COMPARABLE = `Bitfusion published 1-3 µs for a small message by RDMA and 100-200 µs for one by gRPC. Its RDMA figure is the fabric's own, from
memory to memory of two hosts; those above are between two JavaScript callers on one machine, callbacks of the event loop included, so that
they compare with the gRPC figure and not with the RDMA one.`

const consoleLogger: Logger = {
  debug() {},
  info() {},
  warn: message => console.log(message),
  error: message => console.log(message),
  child: () => consoleLogger
}

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

/** An endpoint whose channels travel by `over`, and what tells that one does. */
async function endpointOver(host: Libp2p, over: string): Promise<{ endpoint: BulkEndpoint; there(channel: BulkChannel): boolean }> {
  const fast = over === 'shm' || over === 'rdma'
  const endpoint = createBulkEndpoint(host, { lanes: over !== 'noise', ways: fast ? await fastWays([over as FabricChoice]) : [] })
  endpoint.allow(() => true)
  return { endpoint, there: channel => (fast ? channel.kind === over : channel.encryption === over) }
}

async function settled(channel: BulkChannel, there: (channel: BulkChannel) => boolean): Promise<void> {
  while (!there(channel)) await new Promise(resolve => setTimeout(resolve, 5))
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
  const { endpoint, there } = await endpointOver(host, values.over)
  let channel: BulkChannel
  process.on('disconnect', () => process.exit(0))
  process.on('message', async (order: Order) => {
    if (order.do === 'hello') {
      channel = await endpoint.connect(order.peer, order.endpoints)
      await settled(channel, there)
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
  if (!values.json)
    console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.version}, median of ${values.repeats}`)
  for (const over of values.over.split(',')) {
    if ((over === 'shm' || over === 'rdma') && (await fastWays([over], consoleLogger)).length === 0) continue
    await measure(over)
  }
  if (!values.json) console.log(COMPARABLE)
  process.exit()
}

async function measure(over: string): Promise<void> {
  const child = fork(import.meta.filename, ['--repeats', values.repeats, '--sizes', values.sizes, '--over', over, '--peer'])
  await new Promise(resolve => child.once('message', resolve))
  const host = await createHost()
  const { endpoint, there } = await endpointOver(host, over)
  const accepted = new Promise<BulkChannel>(resolve => endpoint.onChannel(resolve))
  await ask(child, { do: 'hello', peer: host.peerId.toString(), endpoints: endpoint.endpoints() })
  const channel = await accepted
  await settled(channel, there)
  const repeats = Number(values.repeats)
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
        over,
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
  await messages(child, channel, over)
  await transfers(child, channel, over)
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
async function messages(child: ChildProcess, channel: BulkChannel, over: string): Promise<void> {
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
  latency(
    over,
    'one way of an echoed message',
    8,
    samples.map(time => time / 2)
  )
}

/** Time of a transfer of 1 MiB from the call to its resolved promise, the peer's region named before. */
async function transfers(child: ChildProcess, channel: BulkChannel, over: string): Promise<void> {
  const bytes = 2 ** 20
  const samples: number[] = []
  for (let i = 0; i < 220; i++) {
    const name = `latency${i}`
    const landed = ask(child, { do: 'run', name, bytes, send: false, receive: true })
    // its grant is here long before
    await new Promise(resolve => setTimeout(resolve, 2))
    const started = performance.now()
    await run(channel, name, bytes, true, false)
    if (i >= 20) samples.push((performance.now() - started) * 1000)
    await landed
  }
  latency(over, 'a transfer', bytes, samples)
}

function latency(over: string, way: string, bytes: number, samples: number[]): void {
  const sorted = samples.toSorted((a, b) => a - b)
  report({ over, way, bytes, microsecondsP50: median(samples), microsecondsP99: sorted[Math.floor(sorted.length * 0.99)]! })
}

await (values.peer ? servePeer() : main())

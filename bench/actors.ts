// Calls between actors: within a process, and over the mesh (Noise, loopback, two processes); memory of sleeping actors.
// npm run bench -- actors [CALLS]
import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { actor, type Handle, Runtime } from '../actors/runtime/index.ts'
import { silentLogger } from '../common/index.ts'
import { openState, startMesh } from '../mesh/index.ts'

const Echo = actor('echo', { calls: { echo: (_, bytes: Uint8Array) => bytes, add: (_, n: number) => n + 1 } })
const Sleeper = actor('sleeper', { create: () => ({ n: 0 }), calls: { touch: ({ state }) => ++state.n } })
type EchoHandle = Handle<NonNullable<(typeof Echo)['calls']>>

async function node(directory: string, invite: string) {
  const state = openState(directory)
  let runtime!: Runtime
  const mesh = await startMesh({
    state,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    invite,
    prepare: mesh => {
      runtime = new Runtime({ mesh, logger: silentLogger, store: state.kv('actors') })
      for (const type of [Echo, Sleeper]) runtime.register(type)
    }
  })
  return { mesh, runtime }
}

function quantile(times: number[], share: number): string {
  const sorted = times.toSorted((a, b) => a - b)
  return `${(sorted[Math.floor(share * (sorted.length - 1))]! * 1000).toFixed(1)} µs`
}

/** Median and p99 with one call in flight, then calls/s with 64. */
async function measure(name: string, call: () => Promise<unknown>, count: number): Promise<void> {
  for (let i = 0; i < count / 10; i++) await call()
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const started = performance.now()
    await call()
    times.push(performance.now() - started)
  }
  let left = count * 4
  const started = performance.now()
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      while (left-- > 0) await call()
    })
  )
  const rate = (count * 4) / ((performance.now() - started) / 1000)
  console.log(`${name}: median ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)}; ${rate.toFixed(0)} calls/s with 64 in flight`)
}

async function main(count: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gradmesh-bench-'))
  const { mesh, runtime } = await node(join(folder, 'a'), '')
  const child = fork(new URL(import.meta.url), ['--serve', join(folder, 'b'), mesh.invite()])
  const peer = await new Promise<string>(resolve => child.once('message', text => resolve(String(text))))
  while (!mesh.alive().includes(peer)) await new Promise(resolve => setTimeout(resolve, 20))
  const keyOn = (owner: string) => {
    for (let i = 0; ; i++) if (runtime.owner('echo', `k${i}`) === owner) return `k${i}`
  }
  const bytes = new Uint8Array(100)
  const [here, there]: EchoHandle[] = [mesh.peer, peer].map(owner => runtime.at(Echo, keyOn(owner)))
  await measure('local, a number', () => here!.call('add', 1), count * 10)
  await measure('local, 100 bytes', () => here!.call('echo', bytes), count * 4)
  await measure('over the mesh, 100 bytes', () => there!.call('echo', bytes), count)
  const before = process.memoryUsage().heapUsed
  const sleepers = 10 * count
  for (let i = 0; i < sleepers; i++) {
    await runtime.at(Sleeper, `s${i}`, { node: mesh.peer }).call('touch')
    await runtime.deactivate(Sleeper, `s${i}`)
  }
  globalThis.gc?.()
  const each = (process.memoryUsage().heapUsed - before) / sleepers
  console.log(
    `${sleepers} passivated actors: ${each.toFixed(0)} bytes each${globalThis.gc ? '' : ' (with garbage: run node --expose-gc bench/actors.ts)'}`
  )
  child.disconnect()
  await runtime.close()
  await mesh.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  process.exit(0)
}

const [first, ...rest] = process.argv.slice(2)
if (first === '--serve') {
  process.on('disconnect', () => process.exit(0))
  const { mesh } = await node(rest[0]!, rest[1]!)
  process.send!(mesh.peer)
} else await main(Number(first ?? 2000))

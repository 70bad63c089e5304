/**
 * Time of an allreduce between processes of this machine: the trainers' own strategy, driver and channels, beside OpenMPI's MPI_Allreduce over
 * shared memory and TCP, and Gloo through PyTorch, in the same run.
 *
 *   npm run bench -- allreduce [--ranks 2,4] [--sizes 4096,1048576,26214400,104857600] [--repeats 9] [--over shm,stream] [--peers mpi,gloo] [--json]
 *
 * Sizes are bytes of float32. A time is that from the call on rank 0 to the moment when its sum is whole and its array free again, the median of the
 * repeats. GB/s is bus bandwidth: 2(p−1)/p · bytes / time, GB are 10⁹ bytes. `stream` is encrypted.
 */
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { strategyNamed } from '../actors/training/exchange/index.ts'
import { ExchangeDriver } from '../actors/training/trainer/exchange-driver.ts'
import { createRng, silentLogger, systemClock } from '../common/index.ts'
import { createBulkEndpoint, type FabricChoice, fastWays } from '../mesh/bulk/index.ts'
import { createTestHost } from '../test/mesh/bulk/hosts.ts'

const { values } = parseArgs({
  options: {
    ranks: { type: 'string', default: '2,4' },
    sizes: { type: 'string', default: '4096,1048576,26214400,104857600' },
    repeats: { type: 'string', default: '9' },
    over: { type: 'string', default: 'shm,stream' },
    peers: { type: 'string', default: 'mpi,gloo' },
    json: { type: 'boolean', default: false },
    rank: { type: 'string' }
  }
})

const numbers = (text: string) => text.split(',').map(Number)
/** Before times are taken: at least so many rounds, and so many bytes, for the compiler to see the code. */
const WARM_ROUNDS = 30
const WARM_BYTES = 200e6

interface Row {
  who: string
  ranks: number
  bytes: number
  milliseconds: number
  gigabytesPerSecond: number
  /** Event-loop delay at p99 on the worst rank, ms. */
  delayP99?: number
}

function row(who: string, ranks: number, bytes: number, milliseconds: number, delayP99?: number): Row {
  const gigabytesPerSecond = (2 * (ranks - 1) * bytes) / ranks / (milliseconds / 1000) / 1e9
  return { who, ranks, bytes, milliseconds, gigabytesPerSecond, ...(delayP99 === undefined ? {} : { delayP99 }) }
}

function median(samples: number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1]!
}

type Order =
  | { peers: { peer: string; endpoints: string[] }[]; over: string }
  | { bytes: number; rounds: number; warm: number; generation: number }

/** One rank, told by the parent what to do. */
async function serve(): Promise<void> {
  const host = await createTestHost()
  const over = values.over!
  const endpoint = createBulkEndpoint(host, {
    ways: over === 'stream' ? [] : await fastWays([over as FabricChoice])
  })
  endpoint.allow(() => true)
  const self = host.peerId.toString()
  let members: string[] = []
  process.on('disconnect', () => process.exit(0))
  process.on('message', async (order: Order) => {
    if ('peers' in order) {
      members = order.peers.map(p => p.peer)
      await Promise.all(order.peers.filter(p => p.peer !== self).map(p => endpoint.connect(p.peer, p.endpoints)))
      const settled = () =>
        members.every(m => m === self || (endpoint.channel(m)?.kind === over && endpoint.channel(m)?.encryption !== 'noise'))
      while (!settled()) await new Promise(resolve => setTimeout(resolve, 5))
      process.send?.({})
    } else process.send?.(await rounds(order))
  })
  process.send?.({ peer: self, endpoints: endpoint.endpoints() })

  /** Sums an array `warm + rounds` times; the times of the last ones, ms. */
  function rounds(order: Extract<Order, { bytes: number }>): Promise<{ times: number[]; delay: number }> {
    const strategy = strategyNamed('allreduce')
    const state = strategy.create({})
    const size = order.bytes / 4
    const floats = (length: number) => new Float32Array(new SharedArrayBuffer(length * 4))
    const sizes = strategy.arenas(state, { size, tail: 0, optimizer: 0, members: members.map(trainer => ({ trainer })) })
    const arenas = {
      gradients: floats(size).fill(1),
      parameters: floats(0),
      optimizer: floats(0),
      state: floats(0),
      outgoing: floats(0),
      landing: floats(sizes.landing)
    }
    const times: number[] = []
    const delay = monitorEventLoopDelay({ resolution: 1 })
    return new Promise((resolve, reject) => {
      let begun = 0
      let round = 0
      const driver = new ExchangeDriver(strategy, state, {
        clock: systemClock,
        random: createRng(1),
        logger: silentLogger,
        arenas,
        channel: trainer => endpoint.channel(trainer),
        compute(generation, step) {
          if (round === order.warm) delay.enable()
          if (round > order.warm) times.push(performance.now() - begun)
          if (round++ === order.warm + order.rounds) {
            delay.disable()
            resolve({ times, delay: delay.percentile(99) / 1e6 })
            return
          }
          setImmediate(() => {
            begun = performance.now()
            driver.event({ type: 'gradients', generation, step, samples: 1, rate: 1 })
          })
        },
        apply() {},
        message() {},
        report() {},
        fault: (_trainer, error) => reject(error)
      })
      const group = {
        job: 'bench',
        generation: order.generation,
        self,
        members: members.map(trainer => ({ trainer })),
        rank: members.indexOf(self),
        size,
        tail: 0,
        optimizer: 0
      }
      driver.start(group, 0)
    })
  }
}

function ask(child: ChildProcess, order: Order): Promise<any> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', code => reject(new Error(`a rank ended with ${code}`)))
    child.send(order)
  })
}

async function own(ranks: number, over: string): Promise<Row[]> {
  const children = Array.from({ length: ranks }, () => fork(import.meta.filename, ['--rank', '0', '--over', over]))
  const peers = await Promise.all(
    children.map(child => new Promise<{ peer: string; endpoints: string[] }>(resolve => child.once('message', resolve)))
  )
  peers.sort((a, b) => (a.peer < b.peer ? -1 : 1))
  await Promise.all(children.map(child => ask(child, { peers, over })))
  const rows: Row[] = []
  for (const [i, bytes] of numbers(values.sizes!).entries()) {
    const warm = Math.max(WARM_ROUNDS, Math.ceil(WARM_BYTES / bytes / 10))
    const order = { bytes, rounds: Number(values.repeats), warm, generation: i + 1 }
    const results: { times: number[]; delay: number }[] = await Promise.all(children.map(child => ask(child, order)))
    rows.push(row(over, ranks, bytes, median(results[0]!.times), Math.max(...results.map(result => result.delay))))
  }
  for (const child of children) child.disconnect()
  return rows
}

/** OpenMPI, by a program that is compiled here. */
function mpi(ranks: number, scratch: string): Row[] | string {
  const program = join(scratch, 'mpi')
  if (spawnSync('mpicc', ['-O2', join(import.meta.dirname, 'allreduce-mpi.c'), '-o', program]).status !== 0) {
    return 'OpenMPI is not here: apt-get install openmpi-bin libopenmpi-dev'
  }
  const rows: Row[] = []
  for (const [name, transports] of [
    ['openmpi sm', 'self,vader'],
    ['openmpi tcp', 'self,tcp']
  ] as const) {
    const { status, stdout, stderr } = spawnSync(
      'mpirun',
      [
        '--allow-run-as-root',
        '--oversubscribe',
        '-np',
        `${ranks}`,
        '--mca',
        'pml',
        'ob1',
        '--mca',
        'btl',
        transports,
        program,
        values.repeats!,
        ...values.sizes!.split(',')
      ],
      { encoding: 'utf8', env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: ranks > availableParallelism() ? '1' : '0' } }
    )
    if (status !== 0) return `OpenMPI does not run: ${stderr.trim().split('\n')[0]}`
    rows.push(...parse(name, ranks, stdout))
  }
  return rows
}

/** Debian's Python first: its packages have Gloo. */
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'

function gloo(ranks: number): Row[] | string {
  const { status, stdout, stderr } = spawnSync(
    python,
    [join(import.meta.dirname, 'allreduce-gloo.py'), `${ranks}`, values.repeats!, ...values.sizes!.split(',')],
    { encoding: 'utf8' }
  )
  if (status !== 0) return `Gloo does not run (${stderr.trim().split('\n').at(-1)}): apt-get install python3-torch libopenblas0-pthread`
  return parse('gloo tcp', ranks, stdout)
}

/** Lines of bytes and milliseconds. */
function parse(who: string, ranks: number, text: string): Row[] {
  return text
    .trim()
    .split('\n')
    .map(line => {
      const [bytes, milliseconds] = line.split(' ').map(Number)
      return row(who, ranks, bytes!, milliseconds!)
    })
}

function show(rows: Row[] | string): void {
  if (typeof rows === 'string') console.log(rows)
  else {
    for (const r of rows) {
      if (values.json) console.log(JSON.stringify(r))
      else {
        const delay = r.delayP99 === undefined ? '' : `  loop delay p99 ${r.delayP99.toFixed(1)} ms`
        console.log(
          `p=${r.ranks}  ${`${r.bytes}`.padStart(10)} B  ${r.who.padEnd(12)} ${r.milliseconds.toFixed(3).padStart(10)} ms  ${r.gigabytesPerSecond.toFixed(2).padStart(6)} GB/s${delay}`
        )
      }
    }
  }
}

async function main(): Promise<void> {
  if (!values.json)
    console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.version}, median of ${values.repeats}`)
  const scratch = mkdtempSync(join(tmpdir(), 'gradmesh-bench-'))
  try {
    for (const ranks of numbers(values.ranks!)) {
      for (const over of values.over!.split(',')) show(await own(ranks, over))
      if (values.peers!.includes('mpi')) show(mpi(ranks, scratch))
      if (values.peers!.includes('gloo')) show(gloo(ranks))
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  process.exit()
}

await (values.rank === undefined ? main() : serve())

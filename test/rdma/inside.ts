/** What `npm run test:rdma` runs inside its virtual machine. The last line says whether all of it passed. */
import { spawn, spawnSync } from 'node:child_process'
import { availableParallelism, release } from 'node:os'
import { type FabricChoice, type JobEvent, startEmbedded } from '../../actors/training/index.ts'
import { ucxReport } from '../../native/index.ts'
import { defaults } from '../processes/embedded.ts'

let passed = true

function check(holds: boolean, what: string): void {
  console.log(`${holds ? 'ok' : 'not ok'} - ${what}`)
  passed &&= holds
}

function say(command: string, ...args: string[]): string {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  const text = error ? error.message : `${stdout}${stderr}`.trim()
  console.log(`$ ${command} ${args.join(' ')}\n${text}`)
  return text
}

async function suite(name: string, command: string, ...args: string[]): Promise<void> {
  console.log(`== ${name}`)
  const env = {
    ...process.env,
    GRADMESH_TEST_UCX_TLS: 'ib',
    GRADMESH_TEST_UCX_CM: 'rdmacm',
    GRADMESH_TEST_UCX_ADDRESS: '10.77.0.1',
    TAP_TIMEOUT: '300'
  }
  const started = performance.now()
  const child = spawn(command, args, { env, stdio: 'inherit' })
  const code = await new Promise(resolve => child.on('close', resolve))
  check(code === 0, `${name} (${((performance.now() - started) / 1000).toFixed(0)} s)`)
}

/** Twenty steps of LeNet on two trainers. @param onStep - called after each step is reported */
async function train(fabric: FabricChoice, onStep: (step: number) => void = () => {}) {
  const started = performance.now()
  const lines: string[] = []
  const log = (message: string) => void (/exchanges with|no longer tries/.test(message) && lines.push(message))
  const logger: any = { debug() {}, info: log, warn: log, error: log, child: () => logger }
  const node = await startEmbedded({ trainers: 2, fabrics: [fabric], logger })
  try {
    const { job } = await node.submit({ ...defaults, data: 'digits?train=640&test=20', trainers: 2, batch: 16 })
    const losses: number[] = []
    const channels: (Record<string, number> | undefined)[] = []
    const generations: Extract<JobEvent, { type: 'generation' }>[] = []
    for await (const event of node.follow(job)) {
      if (event.type === 'generation') generations.push(event)
      if (event.type !== 'metrics') continue
      losses[event.step - 1] = event.loss
      channels.push(event.channels)
      onStep(event.step)
    }
    const status = await node.job(job)
    if (status.state !== 'done') throw new Error(`the job is ${status.state}: ${status.message}`)
    console.log(`   ${losses.length} steps over ${fabric} in ${((performance.now() - started) / 1000).toFixed(0)} s; ${lines.join('; ')}`)
    return { losses, channels, generations: generations.length }
  } finally {
    await node.close()
  }
}

const same = (a: number[], b: number[]) => a.length === b.length && a.every((value, i) => Object.is(value, b[i]))
const ways = (run: { channels: (Record<string, number> | undefined)[] }) => JSON.stringify(run.channels.at(-1))

console.log('== environment')
console.log(
  `Linux ${release()} on ${availableParallelism()} emulated processors, Node ${process.version}, UCX ${JSON.stringify(ucxReport())}`
)
say('ibv_devices')
check(/rxe0/.test(say('rdma', 'link')), 'Soft-RoCE device rxe0 is there')

await suite('the native part alone: rings, a wrong token, links given up at every stage, a lost worker', 'build/rdma/driver')
await suite(
  'the channel over verbs: sizes, wrong key, lies, a lost worker, 1,000 aborted links',
  process.execPath,
  'test/mesh/bulk/rdma.test.ts'
)

console.log('== two trainers, 20 steps of LeNet')
const stream = await train('stream')
const rdma = await train('rdma')
check(stream.losses.length === 20, `20 steps over the stream, ${ways(stream)}`)
check(
  rdma.channels.every(c => c?.['rdma'] === 1),
  `all steps over RDMA, ${ways(rdma)}`
)
check(same(stream.losses, rdma.losses), 'the losses are equal bit for bit')

await suite('two processes, and the link is removed in the middle of a transfer', process.execPath, 'test/rdma/pair.ts', 'cut')

console.log(`== what this does not prove
The verbs, the connection manager and the failures are real; the device is software on an emulated processor. Nothing here tells the speed of a
fabric, how it behaves with several ports or switches, or what hardware does that software does not (posted-write order, congestion, InfiniBand's own
link layer).`)
console.log(passed ? 'rdma inside: passed' : 'rdma inside: failed')

/**
 * Samples a second of 1 and 2 trainers beside PyTorch DistributedDataParallel over Gloo, in the same run.
 *
 *   npm run bench -- training [--models mlp,lenet,cifar10-quick] [--repeats 3] [--batch 64] [--steps 60] [--json]
 *
 * Batch 64 a trainer, one thread a trainer, SGD with momentum. Runs of the two sides alternate; medians are shown. Without PyTorch
 * (Debian: python3-torch with libopenblas0-pthread; without the latter its reference BLAS is many times slower) only gradmesh runs.
 */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { type JobSpec, startEmbedded } from '../actors/training/index.ts'

const { values } = parseArgs({
  options: {
    models: { type: 'string', default: 'mlp,lenet,cifar10-quick' },
    repeats: { type: 'string', default: '3' },
    batch: { type: 'string', default: '64' },
    steps: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false }
  }
})
const batch = Number(values.batch)
const steps = Number(values.steps)
const WARM_UP = 20

interface Measured {
  samplesPerSecond: number
  computeMs: number
  exchangeMs: number
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

/** One run of a job on an embedded mesh; the steps after the warm-up count. */
async function ours(model: string, trainers: number): Promise<Measured> {
  const node = await startEmbedded({ trainers })
  try {
    const count = (WARM_UP + steps) * batch * trainers
    const spec: JobSpec = {
      model,
      data: `${model === 'cifar10-quick' ? 'shapes32' : 'digits'}?train=${count}&test=64`,
      strategy: 'allreduce',
      trainers,
      epochs: 1,
      batch,
      lr: 0.01,
      optimizer: { name: 'sgd', momentum: 0.9 },
      schedule: { policy: 'fixed' },
      seed: 1,
      onSplit: 'wait',
      wait: false,
      logEvery: WARM_UP,
      scaleLr: false
    }
    const { job } = await node.submit(spec)
    const times = new Map<number, number>()
    const compute: number[] = []
    const exchange: number[] = []
    for await (const e of node.follow(job)) {
      if (e.type !== 'metrics' || e.rank !== 0) continue
      times.set(e.step, e.time)
      if (e.step > WARM_UP) {
        compute.push(e.computeMs)
        exchange.push(e.exchangeMs)
      }
    }
    const last = Math.max(...times.keys())
    const seconds = (times.get(last)! - times.get(WARM_UP)!) / 1000
    return { samplesPerSecond: ((last - WARM_UP) * batch * trainers) / seconds, computeMs: median(compute), exchangeMs: median(exchange) }
  } finally {
    await node.close()
  }
}

const python = ['/usr/bin/python3', 'python3'].find(p => spawnSync(p, ['-c', 'import torch']).status === 0)
if (python === undefined)
  console.error('PyTorch is not installed here: apt-get install python3-torch libopenblas0-pthread; only gradmesh is measured')

function theirs(model: string, world: number): number | undefined {
  if (python === undefined) return undefined
  const script = new URL('./ddp.py', import.meta.url).pathname
  const run = spawnSync(python, [script, model, String(world), String(batch), String(steps)], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' }
  })
  if (run.status !== 0) throw new Error(`ddp.py ended with ${run.status}: ${run.stderr.slice(-500)}`)
  return Number(run.stdout.trim().split('\n').at(-1))
}

console.log(`${cpus()[0]?.model}, ${cpus().length} cores; batch ${batch} a trainer, median of ${values.repeats} runs`)
console.log('| model | trainers | gradmesh samples/s | PyTorch DDP samples/s | ratio | compute ms | exchange ms |')
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const model of values.models.split(',')) {
  for (const trainers of [1, 2]) {
    const mine: Measured[] = []
    const peer: number[] = []
    for (let i = 0; i < Number(values.repeats); i++) {
      mine.push(await ours(model, trainers))
      const speed = theirs(model, trainers)
      if (speed !== undefined) peer.push(speed)
    }
    const speed = median(mine.map(m => m.samplesPerSecond))
    const other = peer.length > 0 ? median(peer) : undefined
    const compute = median(mine.map(m => m.computeMs))
    const exchange = median(mine.map(m => m.exchangeMs))
    if (values.json)
      console.log(JSON.stringify({ model, trainers, samplesPerSecond: speed, pytorch: other, computeMs: compute, exchangeMs: exchange }))
    const ratio = other === undefined ? '-' : (speed / other).toFixed(2)
    console.log(
      `| ${model} | ${trainers} | ${speed.toFixed(0)} | ${other?.toFixed(0) ?? '-'} | ${ratio} | ${compute.toFixed(1)} | ${exchange.toFixed(1)} |`
    )
  }
}

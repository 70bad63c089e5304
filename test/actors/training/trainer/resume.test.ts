// One trainer's run on a real engine: resuming and accumulating give what they must.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { JobSpec, OptimizerSpec } from '../../../../actors/training/service-types.ts'
import { TrainingRun } from '../../../../actors/training/trainer/run.ts'
import { openDataset } from '../../../../datasets/index.ts'
import { jobOf } from '../job/jobs.ts'

const folder = mkdtempSync(join(tmpdir(), 'gm-'))
t.teardown(() => rmSync(folder, { recursive: true }))

async function open(spec: Partial<JobSpec>): Promise<TrainingRun> {
  const data = 'digits?train=96&test=32'
  const { fingerprint } = await openDataset(data)
  const job = jobOf({ model: 'lenet', data, lr: 0.01, ...spec })
  const run = await TrainingRun.open({ job: { ...job, fingerprint }, provider: 'cpu', threads: 1, folder })
  t.teardown(() => run.close())
  run.fromSeed()
  return run
}

async function step(run: TrainingRun, from: number, to: number): Promise<void> {
  await run.compute(run.read(0, from, to))
  run.apply(1)
}

t.test('a run that goes on from a checkpoint has the bits of one that never stopped', async t => {
  const optimizers: OptimizerSpec[] = [
    { name: 'adam', clipNorm: 1 },
    { name: 'lars', weightDecay: 0.001 }
  ]
  for (const optimizer of optimizers) {
    const run = await open({ optimizer, schedule: { policy: 'cosine', maxSteps: 6, warmUp: { steps: 2 } } })
    for (let k = 0; k < 3; k++) await step(run, 8 * k, 8 * k + 8)
    const { files } = await run.checkpoint({})
    const progress = { ...run.progress }
    for (let k = 3; k < 6; k++) await step(run, 8 * k, 8 * k + 8)
    const hash = run.hash()
    const again = await open(run.job.spec)
    t.not(again.hash(), hash)
    await again.restore(join(folder, files[0]!), progress, true)
    for (let k = 3; k < 6; k++) await step(again, 8 * k, 8 * k + 8)
    t.equal(again.hash(), hash, optimizer.name)
    const manifest = JSON.parse(readFileSync(join(folder, files[1]!), 'utf8'))
    t.same(manifest.optimizer, optimizer)
  }
})

t.test('a step in pieces is the step in one, up to rounding', async t => {
  const whole = await open({ batch: 24 })
  const pieces = await open({ batch: 8, accumulate: 3 })
  for (const [from, to] of [
    [0, 24],
    [24, 48],
    [48, 50]
  ] as const) {
    await step(whole, from, to)
    await step(pieces, from, to)
    t.equal(pieces.tail().denominator, to - from)
    t.equal(pieces.tail().correct, whole.tail().correct)
    t.ok(Math.abs(pieces.tail().lossSum - whole.tail().lossSum) < 1e-4 * whole.tail().lossSum)
  }
  const { parameters } = whole.arenas
  const worst = parameters.reduce((most, x, i) => Math.max(most, Math.abs(x - pieces.arenas.parameters[i]!)), 0)
  t.ok(worst < 1e-6, `the largest difference is ${worst}`)
  t.not(pieces.hash(), whole.hash(), 'the sums were taken in another order')
})

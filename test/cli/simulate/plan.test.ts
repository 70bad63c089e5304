import t from 'tap'
import { parseDelay, parseNetwork } from '../../../actors/training/simulation/index.ts'
import { plannedModel, plannedModels } from '../../../cli/simulate/models.ts'
import { type PlanInit, type PlannedStrategy, plan, planAssumptions } from '../../../cli/simulate/plan.ts'
import { planFigure } from '../../../cli/simulate/plot.ts'
import { modelNames } from '../../../models/index.ts'

const init = (more: Partial<PlanInit> = {}): PlanInit => ({
  model: { name: 'small', parameters: 400_000, batch: 32, stepMs: 20, source: 'given' },
  strategies: [{ name: 'allreduce', options: {}, label: 'allreduce' }],
  networks: [parseNetwork('10gbe')],
  trainers: [4, 16],
  delay: parseDelay('constant'),
  arithmetic: 8,
  seed: 1,
  signal: AbortSignal.timeout(300_000),
  ...more
})

t.test('where every message is simulated and where the formula stands, figures go on smoothly', async t => {
  const rows = await plan(init({ trainers: [64, 128] }))
  t.same(
    rows.map(row => row.method),
    ['events', 'formula']
  )
  const [events, formula] = rows
  // 2(p−1) latencies and two receipts of 0.1 to 0.2 ms; the bytes of one step come to 1.3 ms
  t.ok(Math.abs(events!.stepMs - (20 + 2 * 63 * 0.15)) < 5, `${events!.stepMs}`)
  t.ok(
    formula!.stepMs - events!.stepMs > 2 * 64 * 0.15 * 0.5 && formula!.stepMs - events!.stepMs < 2 * 64 * 0.15 * 1.5,
    `${formula!.stepMs}`
  )
  t.ok(Math.abs(formula!.bytesPerStep / events!.bytesPerStep - 1) < 0.1)
})

t.test('what is sent and what is lost to exchange are as they must be', async t => {
  const strategies: PlannedStrategy[] = ['allreduce', 'local-sgd:h=8', 'gossip'].map(label => ({
    name: label.split(':')[0]!,
    options: (label.includes('h=8') ? { h: 8 } : {}) as PlannedStrategy['options'],
    label
  }))
  const rows = await plan(init({ strategies, networks: [parseNetwork('ib'), parseNetwork('lan')], trainers: [8] }))
  const row = (strategy: string, network: string) => rows.find(r => r.strategy === strategy && r.network === network)!
  t.ok(Math.abs(row('allreduce', 'ib').bytesPerStep - (7 / 8) * 2 * 4 * 400_003) < 100)
  t.ok(Math.abs(row('local-sgd:h=8', 'ib').bytesPerStep / row('allreduce', 'ib').bytesPerStep - 1 / 8) < 0.001)
  t.ok(row('allreduce', 'lan').efficiency < row('allreduce', 'ib').efficiency)
  t.ok(row('allreduce', 'lan').efficiency < row('local-sgd:h=8', 'lan').efficiency)
  t.ok(rows.every(r => r.efficiency > 0 && r.efficiency <= 1))
  const slow = await plan(init({ strategies, delay: parseDelay('straggler:5'), trainers: [8] }))
  const [together, , apart] = slow
  t.ok(together!.efficiency < 0.21 && apart!.efficiency > 0.7, `${together!.efficiency} ${apart!.efficiency}`)
  const values = (planFigure('t', rows)['data'] as { values: unknown[] }).values
  t.equal(values.length, rows.length)
})

t.test('models of planning name their assumptions', async t => {
  for (const { name, source } of plannedModels) t.ok(source.length > 10, name)
  t.throws(() => plannedModel('resnet51'), { name: 'InvalidParametersError', message: /no model 'resnet51'; choose one of resnet50/ })
  t.ok(plannedModels.filter(m => modelNames.includes(m.name)).length > 5)
  const text = planAssumptions(init(), 'constant').join('\n')
  t.match(text, /400,000 float32 parameters, 32 samples a step of each trainer in 20 ms \(given\)/)
  t.match(text, /Network 10gbe: one-way latency 0\.1 to 0\.2 ms, 10 Gbit\/s/)
})

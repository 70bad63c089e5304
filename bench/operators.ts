/**
 * Where a step's time goes inside onnxruntime: the training graph of a model, operator by operator, from onnxruntime's own profile.
 *
 *   npm run bench -- operators [--model cifar10-quick] [--threads 1] [--batch 64] [--steps 20] [--top 25] [--by operator|node]
 *
 * Each node counts with the least of its times over the steps, which other work on the machine disturbs least.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createRng } from '../common/index.ts'
import { buildModel, initialise, modelInput, trainingGraph } from '../models/index.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'cifar10-quick' },
    threads: { type: 'string', default: '1' },
    batch: { type: 'string', default: '64' },
    steps: { type: 'string', default: '20' },
    top: { type: 'string', default: '25' },
    by: { type: 'string', default: 'node' }
  }
})
const batch = Number(values.batch)
const input = modelInput(values.model)
const { train, inputs, layout, state } = trainingGraph(buildModel(values.model, input))
const folder = mkdtempSync(join(tmpdir(), 'gradmesh-profile-'))
try {
  const session = await InferenceSession.create(train, {
    intraOpNumThreads: Number(values.threads),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableProfiling: true,
    profileFilePrefix: join(folder, 'profile'),
    extra: { session: { intra_op: { allow_spinning: '0' } } }
  })
  const rng = createRng(1)
  const sized = (shape: number[]) => shape.reduce((a, b) => a * b, batch)
  const text = inputs.labels.shape.length > 0
  const pick = () => rng.int(input.classes)
  const arena = new Float32Array(layout.total)
  initialise(layout, 1, arena)
  const statistics = new Float32Array(state.total)
  initialise(state, 1, statistics)
  const feeds: Record<string, Tensor> = {
    [inputs.data.name]: new Tensor(
      'float32',
      Float32Array.from({ length: sized(inputs.data.shape) }, () => (text ? pick() : rng.float())),
      [batch, ...inputs.data.shape]
    ),
    [inputs.labels.name]: new Tensor('int32', Int32Array.from({ length: sized(inputs.labels.shape) }, pick), [
      batch,
      ...inputs.labels.shape
    ])
  }
  if (inputs.samples !== undefined)
    feeds[inputs.samples.name] = new Tensor(
      'int32',
      Int32Array.from({ length: batch }, (_, i) => i),
      [batch]
    )
  for (const p of layout.parameters) feeds[p.name] = new Tensor('float32', arena.subarray(p.offset, p.offset + p.size), p.shape)
  for (const p of state.parameters) feeds[p.name] = new Tensor('float32', statistics.subarray(p.offset, p.offset + p.size), p.shape)
  for (let i = 0; i < Number(values.steps); i++) await session.run(feeds)
  session.endProfiling()
  await session.release()
  report(JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), 'utf8')))
} finally {
  rmSync(folder, { recursive: true })
}

interface Event {
  cat: string
  name: string
  dur: number
  args?: { op_name?: string; output_type_shape?: Record<string, number[]>[] }
}

function report(events: Event[]): void {
  const nodes = new Map<string, { least: number; op: string; shape: string }>()
  for (const { cat, name, dur, args } of events) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || args?.op_name === undefined) continue
    const key = name.slice(0, -'_kernel_time'.length)
    const shape = Object.values(args.output_type_shape?.[0] ?? {})[0]?.join('×') ?? ''
    const before = nodes.get(key)
    nodes.set(key, { least: Math.min(before?.least ?? Number.POSITIVE_INFINITY, dur), op: args.op_name, shape })
  }
  const total = [...nodes.values()].reduce((sum, n) => sum + n.least, 0)
  console.log(`${values.model}, batch ${batch}, ${values.threads} thread(s): ${(total / 1000).toFixed(2)} ms in ${nodes.size} nodes`)
  const rows = new Map<string, { time: number; count: number }>()
  for (const [name, { least, op, shape }] of nodes) {
    const key = values.by === 'operator' ? op : `${op} ${name} [${shape}]`
    const row = rows.get(key) ?? { time: 0, count: 0 }
    rows.set(key, { time: row.time + least, count: row.count + 1 })
  }
  console.log('| ms | share | what |')
  console.log('| --- | --- | --- |')
  for (const [key, { time, count }] of [...rows].sort((a, b) => b[1].time - a[1].time).slice(0, Number(values.top))) {
    console.log(`| ${(time / 1000).toFixed(2)} | ${((100 * time) / total).toFixed(1)} % | ${key}${count > 1 ? ` (${count})` : ''} |`)
  }
}

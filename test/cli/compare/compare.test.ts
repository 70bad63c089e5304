import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import t from 'tap'
import { type CompareInit, compare } from '../../../cli/compare/compare.ts'
import { experiment } from './fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'gradmesh-compare-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const init = (more: Partial<CompareInit> = {}): CompareInit => ({
  experiment: experiment({
    title: 'A <small> test',
    model: 'mlp?hidden=8',
    data: 'digits?train=400&test=100',
    trainers: 4,
    samples: 1600,
    evaluations: 4,
    delays: ['constant', 'straggler:5'],
    target: { loss: 2.2 }
  }),
  out: join(folder, 'report'),
  threads: 1,
  versions: { gradmesh: '0.0.0', node: process.version },
  real: async () => ({ error: 'no real run was asked for' }),
  commands: ['mesh compare'],
  notes: [],
  now: () => performance.now(),
  signal: AbortSignal.timeout(300_000),
  ...more
})

t.test('a comparison leaves a report that needs nothing else, and tables', async t => {
  const began: string[] = []
  const { report, cells, failures, reading } = await compare(init({ onRun: ({ spec }) => began.push(spec.id) }))
  t.equal(began.length, 2 * 2 * 2)
  t.same(failures, [])
  t.equal(cells.length, 4)
  const html = readFileSync(report, 'utf8')
  t.match(html, /A &lt;small&gt; test/)
  t.ok(html.includes('<svg role="img"'))
  t.notMatch(html, /(?:src|href)="https?:/, 'nothing is fetched')
  t.ok(html.includes(reading.slice(0, 40)))
  const csv = readFileSync(join(folder, 'report', 'results.csv'), 'utf8')
    .trimEnd()
    .split('\r\n')
  t.equal(csv.length, 1 + 8)
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, 'report', 'results.parquet')) })
  t.equal(rows.length, 8)
  const [first] = rows
  t.match(csv[1], String(first?.['run']))
  t.equal(typeof first?.['loss'], 'number')
  for (const id of readdirSync(join(folder, 'report', 'runs'))) {
    const lines = readFileSync(join(folder, 'report', 'runs', id, 'metrics.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    const evaluations = lines.map(line => JSON.parse(line)).filter(line => line.type === 'evaluation')
    t.ok(evaluations.length >= 4, id)
    t.equal(evaluations.at(-1).samples, 1600, 'all runs see the same samples')
  }
  for (const name of ['loss-by-time', 'time-to-target', 'utilisation']) {
    t.equal(
      readFileSync(join(folder, 'report', 'figures', `${name}.png`))
        .subarray(1, 4)
        .toString(),
      'PNG'
    )
    t.match(readFileSync(join(folder, 'report', 'figures', `${name}.svg`), 'utf8'), /^<svg/)
  }
})

t.test('begun again it runs only what is missing, and gives the same results', async t => {
  const runs = join(folder, 'report', 'runs')
  const [lost, cut] = readdirSync(runs)
  const before = JSON.parse(readFileSync(join(runs, lost!, 'result.json'), 'utf8'))
  rmSync(join(runs, lost!), { recursive: true })
  writeFileSync(join(runs, cut!, 'result.json'), '{"spec":')
  const again: string[] = []
  await compare(init({ onRun: ({ spec }) => again.push(spec.id) }))
  t.same(again.sort(), [lost, cut].sort())
  const after = JSON.parse(readFileSync(join(runs, lost!, 'result.json'), 'utf8'))
  t.equal(after.hash, before.hash)
  t.equal(after.loss, before.loss)
})

t.test('a run that fails does not take the others with it', async t => {
  const out = join(folder, 'failing')
  const experimentHere = { ...init().experiment, delays: ['constant', 'trace:no-such-file.csv'], seeds: [1] }
  const { failures, cells } = await compare(init({ out, experiment: experimentHere }))
  t.equal(failures.length, 2)
  t.match(failures[0]!.error, /no-such-file\.csv cannot be read/)
  t.equal(cells.find(cell => cell.delay === 'constant' && cell.label === 'gossip')!.runs.size, 1)
  t.match(readFileSync(join(out, 'report.html'), 'utf8'), /2 runs failed/)
})

t.test('an interrupted comparison keeps what is done', async t => {
  const out = join(folder, 'interrupted')
  const controller = new AbortController()
  await t.rejects(compare(init({ out, signal: controller.signal, onRun: () => controller.abort() })), { name: 'AbortedError' })
  t.equal(readdirSync(join(out, 'runs')).length, 1)
  t.notOk(existsSync(join(out, 'report.html')))
})

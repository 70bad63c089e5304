import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeFolder } from '../../mesh/state/index.ts'
import { type BesideRow, besides, realPart, simulatedPart } from './beside.ts'
import { figuresOf } from './figures.ts'
import { type Outcome, runOnThreads } from './pool.ts'
import { reading } from './reading.ts'
import { renderPng, renderSvg } from './render.ts'
import { html } from './report.ts'
import { reportedRuns, tunedRates, tuningRuns } from './runs.ts'
import { Store } from './store.ts'
import { type Cell, shown, summarise } from './summary.ts'
import { csv, parquet } from './tables.ts'
import type { Experiment, RunFailure, RunResult, RunSpec } from './types.ts'

/** How far a comparison is. */
export interface Progress {
  phase: 'tuning' | 'running' | 'reporting'
  /** Runs that are done, those found from before included. */
  done: number
  failed: number
  running: number
  total: number
  /** ms, as the runs so far let one guess. */
  left?: number
}

export interface CompareInit {
  experiment: Experiment
  /** Folder of the report; runs that are in it already are not run again. */
  out: string
  /** Simulated runs at a time. */
  threads: number
  versions: RunResult['versions']
  /** Carries out one real run. */
  real(spec: RunSpec, signal: AbortSignal): Promise<Outcome>
  /** Also run a small part of it on processes of this machine, and hold the simulation against that. */
  besideReal?: boolean
  commands: readonly string[]
  notes: readonly string[]
  /** Monotonic ms. */
  now(): number
  onProgress?(progress: Progress): void
  onRun?(outcome: { spec: RunSpec; result?: RunResult; error?: string }): void
  signal: AbortSignal
}

export interface Comparison {
  cells: Cell[]
  failures: RunFailure[]
  reading: string
  /** Absolute. */
  report: string
}

/** Runs a comparison, or what is left of it, and writes its report. @throws AbortedError; what is done stays */
export async function compare(init: CompareInit): Promise<Comparison> {
  const { experiment } = init
  const store = new Store(init.out)
  store.file('experiment.yaml', stringify(experiment))
  const tuning = tuningRuns(experiment)
  const tuned = await execute(init, store, tuning, 'tuning')
  const rates = tunedRates(experiment, tuned.results)
  const { results, failures } = await execute(init, store, reportedRuns(experiment, rates), 'running')
  const allFailures = [...tuned.failures, ...failures]
  const all = [...tuned.results, ...results]
  init.onProgress?.({
    phase: 'reporting',
    done: all.length,
    failed: allFailures.length,
    running: 0,
    total: all.length + allFailures.length
  })

  const beside = init.besideReal ? await runBeside(init, store) : undefined

  const cells = summarise(experiment, results, failures)
  const text = reading(experiment, shown(cells), allFailures)
  makeFolder(join(store.path, 'figures'))
  const figures: { figure: ReturnType<typeof figuresOf>[number]; svg: string }[] = []
  for (const figure of figuresOf(experiment, shown(cells))) {
    init.signal.throwIfAborted()
    const svg = await renderSvg(figure.spec)
    figures.push({ figure, svg })
    store.file(join('figures', `${figure.name}.svg`), svg)
    store.file(join('figures', `${figure.name}.png`), await renderPng(svg))
    store.file(join('figures', `${figure.name}.vl.json`), `${JSON.stringify(figure.spec)}\n`)
  }
  store.file('results.csv', csv(all))
  store.file('results.parquet', parquet(all))
  store.file('reading.txt', `${text}\n`)
  const wall = all.reduce((sum, r) => sum + r.wall, 0)
  const { commands, notes } = init
  const page = html({
    experiment,
    cells,
    figures,
    reading: text,
    failures: allFailures,
    ...(beside === undefined ? {} : { beside }),
    commands,
    versions: { gradmesh: init.versions.gradmesh, Node: init.versions.node },
    notes,
    assumptions: assumptions(experiment),
    wall
  })
  store.file('report.html', page)
  return { cells, failures: allFailures, reading: text, report: join(store.path, 'report.html') }
}

/** The real part of a simulated experiment, and its simulation. */
async function runBeside(init: CompareInit, store: Store): Promise<BesideRow[]> {
  const experiment = await realPart(init.experiment, init.signal)
  const real = await execute(init, store, reportedRuns(experiment, new Map()), 'running')
  const simulated = await execute(init, store, simulatedPart(experiment, real.results), 'running')
  return besides(real.results, simulated.results)
}

/** Runs what has no result yet. */
async function execute(
  init: CompareInit,
  store: Store,
  specs: readonly RunSpec[],
  phase: Progress['phase']
): Promise<{ results: RunResult[]; failures: RunFailure[] }> {
  const { signal, now } = init
  const found = new Map<string, RunResult>()
  const failed = new Map<string, string>()
  const unique = [...new Map(specs.map(spec => [spec.id, spec])).values()]
  const missing: RunSpec[] = []
  for (const spec of unique) {
    const result = store.read(spec)
    if (result === undefined) missing.push(spec)
    else found.set(spec.id, result)
  }
  const begun = now()
  let running = 0
  let ended = 0
  const tell = () => {
    const left = ended === 0 ? undefined : ((now() - begun) / ended) * (missing.length - ended)
    const done = found.size
    init.onProgress?.({ phase, done, failed: failed.size, running, total: unique.length, ...(left === undefined ? {} : { left }) })
  }
  const onStart = () => {
    running++
    tell()
  }
  const onEnd = (spec: RunSpec, outcome: Outcome) => {
    running--
    ended++
    if ('error' in outcome) {
      failed.set(spec.id, outcome.error)
      init.onRun?.({ spec, error: outcome.error })
    } else {
      store.write(outcome.result, outcome.metrics)
      found.set(spec.id, outcome.result)
      init.onRun?.({ spec, result: outcome.result })
    }
    tell()
  }
  if (missing.length > 0) tell()
  const simulated = missing.filter(spec => spec.mode === 'simulated')
  await runOnThreads({ specs: simulated, threads: init.threads, versions: init.versions, onStart, onEnd, signal })
  // real runs have the machine to themselves
  for (const spec of missing) {
    if (spec.mode !== 'real') continue
    onStart()
    onEnd(spec, await init.real(spec, signal))
  }
  const results: RunResult[] = []
  const failures: RunFailure[] = []
  for (const spec of specs) {
    const result = found.get(spec.id)
    if (result !== undefined) results.push({ ...result, spec })
    else failures.push({ spec, error: failed.get(spec.id) ?? 'it did not run' })
  }
  return { results, failures }
}

function assumptions({ mode, computeMs, network, arithmetic, batch }: Experiment): string[] {
  if (mode === 'real') {
    return [
      'All trainers share one machine: they compete for its cores, caches and memory.',
      'A straggler is a trainer process that is stopped and continued in turns of 100 ms.'
    ]
  }
  return [
    `A step of ${batch} samples takes ${computeMs} ms times what the delay model says, on every trainer alike; gradients themselves are real.`,
    `Network ${network}: each trainer's card sends and receives one transfer at a time, first come, first served; messages take latency and bytes over rate.`,
    arithmetic === undefined
      ? 'Adding up arrays and applying updates takes no virtual time.'
      : `Adding up arrays takes virtual time, ${arithmetic} GB/s; applying updates takes none.`,
    'Asynchronous trainers take their samples from one order without delay, as if news of the sample ledger took no time.',
    'Evaluations take no virtual time.'
  ]
}

import { stringify } from 'yaml'
import { histogramFigures } from '../../actors/training/simulation/index.ts'
import { bytes, count } from '../terminal/format.ts'
import { type BesideRow, besideText } from './beside.ts'
import type { Figure } from './figures.ts'
import { total } from './figures.ts'
import type { Interval } from './statistics.ts'
import type { Cell } from './summary.ts'
import { targetText } from './target.ts'
import type { Experiment, RunFailure } from './types.ts'

export interface ReportInit {
  experiment: Experiment
  /** All of them, tuned and untuned. */
  cells: readonly Cell[]
  figures: readonly { figure: Figure; svg: string }[]
  reading: string
  failures: readonly RunFailure[]
  /** Real runs beside simulated ones. */
  beside?: readonly BesideRow[]
  /** What runs the same again. */
  commands: readonly string[]
  versions: Readonly<Record<string, string>>
  /** Notes of whoever ran it: what machine, what else ran. */
  notes: readonly string[]
  /** What of the experiment a simulation takes for granted. */
  assumptions: readonly string[]
  wall: number
}

/** The whole report as one HTML file that needs nothing else. */
export function html(init: ReportInit): string {
  const { experiment, figures, reading, failures } = init
  const sections = [
    `<h1>${escaped(experiment.title)}</h1>`,
    experiment.question === '' ? '' : `<p class="question">${escaped(experiment.question)}</p>`,
    `<p class="mode">${experiment.mode === 'simulated' ? 'Simulated: time is virtual, gradients are real.' : 'Real processes on one machine.'} ${escaped(setting(experiment))}</p>`,
    ...init.notes.map(note => `<p class="note">${escaped(note)}</p>`),
    '<h2>Reading</h2>',
    `<p>${escaped(reading)}</p>`,
    '<h2>Results</h2>',
    `<p>Mean ± half the 95 % interval (Student's t) over seeds; diverged runs are counted and left out of the means. Target: ${escaped(targetText(experiment.target))}.</p>`,
    table(init.cells, experiment),
    ...figures.map(
      ({ figure, svg }) =>
        `<figure id="${figure.name}"><h3>${escaped(figure.title)}</h3>${labelled(svg, figure)}<figcaption>${escaped(figure.caption)}</figcaption></figure>`
    ),
    failures.length === 0
      ? ''
      : `<h2>Failed runs</h2><ul>${failures.map(f => `<li>${escaped(f.spec.id)}: ${escaped(f.error)}</li>`).join('')}</ul>`,
    init.beside === undefined ? '' : besideSection(init.beside),
    init.assumptions.length === 0 ? '' : `<h2>Assumptions</h2><ul>${init.assumptions.map(a => `<li>${escaped(a)}</li>`).join('')}</ul>`,
    '<h2>To run it again</h2>',
    `<pre>${escaped(init.commands.join('\n'))}</pre>`,
    `<details><summary>The experiment</summary><pre>${escaped(stringify(experiment))}</pre></details>`,
    `<p>${Object.entries(init.versions)
      .map(([name, version]) => `${escaped(name)} ${escaped(version)}`)
      .join(
        ' · '
      )} · seeds ${experiment.seeds.join(', ')}${experiment.grid.length > 0 ? ` · tuned on ${experiment.tuneSeeds.join(', ')}` : ''} · ${init.wall.toFixed(0)} s of running</p>`
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(experiment.title)}</title>
<style>
body { font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.2rem } h3 { font-size: 1rem; margin: 0 0 .4rem }
table { border-collapse: collapse; font-size: .8rem; display: block; overflow-x: auto }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
figure { margin: 2rem 0 } figure svg { max-width: 100%; height: auto } figcaption { font-size: .85rem; color: #444 }
.mode, .note { color: #444 } pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .8rem }
</style>
</head>
<body>
${sections.filter(s => s !== '').join('\n')}
</body>
</html>
`
}

function setting({ model, data, trainers, batch, samples, network, computeMs, mode }: Experiment): string {
  const where = mode === 'simulated' ? `, network ${network}, ${computeMs} ms a step` : ''
  return `${trainers} trainers, model ${model}, data ${data}, batch ${batch} a trainer, ${count(samples)} samples${where}.`
}

function table(cells: readonly Cell[], { delays }: Experiment): string {
  const head = [
    'strategy',
    'delay',
    'rate',
    'time to target (s)',
    'accuracy (%)',
    'worst replica (%)',
    'loss',
    'time (s)',
    'samples/s',
    'sent',
    'updates',
    'staleness mean / p95 / max',
    'diverged',
    'failed'
  ]
  const tuning = cells.some(cell => cell.rate === 'tuned')
  const body = delays.flatMap(delay =>
    cells
      .filter(cell => cell.delay === delay)
      .map(cell => {
        const staleness = histogramFigures(total(cell))
        return [
          cell.label,
          delay,
          `${cell.lr}${tuning ? ` ${cell.rate}` : ''}`,
          cell.reached === 0
            ? 'never'
            : `${around(cell.timeToTarget, 1e-3)}${cell.reached < cell.runs.size ? ` (${cell.reached} of ${cell.runs.size})` : ''}`,
          around(cell.accuracy, 100),
          around(cell.worstAccuracy, 100),
          around(cell.loss, 1, 3),
          around(cell.time, 1e-3),
          around(cell.throughput, 1, 0),
          Number.isNaN(cell.bytes.mean) ? '' : bytes(cell.bytes.mean),
          Number.isNaN(cell.updates.mean) ? '' : count(cell.updates.mean),
          staleness.count === 0 ? '' : `${staleness.mean.toFixed(2)} / ${staleness.p95} / ${staleness.max}`,
          `${cell.diverged} of ${cell.runs.size}`,
          String(cell.failed)
        ]
      })
  )
  return htmlTable(head, body)
}

function besideSection(rows: readonly BesideRow[]): string {
  const head = ['strategy', 'delay', 'real (s)', 'simulated (s)', 'error (%)', 'accuracy, real (%)', 'accuracy, simulated (%)']
  const points = (share: number | undefined) => (share === undefined ? '' : (share * 100).toFixed(1))
  const body = rows.map(({ label, delay, real, predicted, accuracy }) => [
    label,
    delay,
    (real / 1000).toFixed(2),
    (predicted / 1000).toFixed(2),
    `${predicted < real ? '−' : '+'}${Math.abs((100 * (predicted - real)) / real).toFixed(0)}`,
    points(accuracy.real),
    points(accuracy.predicted)
  ])
  return `<h2>Beside real runs</h2><p>${escaped(besideText)}</p>${htmlTable(head, body)}`
}

function htmlTable(head: string[], body: string[][]): string {
  const row = (cellsOf: string[], tag: string) => `<tr>${cellsOf.map(cell => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<table><thead>${row(head, 'th')}</thead><tbody>${body.map(cellsOf => row(cellsOf, 'td')).join('\n')}</tbody></table>`
}

/** `12.3 ± 0.4`, digits by the size of the interval. */
export function around({ n, mean, half }: Interval, scale: number, digits?: number): string {
  if (n === 0) return ''
  const value = mean * scale
  const width = (half ?? 0) * scale
  const places = digits ?? Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.max(width > 0 ? width * 10 : Math.abs(value), 1e-4)))))
  return half === undefined ? value.toFixed(places) : `${value.toFixed(places)} ± ${width.toFixed(places)}`
}

/** A figure that says what it is to those who cannot see it. */
function labelled(svg: string, { title, caption }: Figure): string {
  return svg.replace('<svg ', `<svg role="img" aria-label="${escaped(`${title}. ${caption}`)}" `)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

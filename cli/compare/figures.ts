import { histogramFigures } from '../../actors/training/simulation/index.ts'
import { type Axis, curve } from './curves.ts'
import type { Cell } from './summary.ts'
import { targetText } from './target.ts'
import type { Experiment } from './types.ts'

/** A figure: a Vega-Lite specification with its data in it. */
export interface Figure {
  /** Of its files. */
  name: string
  title: string
  /** What one sees, for those who do not. */
  caption: string
  spec: Record<string, unknown>
}

/** Okabe and Ito's colours, which people with any common colour blindness tell apart; yellow is too pale for lines. */
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000', '#999999']
/** Lines differ in dashes too, so that colour is not all; one fewer than colours, so that no pair of both comes again soon. */
const DASHES = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 2, 2, 2],
  [4, 1],
  [10, 4],
  [1, 3]
]
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down', 'triangle-right', 'triangle-left']

const WIDTH = 300
const HEIGHT = 210

/** Every figure for which there are data. */
export function figuresOf(experiment: Experiment, cells: readonly Cell[]): Figure[] {
  const clock = experiment.mode === 'simulated' ? 'virtual time' : 'time'
  return [
    lossFigure(experiment, cells, 'samples', 'samples', false),
    lossFigure(experiment, cells, 'updates', 'updates of the model', true),
    lossFigure(experiment, cells, 'time', `${clock} (s)`, false),
    lossFigure(experiment, cells, 'bytes', 'sent by all trainers (MB)', true),
    timeToTarget(experiment, cells, clock),
    accuracy(experiment, cells),
    consensus(experiment, cells),
    staleness(experiment, cells),
    utilisation(experiment, cells),
    throughput(experiment, cells)
  ].filter(figure => figure !== undefined)
}

const scaleOf: Record<Axis, number> = { samples: 1, updates: 1, time: 1e-3, bytes: 1e-6 }

function lossFigure(experiment: Experiment, cells: readonly Cell[], axis: Axis, title: string, log: boolean): Figure | undefined {
  const values = cells.flatMap(cell =>
    curve(cell, axis, p => p.loss)
      .filter(p => !log || p.x > 0)
      .map(({ x, mean, low, high }) => ({
        strategy: cell.label,
        delay: cell.delay,
        x: x * scaleOf[axis],
        mean,
        low: Math.max(low, 1e-6),
        high
      }))
  )
  if (values.length === 0) return undefined
  return {
    name: `loss-by-${axis}`,
    title: `Test loss against ${title}`,
    caption: `Test loss of the mean model against ${title}${log ? ', logarithmic' : ''}: mean over seeds, shaded the 95 % interval.`,
    spec: lines(experiment, values, title, 'test loss', { logX: log, logY: true })
  }
}

function consensus(experiment: Experiment, cells: readonly Cell[]): Figure | undefined {
  const values = cells.flatMap(cell =>
    curve(cell, 'samples', p => p.consensus).map(({ x, mean, low, high }) => ({
      strategy: cell.label,
      delay: cell.delay,
      x,
      mean,
      low: Math.max(0, low),
      high
    }))
  )
  if (!values.some(v => v.mean > 0)) return undefined
  return {
    name: 'consensus',
    title: 'Consensus distance',
    caption: 'How far the replicas lie from their mean (root of the mean squared distance) against samples; 0 where all are equal.',
    spec: lines(experiment, values, 'samples', 'consensus distance', {})
  }
}

function lines(
  experiment: Experiment,
  values: object[],
  x: string,
  y: string,
  { logX = false, logY = false }: { logX?: boolean; logY?: boolean }
): Record<string, unknown> {
  const xField = {
    field: 'x',
    type: 'quantitative',
    title: x,
    scale: { type: logX ? 'log' : 'linear', nice: !logX },
    axis: { format: '~s', labelOverlap: true }
  }
  const yScale = logY ? { type: 'log', nice: false } : { type: 'linear' }
  const who = labels(experiment)
  return faceted(experiment, values, [
    {
      mark: { type: 'area', opacity: 0.18 },
      encoding: {
        x: xField,
        y: { field: 'low', type: 'quantitative', scale: yScale, title: y },
        y2: { field: 'high' },
        color: colour(experiment)
      }
    },
    {
      mark: { type: 'line', strokeWidth: 2 },
      encoding: {
        x: xField,
        y: { field: 'mean', type: 'quantitative', scale: yScale, title: y },
        color: colour(experiment),
        // one legend for both: it shows colour and dash
        strokeDash: { field: 'strategy', type: 'nominal', title: null, scale: { domain: who, range: cycle(DASHES, experiment) } }
      }
    }
  ])
}

function timeToTarget(experiment: Experiment, cells: readonly Cell[], clock: string): Figure | undefined {
  const values = cells
    .filter(cell => cell.timeToTarget.n > 0)
    .map(({ label, delay, timeToTarget: { mean, half = 0 }, reached, runs }) => ({
      strategy: label,
      delay,
      mean: mean / 1000,
      low: Math.max(mean - half, 0) / 1000,
      high: (mean + half) / 1000,
      note: reached < runs.size ? `${reached} of ${runs.size}` : ''
    }))
  if (values.length === 0) return undefined
  return {
    name: 'time-to-target',
    title: `Time to ${targetText(experiment.target)}`,
    caption: `${clock[0]!.toUpperCase()}${clock.slice(1)} until the mean model has ${targetText(experiment.target)}: mean and 95 % interval over the runs that reached it; "k of n" where not all did.`,
    spec: bars(experiment, values, `${clock} to ${targetText(experiment.target)} (s)`, true)
  }
}

function accuracy(experiment: Experiment, cells: readonly Cell[]): Figure | undefined {
  const values = cells
    .filter(cell => cell.accuracy.n > 0)
    .map(({ label, delay, accuracy: { mean, half = 0 } }) => ({
      strategy: label,
      delay,
      mean: mean * 100,
      low: (mean - half) * 100,
      high: (mean + half) * 100,
      note: ''
    }))
  if (values.length === 0) return undefined
  return {
    name: 'accuracy',
    title: 'Test accuracy at the end',
    caption: 'Test accuracy of the mean model after the last sample: mean and 95 % interval over seeds.',
    spec: bars(experiment, values, 'test accuracy (%)', false)
  }
}

function throughput(experiment: Experiment, cells: readonly Cell[]): Figure | undefined {
  const values = cells
    .filter(cell => cell.throughput.n > 0)
    .map(({ label, delay, throughput: { mean, half = 0 } }) => ({
      strategy: label,
      delay,
      mean,
      low: mean - half,
      high: mean + half,
      note: ''
    }))
  if (values.length === 0) return undefined
  return {
    name: 'throughput',
    title: 'Throughput',
    caption: 'Samples that all trainers together train in a second: mean and 95 % interval over seeds.',
    spec: bars(experiment, values, `samples a second${experiment.mode === 'simulated' ? ', virtual time' : ''}`, true)
  }
}

function bars(experiment: Experiment, values: object[], title: string, zero: boolean): Record<string, unknown> {
  const y = { field: 'strategy', type: 'nominal', sort: labels(experiment), title: null, axis: { labelLimit: 300 } }
  const x = (field: string) => ({ field, type: 'quantitative', title, scale: { zero, nice: true } })
  return {
    ...faceted(
      experiment,
      values,
      [
        { mark: { type: 'rule', strokeWidth: 2 }, encoding: { y, x: x('low'), x2: { field: 'high' }, color: colour(experiment, false) } },
        {
          mark: { type: 'point', filled: true, size: 70, opacity: 1 },
          encoding: {
            y,
            x: x('mean'),
            color: colour(experiment, false),
            shape: {
              field: 'strategy',
              type: 'nominal',
              scale: { domain: labels(experiment), range: cycle(SHAPES, experiment) },
              legend: null
            }
          }
        },
        { mark: { type: 'text', align: 'left', dx: 9, dy: -8, fontSize: 10 }, encoding: { y, x: x('mean'), text: { field: 'note' } } }
      ],
      { height: { step: 26 } }
    )
  }
}

function staleness(experiment: Experiment, cells: readonly Cell[]): Figure | undefined {
  const values = cells.flatMap(cell => {
    const counts = total(cell)
    const { count, p99 } = histogramFigures(counts)
    if (count === 0) return []
    const shares = Array.from({ length: Math.max(8, p99 + 1) }, (_, i) => counts[i] ?? 0)
    return shares.map((n, staleness) => ({ strategy: cell.label, delay: cell.delay, staleness, share: (100 * n) / count }))
  })
  if (values.length === 0) return undefined
  const who = labels(experiment).filter(label => values.some(v => v.strategy === label))
  return {
    name: 'staleness',
    title: 'Staleness',
    caption:
      'How often an exchange was so many steps stale, up to the 99th percentile, over all trainers and seeds. Strategies count it in their own way.',
    spec: base({
      data: { values },
      facet: {
        row: { field: 'strategy', type: 'nominal', sort: who, title: null, header: { labelAngle: 0, labelAlign: 'left', labelLimit: 200 } },
        column: { field: 'delay', type: 'nominal', sort: experiment.delays, title: null }
      },
      spec: {
        width: WIDTH,
        height: 80,
        mark: { type: 'bar' },
        encoding: {
          x: { field: 'staleness', type: 'ordinal', title: 'staleness (steps)', axis: { labelAngle: 0, labelOverlap: true } },
          y: { field: 'share', type: 'quantitative', title: 'share (%)' },
          color: colour(experiment, false)
        }
      },
      resolve: { scale: { x: 'independent', y: 'independent' } }
    })
  }
}

/** Staleness of all runs of a cell. */
export function total(cell: Cell): number[] {
  const counts: number[] = []
  for (const { staleness } of cell.runs.values()) for (const [i, n] of staleness.entries()) counts[i] = (counts[i] ?? 0) + n
  return Array.from(counts, n => n ?? 0)
}

function utilisation(experiment: Experiment, cells: readonly Cell[]): Figure | undefined {
  const names = { compute: 'computing', exchange: 'exchanging', idle: 'waiting' } as const
  const values = cells.flatMap(cell => {
    const runs = [...cell.runs.values()].filter(r => r.utilisation !== undefined && !r.diverged)
    if (runs.length === 0) return []
    return (['compute', 'exchange', 'idle'] as const).map((key, order) => ({
      strategy: cell.label,
      delay: cell.delay,
      part: names[key],
      order,
      share: (100 * runs.reduce((sum, r) => sum + r.utilisation![key], 0)) / runs.length
    }))
  })
  if (values.length === 0) return undefined
  return {
    name: 'utilisation',
    title: "Where the trainers' time goes",
    caption: 'Computing gradients; not computing while a transfer is under way; waiting for others. Mean over trainers and seeds.',
    spec: base({
      data: { values },
      facet: { column: { field: 'delay', type: 'nominal', sort: experiment.delays, title: null } },
      spec: {
        width: WIDTH,
        height: { step: 24 },
        mark: 'bar',
        encoding: {
          y: { field: 'strategy', type: 'nominal', sort: labels(experiment), title: null, axis: { labelLimit: 300 } },
          x: { field: 'share', type: 'quantitative', title: 'share of time (%)', scale: { domain: [0, 100] } },
          color: {
            field: 'part',
            type: 'nominal',
            title: null,
            legend: { symbolType: 'square', symbolSize: 150, symbolStrokeWidth: 0 },
            scale: { domain: Object.values(names), range: ['#0072B2', '#E69F00', '#BBBBBB'] }
          },
          order: { field: 'order' }
        }
      }
    })
  }
}

function faceted(experiment: Experiment, values: object[], layer: object[], size: object = { height: HEIGHT }): Record<string, unknown> {
  return base({
    data: { values },
    facet: { column: { field: 'delay', type: 'nominal', sort: experiment.delays, title: null } },
    spec: { width: WIDTH, ...size, layer },
    resolve: { scale: { x: 'shared', y: 'shared' } }
  })
}

function base(spec: Record<string, unknown>): Record<string, unknown> {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    padding: 8,
    config: {
      font: 'DejaVu Sans, Verdana, sans-serif',
      axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: 'normal', gridColor: '#e4e4e4' },
      header: { labelFontSize: 12, labelFontWeight: 'bold' },
      legend: {
        labelFontSize: 11,
        labelLimit: 240,
        symbolStrokeWidth: 2.5,
        symbolType: 'stroke',
        symbolSize: 400,
        symbolOpacity: 1,
        orient: 'bottom',
        columns: 3,
        title: null
      },
      view: { stroke: '#bbbbbb' }
    },
    ...spec
  }
}

function labels(experiment: Experiment): string[] {
  return experiment.strategies.map(s => s.label)
}

function colour(experiment: Experiment, legend = true): object {
  const scale = { domain: labels(experiment), range: cycle(COLOURS, experiment) }
  return { field: 'strategy', type: 'nominal', title: null, scale, ...(legend ? {} : { legend: null }) }
}

function cycle<T>(values: readonly T[], experiment: Experiment): T[] {
  return experiment.strategies.map((_, i) => values[i % values.length]!)
}

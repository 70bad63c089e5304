import type { PlanRow } from './plan.ts'

/** Colours that people with any common colour blindness tell apart (Okabe and Ito). */
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000', '#999999']

/** Throughput, efficiency and bytes against trainers, as a Vega-Lite specification with its data in it. */
export function planFigure(title: string, rows: readonly PlanRow[]): Record<string, unknown> {
  const strategies = [...new Set(rows.map(row => row.strategy))]
  const networks = [...new Set(rows.map(row => row.network))]
  const values = rows.map(row => ({ ...row, percent: row.efficiency * 100, megabytes: row.bytesPerStep / 1e6 }))
  const trainers = [...new Set(rows.map(row => row.trainers))].sort((a, b) => a - b)
  const panel = (field: string, name: string, scale: object) => ({
    width: 300,
    height: 240,
    mark: { type: 'line', strokeWidth: 2, point: { size: 40, filled: true } },
    encoding: {
      x: {
        field: 'trainers',
        type: 'quantitative',
        title: 'trainers',
        scale: { type: 'log', base: 2, nice: false },
        axis: { values: trainers, format: 'd', labelOverlap: true }
      },
      y: { field, type: 'quantitative', title: name, scale, axis: { format: '~s' } },
      color: {
        field: 'strategy',
        type: 'nominal',
        title: 'strategy',
        scale: { domain: strategies, range: strategies.map((_, i) => COLOURS[i % COLOURS.length]) }
      },
      strokeDash: { field: 'network', type: 'nominal', title: 'network', scale: { domain: networks } },
      shape: { field: 'network', type: 'nominal', title: 'network', scale: { domain: networks } }
    }
  })
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title, fontSize: 14, anchor: 'start' },
    background: 'white',
    padding: 8,
    config: {
      font: 'DejaVu Sans, Verdana, sans-serif',
      axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: 'normal', gridColor: '#e4e4e4' },
      legend: { labelFontSize: 11, titleFontSize: 11, symbolStrokeWidth: 3, orient: 'right', labelLimit: 220 },
      view: { stroke: '#bbbbbb' }
    },
    data: { values },
    hconcat: [
      panel('samplesPerSecond', 'throughput (samples/s)', { type: 'log', nice: false }),
      panel('percent', 'efficiency (%)', { domain: [0, 100] }),
      panel('megabytes', 'sent by a trainer in a step (MB)', { type: 'log', nice: false })
    ]
  }
}

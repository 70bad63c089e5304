import { parquetWriteBuffer } from 'hyparquet-writer'
import { histogramFigures } from '../../actors/training/simulation/index.ts'
import type { RunResult } from './types.ts'

type Value = string | number | boolean | null

/** A row a run, the same columns in every row. */
export function rows(results: readonly RunResult[]): Record<string, Value>[] {
  return results.map(r => {
    const staleness = histogramFigures(r.staleness)
    const stale = staleness.count > 0
    return {
      run: r.spec.id,
      purpose: r.spec.purpose,
      rate: r.spec.rate,
      mode: r.spec.mode,
      label: r.spec.label,
      strategy: r.spec.strategy,
      options: JSON.stringify(r.spec.options),
      model: r.spec.model,
      data: r.spec.data,
      trainers: r.spec.trainers,
      batch: r.spec.batch,
      delay: r.spec.delay,
      network: r.spec.network,
      seed: r.spec.seed,
      lr: r.spec.lr,
      samples: r.samples,
      updates: r.updates,
      time_ms: r.time,
      bytes: r.bytes,
      messages: r.messages ?? null,
      loss: r.loss ?? null,
      accuracy: r.accuracy ?? null,
      worst_accuracy: r.worstAccuracy ?? null,
      time_to_target_ms: r.timeToTarget ?? null,
      diverged: r.diverged,
      incomplete: r.incomplete,
      churned: r.churned,
      staleness_mean: stale ? staleness.mean : null,
      staleness_p95: stale ? staleness.p95 : null,
      staleness_p99: stale ? staleness.p99 : null,
      staleness_max: stale ? staleness.max : null,
      share_compute: r.utilisation?.compute ?? null,
      share_exchange: r.utilisation?.exchange ?? null,
      share_idle: r.utilisation?.idle ?? null,
      trace: r.hash ?? null,
      wall_s: r.wall,
      gradmesh: r.versions.gradmesh,
      node: r.versions.node
    }
  })
}

/** RFC 4180, one line a run. */
export function csv(results: readonly RunResult[]): string {
  const table = rows(results)
  const columns = Object.keys(table[0] ?? {})
  const cell = (value: Value) => {
    const text = value === null ? '' : String(value)
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return [columns, ...table.map(row => columns.map(column => row[column] ?? null))].map(row => `${row.map(cell).join(',')}\r\n`).join('')
}

/** The same as Parquet. */
export function parquet(results: readonly RunResult[]): Uint8Array {
  const table = rows(results)
  const columnData = Object.keys(table[0] ?? {}).map(name => {
    const data = table.map(row => row[name] ?? null)
    const present = data.find(value => value !== null)
    const type = typeof present === 'number' ? 'DOUBLE' : typeof present === 'boolean' ? 'BOOLEAN' : 'STRING'
    return { name, data, type: type as 'DOUBLE' | 'BOOLEAN' | 'STRING' }
  })
  return new Uint8Array(parquetWriteBuffer({ columnData }))
}

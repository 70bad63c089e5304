import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidParametersError } from '../../common/index.ts'
import { makeFolder } from '../../mesh/state/index.ts'
import type { MetricLine } from './simulated-run.ts'
import type { RunResult, RunSpec } from './types.ts'

const RESULT = 'result.json'

/**
 * The folder of a comparison: `runs/ID/` with `result.json` and `metrics.jsonl` for each run that is done. A run is done when its
 * result is there, which appears whole or not at all; so a comparison begun again goes on where it was interrupted.
 */
export class Store {
  /** Absolute. */
  readonly path: string

  /** @throws InvalidParametersError when the folder cannot be made or written */
  constructor(path: string) {
    this.path = path
    try {
      makeFolder(join(path, 'runs'))
    } catch (error) {
      throw new InvalidParametersError(`the folder ${path} cannot be written: ${(error as Error).message}`)
    }
  }

  /** The result of a run that was done before; undefined also for one that is unreadable or another's. */
  read(spec: RunSpec): RunResult | undefined {
    const path = join(this.path, 'runs', spec.id, RESULT)
    if (!existsSync(path)) return undefined
    try {
      const result = JSON.parse(readFileSync(path, 'utf8')) as RunResult
      // the same run may be asked for under another purpose: a given rate that is the tuned one too
      return result.spec.id === spec.id && Array.isArray(result.points) ? { ...result, spec } : undefined
    } catch {
      return undefined
    }
  }

  write(result: RunResult, metrics: readonly MetricLine[]): void {
    const folder = join(this.path, 'runs', result.spec.id)
    makeFolder(folder)
    writeFileSync(join(folder, 'metrics.jsonl'), metrics.map(line => `${JSON.stringify(line)}\n`).join(''))
    this.file(join('runs', result.spec.id, RESULT), `${JSON.stringify(result)}\n`)
  }

  /** Writes a file below the folder, whole or not at all. */
  file(name: string, content: string | Uint8Array): void {
    const path = join(this.path, name)
    const temporary = `${path}.${process.pid}.tmp`
    writeFileSync(temporary, content)
    renameSync(temporary, path)
  }
}

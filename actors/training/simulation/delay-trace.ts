import { readFile } from 'node:fs/promises'
import { InvalidParametersError, MalformedError } from '../../../common/index.ts'

/** Lines of a trace: more than any measured run has, far less than memory. */
const MAX_LINES = 2_000_000

/** Measured computing times: `times[trainer][step]`, ms. A simulation with more trainers or steps goes round. */
export interface DelayTrace {
  times: Float64Array[]
}

/**
 * Reads a delay trace: CSV with the header `trainer,step,ms`, both counted from 0, in any order.
 *
 * @throws MalformedError naming file and line for a missing or doubled step, a missing trainer, a negative or unreadable time
 */
export async function readDelayTrace(path: string, options: { signal?: AbortSignal } = {}): Promise<DelayTrace> {
  let text: string
  try {
    text = await readFile(path, { encoding: 'utf8', signal: options.signal })
  } catch (error) {
    options.signal?.throwIfAborted()
    throw new InvalidParametersError(`the delay trace ${path} cannot be read: ${(error as Error).message}`)
  }
  return parseDelayTrace(text, path)
}

/** @param name - what messages call it */
export function parseDelayTrace(text: string, name: string): DelayTrace {
  const lines = text.split(/\r?\n/)
  if (lines.length > MAX_LINES) throw new MalformedError(`${name}: over ${MAX_LINES} lines`)
  if (lines[0]?.replaceAll(' ', '') !== 'trainer,step,ms') throw new MalformedError(`${name}, line 1: the header must be trainer,step,ms`)
  const known = new Map<number, Map<number, number>>()
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!.trim()
    if (line === '') continue
    const where = `${name}, line ${i + 1}`
    const [trainer, step, ms, ...more] = line.split(',').map(cell => (cell.trim() === '' ? Number.NaN : Number(cell)))
    if (more.length > 0 || !isIndex(trainer) || !isIndex(step) || !Number.isFinite(ms)) {
      throw new MalformedError(`${where}: '${line.slice(0, 60)}' is not trainer,step,ms`)
    }
    if (ms! < 0) throw new MalformedError(`${where}: trainer ${trainer} takes ${ms} ms for step ${step}; times cannot be negative`)
    const steps = known.get(trainer) ?? new Map<number, number>()
    known.set(trainer, steps)
    if (steps.has(step)) throw new MalformedError(`${where}: step ${step} of trainer ${trainer} stands there twice`)
    steps.set(step, ms!)
  }
  if (known.size === 0) throw new MalformedError(`${name}: there is no time in it`)
  const times: Float64Array[] = []
  for (let trainer = 0; trainer < known.size; trainer++) {
    const steps = known.get(trainer)
    if (steps === undefined) throw new MalformedError(`${name}: trainer ${trainer} is missing; trainers count from 0 without a gap`)
    const row = new Float64Array(steps.size)
    for (let step = 0; step < row.length; step++) {
      const ms = steps.get(step)
      if (ms === undefined) throw new MalformedError(`${name}: a gap: trainer ${trainer} has no time for step ${step}`)
      row[step] = ms
    }
    times.push(row)
  }
  return { times }
}

function isIndex(x: number | undefined): x is number {
  return Number.isSafeInteger(x) && x! >= 0
}

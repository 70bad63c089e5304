import { InvalidParametersError, type Rng } from '../../../common/index.ts'
import type { DelayTrace } from './delay-trace.ts'

/**
 * How long trainers compute, as a factor on the time of a step. The mean of `constant`, `lognormal` and `exponential` is 1, so that
 * they differ in spread alone.
 *
 * - `straggler`: the first `count` trainers are `factor` times as slow, always
 * - `bursts`: every trainer is now and then `factor` times as slow: calm for `every` ms in the mean, slow for `length` ms in the mean,
 *   both exponential; a step takes the speed of its beginning
 * - `trace`: the times of a file, step by step; see {@link DelayTrace}
 */
export type DelaySpec =
  | { model: 'constant' }
  | { model: 'lognormal'; sigma: number }
  | { model: 'exponential' }
  | { model: 'straggler'; factor: number; count?: number }
  | { model: 'bursts'; factor: number; every: number; length: number }
  | { model: 'trace'; file: string }

/** What `--delay` and an experiment file may say. */
export const delayForms = [
  'constant',
  'lognormal[:SIGMA]',
  'exponential',
  'straggler[:FACTOR[,COUNT]]',
  'bursts[:FACTOR,EVERY_MS,LENGTH_MS]',
  'trace:FILE'
]

/**
 * The delay model that `text` names, with its figures after a colon: `straggler:5`, `bursts:5,2000,400`, `trace:delays.csv`.
 *
 * @throws InvalidParametersError that lists the forms
 */
export function parseDelay(text: string): DelaySpec {
  const [, name = '', rest] = /^([a-z]+)(?::(.*))?$/s.exec(text) ?? []
  if (name === 'trace' && rest) return { model: 'trace', file: rest }
  const figures = rest === undefined ? [] : rest.split(',').map(figure => (/^\d+(\.\d+)?$/.test(figure) ? Number(figure) : Number.NaN))
  const takes = (most: number, positive = true) => figures.length <= most && figures.every(x => Number.isFinite(x) && (!positive || x > 0))
  if (name === 'constant' && takes(0)) return { model: 'constant' }
  if (name === 'exponential' && takes(0)) return { model: 'exponential' }
  if (name === 'lognormal' && takes(1)) return { model: 'lognormal', sigma: figures[0] ?? 0.5 }
  if (name === 'straggler' && takes(2) && Number.isInteger(figures[1] ?? 1)) {
    return { model: 'straggler', factor: figures[0] ?? 5, count: figures[1] ?? 1 }
  }
  if (name === 'bursts' && takes(3)) {
    return { model: 'bursts', factor: figures[0] ?? 5, every: figures[1] ?? 2000, length: figures[2] ?? 400 }
  }
  throw new InvalidParametersError(`there is no delay model '${text.slice(0, 100)}'; choose one of ${delayForms.join(', ')}`)
}

/** The short text of a delay model, which {@link parseDelay} reads. */
export function delayText(spec: DelaySpec): string {
  switch (spec.model) {
    case 'lognormal':
      return `lognormal:${spec.sigma}`
    case 'straggler':
      return `straggler:${spec.factor}${(spec.count ?? 1) === 1 ? '' : `,${spec.count}`}`
    case 'bursts':
      return `bursts:${spec.factor},${spec.every},${spec.length}`
    case 'trace':
      return `trace:${spec.file}`
    default:
      return spec.model
  }
}

/** The computing times of one trainer, each draw from a generator of its own. */
export interface Delays {
  /** @param now - virtual ms  @param mean - ms the computation takes at the nominal speed */
  next(now: number, mean: number): number
}

/** @param index - of the trainer's slot, from 0  @param trace - of a `trace` model, read by `readDelayTrace` */
export function createDelays(spec: DelaySpec, index: number, rng: Rng, trace?: DelayTrace): Delays {
  switch (spec.model) {
    case 'constant':
      return { next: (_, mean) => mean }
    case 'lognormal': {
      const shift = -(spec.sigma ** 2) / 2
      return { next: (_, mean) => mean * Math.exp(shift + spec.sigma * rng.normal()) }
    }
    case 'exponential':
      return { next: (_, mean) => -mean * Math.log(1 - rng.float()) }
    case 'straggler': {
      const factor = index < (spec.count ?? 1) ? spec.factor : 1
      return { next: (_, mean) => mean * factor }
    }
    case 'bursts':
      return bursts(spec, rng)
    case 'trace': {
      const times = trace?.times[index % (trace?.times.length ?? 1)]
      if (times === undefined) throw new InvalidParametersError(`the delay trace ${spec.file} was not read`)
      let step = 0
      return { next: () => times[step++ % times.length]! }
    }
  }
}

function bursts({ factor, every, length }: Extract<DelaySpec, { model: 'bursts' }>, rng: Rng): Delays {
  let slow = false
  let until = -every * Math.log(1 - rng.float())
  return {
    next(now, mean) {
      while (until <= now) {
        slow = !slow
        until += -(slow ? length : every) * Math.log(1 - rng.float())
      }
      return slow ? mean * factor : mean
    }
  }
}

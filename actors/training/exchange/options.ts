import { InvalidParametersError } from '../../../common/index.ts'
import type { StrategyOptions } from './strategy.ts'

/**
 * Checks that `options` of strategy `strategy` holds only keys of `known`.
 *
 * @throws InvalidParametersError that names the key and lists the known ones
 */
export function onlyKnown(strategy: string, options: StrategyOptions, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    if (key === 'codec' || key === 'aggregate') {
      throw new InvalidParametersError(`strategy '${strategy}' takes no ${key}: only allreduce has every rank's own gradients at hand`)
    }
    const list = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`
    throw new InvalidParametersError(`strategy '${strategy}' has no option '${key.slice(0, 100)}'; ${list}`)
  }
}

/**
 * The integer option `key`, `fallback` where it is absent.
 *
 * @throws InvalidParametersError that names the option and its bounds
 */
export function integerOption(strategy: string, options: StrategyOptions, key: string, fallback: number, min: number, max: number): number {
  const value = options[key] ?? fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new InvalidParametersError(
    `option '${key}' of strategy '${strategy}' must be an integer from ${min} to ${max}, not ${String(value).slice(0, 100)}`
  )
}

/** An interval of numbers, each end open or closed. */
export interface Interval {
  above?: number
  from?: number
  below?: number
  to?: number
}

/**
 * The option `key` as a finite number of `interval`, `fallback` where it is absent.
 *
 * @throws InvalidParametersError that names the option and its bounds
 */
export function numberOption(strategy: string, options: StrategyOptions, key: string, fallback: number, interval: Interval = {}): number {
  const value = options[key] ?? fallback
  const { above, from, below, to } = interval
  const inside =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    !(above !== undefined && value <= above) &&
    !(from !== undefined && value < from) &&
    !(below !== undefined && value >= below) &&
    !(to !== undefined && value > to)
  if (inside) return value as number
  const bounds = Object.entries({ above, 'at least': from, below, 'at most': to }).filter(([, bound]) => bound !== undefined)
  throw new InvalidParametersError(
    `option '${key}' of strategy '${strategy}' must be a number${bounds.map(([word, bound]) => ` ${word} ${bound}`).join(',')}, not ${String(value).slice(0, 100)}`
  )
}

/** The option `key` as true or false, `fallback` where it is absent. @throws InvalidParametersError that names the option */
export function booleanOption(strategy: string, options: StrategyOptions, key: string, fallback: boolean): boolean {
  const value = options[key] ?? fallback
  if (typeof value === 'boolean') return value
  throw new InvalidParametersError(`option '${key}' of strategy '${strategy}' must be true or false, not ${String(value).slice(0, 100)}`)
}

/** The option `key` as one of `choices`, the first where it is absent. @throws InvalidParametersError that lists the choices */
export function choiceOption<const T extends string>(strategy: string, options: StrategyOptions, key: string, choices: readonly T[]): T {
  const value = options[key] ?? choices[0]
  if (choices.includes(value as T)) return value as T
  throw new InvalidParametersError(
    `option '${key}' of strategy '${strategy}' must be one of ${choices.join(', ')}, not ${String(value).slice(0, 100)}`
  )
}

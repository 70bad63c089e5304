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

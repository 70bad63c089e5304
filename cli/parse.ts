import type { FabricChoice } from '../actors/training/service-types.ts'
import { InvalidParametersError } from '../common/index.ts'

/** Turns the text of one flag into its value. @throws InvalidParametersError that names the flag and the text */
export type Parser<T> = (flag: string, text: string) => T

function wrong(flag: string, takes: string, text: string): InvalidParametersError {
  return new InvalidParametersError(`${flag} takes ${takes}, not '${text.slice(0, 100)}'`)
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Parser<number> {
  const takes = max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`
  return (flag, text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max)) throw wrong(flag, takes, text)
    return value
  }
}

/** A number in an interval, each end open or closed. */
export function number(interval: { above?: number; from?: number; below?: number; to?: number }): Parser<number> {
  const { above, from, below, to } = interval
  const bounds = [
    above === undefined ? '' : `above ${above}`,
    from === undefined ? '' : `at least ${from}`,
    below === undefined ? '' : `below ${below}`,
    to === undefined ? '' : `at most ${to}`
  ]
  const takes = `a number ${bounds.filter(text => text !== '').join(', ')}`
  return (flag, text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
    const inside =
      Number.isFinite(value) &&
      (above === undefined || value > above) &&
      (from === undefined || value >= from) &&
      (below === undefined || value < below) &&
      (to === undefined || value <= to)
    if (!inside) throw wrong(flag, takes, text)
    return value
  }
}

export function oneOf<const T extends string>(...choices: T[]): Parser<T> {
  return (flag, text) => {
    if (!choices.includes(text as T)) throw wrong(flag, choices.length === 2 ? choices.join(' or ') : `one of ${choices.join(', ')}`, text)
    return text as T
  }
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A time with its unit, `90s`, `30m`, `24h`, `7d`, as milliseconds. */
export function duration(min: number, max: number): Parser<number> {
  return (flag, text) => {
    const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
    const value = amount === undefined ? Number.NaN : Number(amount) * (units[unit as string] as number)
    if (!(value >= min && value <= max)) throw wrong(flag, 'a time such as 30m, 24h or 7d', text)
    return value
  }
}

/** `key=value`, added to those given before. */
export function label(flag: string, text: string, before: Record<string, string>): Record<string, string> {
  const [, key, value] = /^([A-Za-z0-9][\w.-]{0,62})=(.{0,255})$/.exec(text) ?? []
  if (key === undefined || value === undefined) throw wrong(flag, 'key=value', text)
  return { ...before, [key]: value }
}

/** `key=value` of a strategy, added to those given before: a number, true, false, or text. */
export function option(
  flag: string,
  text: string,
  before: Record<string, string | number | boolean> = {}
): Record<string, string | number | boolean> {
  const [, key, value] = /^([a-z][\w-]{0,63})=(.{1,256})$/.exec(text) ?? []
  if (key === undefined || value === undefined) throw wrong(flag, 'key=value, such as h=8', text)
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN
  return { ...before, [key]: Number.isFinite(number) ? number : value === 'true' ? true : value === 'false' ? false : value }
}

/** `first-last`, or one port. */
export function portRange(flag: string, text: string): [number, number] {
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const range: [number, number] = [Number(first), Number(last ?? first)]
  if (first === undefined || range[0] < 1 || range[1] > 65_535 || range[0] > range[1]) throw wrong(flag, 'ports such as 4100-4199', text)
  return range
}

/** Ways that gradients may take, comma-separated. The stream is always among them: the others fall back to it. */
export function fabrics(flag: string, text: string): FabricChoice[] {
  const choices: FabricChoice[] = ['shm', 'rdma', 'stream']
  const names = text.split(',').map(name => name.trim())
  if (!names.every(name => (choices as string[]).includes(name))) throw wrong(flag, 'one or more of shm, rdma, stream', text)
  return choices.filter(choice => choice === 'stream' || names.includes(choice))
}

/** A multiaddr, as far as its form can be told without the network stack. */
export function multiaddr(flag: string, text: string): string {
  if (!/^(\/[\w.:%+-]+){2,32}$/.test(text) || text.length > 512) throw wrong(flag, 'a multiaddr such as /ip4/192.0.2.1/tcp/4001', text)
  return text
}

/** A mean and half the width of its 95 % confidence interval. */
export interface Interval {
  n: number
  mean: number
  /** Undefined with fewer than two values: there is no interval then. */
  half?: number
}

/** Mean and 95 % interval of independent values, by Student's t. */
export function interval(values: readonly number[]): Interval {
  const n = values.length
  if (n === 0) return { n, mean: Number.NaN }
  const mean = values.reduce((sum, x) => sum + x, 0) / n
  if (n === 1) return { n, mean }
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1)
  return { n, mean, half: studentQuantile(n - 1) * Math.sqrt(variance / n) }
}

/** The differences b − a of paired values, as an interval; pairs with a missing side are left out. */
export function paired(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): Interval {
  const differences: number[] = []
  for (const [seed, x] of a) {
    const y = b.get(seed)
    if (y !== undefined) differences.push(y - x)
  }
  return interval(differences)
}

/** The ratios b / a of paired values: the geometric mean and its 95 % interval. */
export function pairedRatio(
  a: ReadonlyMap<number, number>,
  b: ReadonlyMap<number, number>
): { n: number; ratio: number; low?: number; high?: number } {
  const log = (values: ReadonlyMap<number, number>) => new Map([...values].filter(([, x]) => x > 0).map(([seed, x]) => [seed, Math.log(x)]))
  const { n, mean, half } = paired(log(a), log(b))
  if (half === undefined) return { n, ratio: Math.exp(mean) }
  return { n, ratio: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) }
}

/** The 97.5 % quantile of Student's t with `degrees` of freedom, found by bisection of its distribution function. */
export function studentQuantile(degrees: number): number {
  let low = 0
  let high = 1000
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2
    if (within(middle, degrees) < 0.95) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** P(|T| ≤ t) for whole degrees of freedom. @see Abramowitz & Stegun 26.7.3 and 26.7.4 */
function within(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees))
  const cos2 = Math.cos(angle) ** 2
  const odd = degrees % 2
  let term = odd === 1 ? Math.cos(angle) : 1
  let sum = degrees === 1 ? 0 : term
  for (let k = 2 + odd; k < degrees; k += 2) {
    term *= ((k - 1) / k) * cos2
    sum += term
  }
  return odd === 1 ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum
}

import { InvalidParametersError } from '../../../common/index.ts'

/** Linear warm-up before any policy: the rate is multiplied by from + (1 − from)·i/steps while i < steps. */
export interface WarmUp {
  steps: number
  /** Fraction of the rate at step 0. @default 0 */
  from?: number
}

/**
 * How the rate changes with the number i of applied steps, b the base rate; Caffe's names and formulas where Caffe has the policy.
 *
 * - fixed: b
 * - step: b·γ^⌊i/stepSize⌋
 * - multistep: b·γ^(how many of stepValues are ≤ i)
 * - exp: b·γ^i
 * - inv: b·(1+γi)^−power
 * - poly: b·(1−i/maxSteps)^power, 0 from maxSteps on
 * - sigmoid: b/(1+e^(−γ(i−stepSize)))
 * - cosine: b·(min + (1−min)·(1+cos(πi/maxSteps))/2), b·min from maxSteps on
 */
export type Schedule = (
  | { policy: 'fixed' }
  | { policy: 'step'; gamma: number; stepSize: number }
  | { policy: 'multistep'; gamma: number; stepValues: number[] }
  | { policy: 'exp'; gamma: number }
  | { policy: 'inv'; gamma: number; power: number }
  | { policy: 'poly'; power: number; maxSteps: number }
  | { policy: 'sigmoid'; gamma: number; stepSize: number }
  | { policy: 'cosine'; maxSteps: number; min?: number }
) & { warmUp?: WarmUp }

type Check = (value: unknown) => boolean

const number: Check = x => typeof x === 'number' && Number.isFinite(x)
const positive: Check = x => number(x) && (x as number) > 0
const nonNegative: Check = x => number(x) && (x as number) >= 0
const fraction: Check = x => nonNegative(x) && (x as number) <= 1
const count: Check = x => Number.isSafeInteger(x) && (x as number) >= 1
const ascending: Check = x =>
  Array.isArray(x) &&
  x.length > 0 &&
  x.length <= 10_000 &&
  x.every((v, i) => Number.isSafeInteger(v) && v >= 0 && (i === 0 || v > x[i - 1]))

const settings: Record<Schedule['policy'], Record<string, [check: Check, must: string, optional?: 'optional']>> = {
  fixed: {},
  step: { gamma: [positive, 'a number above 0'], stepSize: [count, 'a number of steps, at least 1'] },
  multistep: { gamma: [positive, 'a number above 0'], stepValues: [ascending, 'a list of ascending steps'] },
  exp: { gamma: [positive, 'a number above 0'] },
  inv: { gamma: [nonNegative, 'a number of at least 0'], power: [nonNegative, 'a number of at least 0'] },
  poly: { power: [nonNegative, 'a number of at least 0'], maxSteps: [count, 'a number of steps, at least 1'] },
  sigmoid: { gamma: [number, 'a number'], stepSize: [nonNegative, 'a step, at least 0'] },
  cosine: { maxSteps: [count, 'a number of steps, at least 1'], min: [fraction, 'a fraction from 0 to 1', 'optional'] }
}

/** Every policy there is. */
export const schedulePolicies = Object.keys(settings) as Schedule['policy'][]

/** What a policy takes besides warmUp, and what of it must be given. */
export function scheduleSettings(policy: Schedule['policy']): { all: string[]; needed: string[] } {
  const all = Object.entries(settings[policy])
  return { all: all.map(([name]) => name), needed: all.filter(([, [, , optional]]) => optional === undefined).map(([name]) => name) }
}

/**
 * The schedule that `spec` (from a job's specification) describes; nothing is `fixed`.
 *
 * @throws InvalidParametersError that names the wrong setting and says what it may be
 */
export function parseSchedule(spec: unknown): Schedule {
  if (spec === undefined) return { policy: 'fixed' }
  if (typeof spec !== 'object' || spec === null)
    throw new InvalidParametersError(`a schedule is { policy: …, … }, not ${String(spec).slice(0, 100)}`)
  const given = spec as Record<string, unknown>
  const policy = given['policy']
  if (typeof policy !== 'string' || !Object.hasOwn(settings, policy)) {
    throw new InvalidParametersError(
      `no schedule policy is called '${String(policy).slice(0, 100)}'; choose one of ${schedulePolicies.join(', ')}`
    )
  }
  const known = settings[policy as Schedule['policy']]
  for (const key of Object.keys(given)) {
    if (key === 'policy' || key === 'warmUp' || Object.hasOwn(known, key)) continue
    const names = Object.keys(known)
    throw new InvalidParametersError(
      `schedule '${policy}' has no setting '${key.slice(0, 100)}'; it takes ${names.length > 0 ? names.join(', ') : 'none'}, and warmUp`
    )
  }
  for (const [key, [check, must, optional]] of Object.entries(known)) {
    if (optional && given[key] === undefined) continue
    if (!check(given[key]))
      throw new InvalidParametersError(`'${key}' of schedule '${policy}' must be ${must}, not ${String(given[key]).slice(0, 100)}`)
  }
  const { warmUp } = given as { warmUp?: WarmUp }
  if (warmUp !== undefined && !(count(warmUp?.steps) && (warmUp.from === undefined || fraction(warmUp.from)))) {
    throw new InvalidParametersError('warmUp of a schedule is { steps: at least 1, from: a fraction from 0 to 1 }')
  }
  return spec as Schedule
}

/** The rate of the step after `i` applied steps, in float64. */
export function rateAt(schedule: Schedule, base: number, i: number): number {
  const { warmUp } = schedule
  const rate = base * factor(schedule, i)
  if (warmUp === undefined || i >= warmUp.steps) return rate
  const { from = 0, steps } = warmUp
  return rate * (from + ((1 - from) * i) / steps)
}

function factor(schedule: Schedule, i: number): number {
  switch (schedule.policy) {
    case 'fixed':
      return 1
    case 'step':
      return schedule.gamma ** Math.floor(i / schedule.stepSize)
    case 'multistep':
      return schedule.gamma ** schedule.stepValues.filter(step => step <= i).length
    case 'exp':
      return schedule.gamma ** i
    case 'inv':
      return (1 + schedule.gamma * i) ** -schedule.power
    case 'poly':
      return i >= schedule.maxSteps ? 0 : (1 - i / schedule.maxSteps) ** schedule.power
    case 'sigmoid':
      return 1 / (1 + Math.exp(-schedule.gamma * (i - schedule.stepSize)))
    case 'cosine': {
      const { min = 0, maxSteps } = schedule
      return i >= maxSteps ? min : min + ((1 - min) * (1 + Math.cos((Math.PI * i) / maxSteps))) / 2
    }
  }
}

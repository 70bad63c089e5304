import { InvalidParametersError } from '../../../common/index.ts'

/** Settings that every optimizer takes. */
export interface Decay {
  /** L2: added to the gradient, except by `adamw` and `lamb`, which take it from the parameters; times decay_mult. @default 0 */
  weightDecay?: number
  /** L1: times the sign of the parameter, added to the gradient; times decay_mult. @default 0 */
  l1?: number
  /** Largest L2 norm of the mean gradient over all parameters; a larger one is scaled down to it, before any decay. @default none */
  clipNorm?: number
}

/** SGD with momentum. */
export interface SgdSpec extends Decay {
  name: 'sgd'
  /**
   * Where the rate stands. `caffe`: inside the momentum, so that a change of the rate takes effect gradually; `pytorch`: outside.
   * With a constant rate and without Nesterov they give the same weights, up to rounding. @default 'pytorch'
   */
  form?: Form
  /** In [0, 1). @default 0 */
  momentum?: number
  nesterov?: boolean
}

/** AdaGrad. */
export interface AdagradSpec extends Decay {
  name: 'adagrad'
  /** @default 1e-10 */
  epsilon?: number
}

/** AdaDelta. */
export interface AdadeltaSpec extends Decay {
  name: 'adadelta'
  /** Share of the old averages. @default 0.9 */
  rho?: number
  /** @default 1e-6 */
  epsilon?: number
}

/** RMSProp. */
export interface RmspropSpec extends Decay {
  name: 'rmsprop'
  /** Share of the old average. @default 0.99 */
  rho?: number
  /** @default 1e-8 */
  epsilon?: number
  /** In [0, 1). @default 0 */
  momentum?: number
}

/** Adam, and with decoupled decay AdamW. */
export interface AdamSpec extends Decay {
  name: 'adam' | 'adamw'
  /** @default 0.9 */
  beta1?: number
  /** @default 0.999 */
  beta2?: number
  /** @default 1e-8 */
  epsilon?: number
  /** Where ε stands: beside the corrected root (`pytorch`) or beside the plain one (`caffe`). @default 'pytorch' */
  form?: Form
}

/** Layer-wise adaptive rates on SGD. */
export interface LarsSpec extends Decay {
  name: 'lars'
  /** η. @default 0.001 */
  trust?: number
  /** In [0, 1). @default 0.9 */
  momentum?: number
  nesterov?: boolean
  /** @default 0 */
  epsilon?: number
}

/** Layer-wise adaptive rates on AdamW. */
export interface LambSpec extends Decay {
  name: 'lamb'
  /** @default 0.9 */
  beta1?: number
  /** @default 0.999 */
  beta2?: number
  /** @default 1e-6 */
  epsilon?: number
}

/** What a job's specification says of its optimizer. */
export type OptimizerSpec = SgdSpec | AdagradSpec | AdadeltaSpec | RmspropSpec | AdamSpec | LarsSpec | LambSpec

/** Whose formula, where two are in use. */
export type Form = 'caffe' | 'pytorch'

export const forms: readonly Form[] = ['caffe', 'pytorch']

type Rule = [check: (value: unknown) => boolean, must: string]

const number = (from: number, below: number) => (x: unknown) => typeof x === 'number' && x >= from && x < below
const share: Rule = [number(0, 1), 'at least 0 and below 1']
const epsilon: Rule = [number(0, 1), 'at least 0 and below 1']
const amount: Rule = [number(0, Infinity), 'a number of at least 0']
const above: Rule = [x => typeof x === 'number' && x > 0 && x < Infinity, 'a number above 0']
const yes: Rule = [x => typeof x === 'boolean', 'true or false']
const form: Rule = [x => forms.includes(x as Form), forms.join(' or ')]

const decay = { weightDecay: amount, l1: amount, clipNorm: above }

/** What each optimizer takes. */
const settings: Record<OptimizerSpec['name'], Record<string, Rule>> = {
  sgd: { form, momentum: share, nesterov: yes, ...decay },
  adagrad: { epsilon, ...decay },
  adadelta: { rho: share, epsilon, ...decay },
  rmsprop: { rho: share, epsilon, momentum: share, ...decay },
  adam: { beta1: share, beta2: share, epsilon, form, ...decay },
  adamw: { beta1: share, beta2: share, epsilon, form, ...decay },
  lars: { trust: above, momentum: share, nesterov: yes, epsilon, ...decay },
  lamb: { beta1: share, beta2: share, epsilon, ...decay }
}

/** Every optimizer there is. */
export const optimizerNames = Object.keys(settings) as OptimizerSpec['name'][]

/** What is usual where somebody names an optimizer and says no more. */
export function usual(name: OptimizerSpec['name']): OptimizerSpec {
  if (name === 'sgd') return { name, momentum: 0.9 }
  return name === 'adamw' ? { name, weightDecay: 0.01 } : ({ name } as OptimizerSpec)
}

/** Names of the settings that optimizer `name` takes. */
export function settingsOf(name: OptimizerSpec['name']): string[] {
  return Object.keys(settings[name])
}

/**
 * `spec`, checked.
 *
 * @throws InvalidParametersError for an unknown name, a setting the optimizer does not have, or a value it cannot have
 */
export function parseOptimizer(spec: unknown): OptimizerSpec {
  const given = (typeof spec === 'object' && spec !== null ? spec : {}) as Record<string, unknown>
  const { name } = given
  if (typeof name !== 'string' || !Object.hasOwn(settings, name)) {
    throw new InvalidParametersError(`no optimizer is called '${String(name).slice(0, 100)}'; choose one of ${optimizerNames.join(', ')}`)
  }
  const known = settings[name as OptimizerSpec['name']]
  for (const [key, value] of Object.entries(given)) {
    if (key === 'name' || value === undefined) continue
    const rule = Object.hasOwn(known, key) ? known[key] : undefined
    if (rule === undefined) {
      throw new InvalidParametersError(
        `optimizer '${name}' has no setting '${key.slice(0, 100)}'; it takes ${Object.keys(known).join(', ')}`
      )
    }
    if (!rule[0](value)) {
      throw new InvalidParametersError(`'${key}' of optimizer '${name}' must be ${rule[1]}, not ${String(value).slice(0, 100)}`)
    }
  }
  if (given['nesterov'] === true && (given['momentum'] ?? (name === 'lars' ? 0.9 : 0)) === 0) {
    throw new InvalidParametersError(`nesterov of optimizer '${name}' needs a momentum above 0`)
  }
  return spec as OptimizerSpec
}

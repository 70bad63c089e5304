import { InvalidParametersError } from '../../../common/index.ts'
import type { Optimizer, OptimizerLayout, Update } from './optimizer.ts'

/** SGD with momentum. */
export interface SgdSpec {
  name: 'sgd'
  /**
   * Where the rate stands. `caffe`: inside the momentum, so that a change of the rate takes effect gradually; `pytorch`: outside.
   * With a constant rate and without Nesterov they give the same weights, up to rounding. @default 'pytorch'
   */
  form?: 'caffe' | 'pytorch'
  /** In [0, 1). @default 0 */
  momentum?: number
  nesterov?: boolean
  /** L2 weight decay, added to the gradient. @default 0 */
  weightDecay?: number
}

/** The forms of {@link SgdSpec}. */
export const sgdForms = ['caffe', 'pytorch'] as const

/**
 * Stochastic gradient descent. With α the rate times the parameter's lrMult, d the weight decay times its decayMult, m the momentum
 * and g' = g·scale + d·w:
 *
 *     caffe:    v ← m·v + α·g';  w ← w − v          Nesterov: w ← w − ((1+m)·v_new − m·v_old)
 *     pytorch:  v ← m·v + g';    w ← w − α·v        Nesterov: w ← w − α·(g' + m·v_new)
 *
 * Every product and every sum is rounded to float32, in the order written; α, d, m, 1+m and scale are rounded once.
 *
 * @throws InvalidParametersError that names the wrong setting
 * @see Caffe, `src/caffe/solvers/sgd_solver.cpp` and `nesterov_solver.cpp`; Sutskever et al. 2013 for the PyTorch form
 */
export function sgd(spec: SgdSpec, layout: OptimizerLayout): Optimizer {
  const { form = 'pytorch', momentum = 0, nesterov = false, weightDecay = 0 } = spec
  if (!sgdForms.includes(form))
    throw new InvalidParametersError(`the form of sgd is ${sgdForms.join(' or ')}, not '${String(form).slice(0, 100)}'`)
  if (!(typeof momentum === 'number' && momentum >= 0 && momentum < 1)) {
    throw new InvalidParametersError(`the momentum of sgd must be at least 0 and below 1, not ${String(momentum).slice(0, 100)}`)
  }
  if (typeof nesterov !== 'boolean') throw new InvalidParametersError('nesterov of sgd must be true or false')
  if (nesterov && momentum === 0) throw new InvalidParametersError('nesterov needs a momentum above 0')
  if (!(typeof weightDecay === 'number' && weightDecay >= 0 && weightDecay < Infinity)) {
    throw new InvalidParametersError(`the weight decay of sgd must be a number of at least 0, not ${String(weightDecay).slice(0, 100)}`)
  }
  const kernel = momentum === 0 ? plain : form === 'caffe' ? (nesterov ? caffeNesterov : caffe) : nesterov ? pytorchNesterov : pytorch
  const stateFloats = momentum === 0 ? 0 : layout.total
  return {
    name: 'sgd',
    stateFloats,
    stateNames: momentum === 0 ? [] : ['momentum'],
    apply(update) {
      check(update, layout, stateFloats)
      const { offset: first = 0, length = layout.total } = update.range ?? {}
      for (const { offset, size, lrMult, decayMult } of layout.parameters) {
        const start = Math.max(offset, first)
        const end = Math.min(offset + size, first + length)
        if (start >= end) continue
        kernel(update, start, end, {
          rate: Math.fround(update.rate * lrMult),
          momentum: Math.fround(momentum),
          onePlus: Math.fround(1 + momentum),
          decay: Math.fround(weightDecay * decayMult),
          scale: Math.fround(update.scale)
        })
      }
    }
  }
}

interface Scalars {
  rate: number
  momentum: number
  onePlus: number
  decay: number
  scale: number
}

const f = Math.fround

function plain({ parameters: w, gradients: g }: Update, start: number, end: number, { rate, decay, scale }: Scalars): void {
  for (let i = start; i < end; i++) {
    const d = f(f(g[i] * scale) + f(decay * w[i]))
    w[i] = w[i] - f(rate * d)
  }
}

function caffe({ parameters: w, gradients: g, state: v }: Update, start: number, end: number, s: Scalars): void {
  const { rate, momentum, decay, scale } = s
  for (let i = start; i < end; i++) {
    const d = f(f(g[i] * scale) + f(decay * w[i]))
    const next = f(f(momentum * v[i]) + f(rate * d))
    v[i] = next
    w[i] = w[i] - next
  }
}

function caffeNesterov({ parameters: w, gradients: g, state: v }: Update, start: number, end: number, s: Scalars): void {
  const { rate, momentum, onePlus, decay, scale } = s
  for (let i = start; i < end; i++) {
    const d = f(f(g[i] * scale) + f(decay * w[i]))
    const back = f(momentum * v[i])
    const next = f(back + f(rate * d))
    v[i] = next
    w[i] = w[i] - f(f(onePlus * next) - back)
  }
}

function pytorch({ parameters: w, gradients: g, state: v }: Update, start: number, end: number, s: Scalars): void {
  const { rate, momentum, decay, scale } = s
  for (let i = start; i < end; i++) {
    const d = f(f(g[i] * scale) + f(decay * w[i]))
    const next = f(f(momentum * v[i]) + d)
    v[i] = next
    w[i] = w[i] - f(rate * next)
  }
}

function pytorchNesterov({ parameters: w, gradients: g, state: v }: Update, start: number, end: number, s: Scalars): void {
  const { rate, momentum, decay, scale } = s
  for (let i = start; i < end; i++) {
    const d = f(f(g[i] * scale) + f(decay * w[i]))
    const next = f(f(momentum * v[i]) + d)
    v[i] = next
    w[i] = w[i] - f(rate * f(d + f(momentum * next)))
  }
}

function check({ parameters, gradients, state, rate, scale }: Update, layout: OptimizerLayout, stateFloats: number): void {
  if (parameters.length < layout.total || gradients.length < layout.total || state.length < stateFloats) {
    throw new RangeError(
      `an update of ${layout.total} parameters got ${parameters.length} parameters, ${gradients.length} gradients, ${state.length} floats of state`
    )
  }
  if (!(Number.isFinite(rate) && Number.isFinite(scale)))
    throw new RangeError(`rate ${rate} and scale ${scale} of an update must be finite`)
}

import { float } from '../../graph/attributes.ts'
import type { LayerContext, LayerRule } from './context.ts'

/* Layers that treat every element alike. */

/** base^(shift + scale·x), or its logarithm's counterpart; base −1 stands for e. */
function exponent(c: LayerContext, field: string): { inner: (x: string) => string; logBase: number } {
  const p = c.layer.message(field)
  const base = p.number('base')
  if (base !== -1 && !(base > 0)) c.refuse(`base must be above 0, or -1 for e, not ${base}`)
  const inner = (x: string) => shifted(c, x, p.number('scale'), p.number('shift'))
  return { inner, logBase: base === -1 ? 1 : Math.log(base) }
}

function shifted(c: LayerContext, x: string, scale: number, shift: number): string {
  const scaled = scale === 1 ? x : c.op('Mul', [x, c.scalar(scale)])
  return shift === 0 ? scaled : c.op('Add', [scaled, c.scalar(shift)])
}

const power: LayerRule = c => {
  const p = c.layer.message('power_param')
  const inner = shifted(c, c.x, p.number('scale'), p.number('shift'))
  if (p.number('power') === 1) return [c.result('Identity', [inner])]
  return [c.result('Pow', [inner, c.scalar(p.number('power'))])]
}

const prelu: LayerRule = c => {
  const p = c.layer.message('prelu_param')
  const rank = c.shape().length
  const shape = p.bool('channel_shared') ? [] : [c.sizes()[0]]
  const filler = p.has('filler') ? p.message('filler') : ({ type: 'constant', value: 0.25 } as const)
  const slope = c.parameter(0, shape, 'slope', filler)
  const wide = shape.length === 0 ? slope : c.reshape(slope, [-1, ...new Array<number>(rank - 2).fill(1)])
  return [c.result('PRelu', [c.x, wide])]
}

const dropout: LayerRule = c => {
  const ratio = c.layer.message('dropout_param').number('dropout_ratio')
  if (!(ratio > 0 && ratio < 1)) c.refuse(`dropout_ratio must be between 0 and 1, not ${ratio}`)
  return [c.result('Dropout', [c.x, c.scalar(ratio)])]
}

export const activations: Record<string, LayerRule> = {
  ReLU: c => {
    const slope = c.layer.message('relu_param').number('negative_slope')
    return [slope === 0 ? c.result('Relu', [c.x]) : c.result('LeakyRelu', [c.x], { alpha: float(slope) })]
  },
  PReLU: prelu,
  ELU: c => [c.result('Elu', [c.x], { alpha: float(c.layer.message('elu_param').number('alpha')) })],
  Sigmoid: c => [c.result('Sigmoid', [c.x])],
  TanH: c => [c.result('Tanh', [c.x])],
  AbsVal: c => [c.result('Abs', [c.x])],
  BNLL: c => [c.result('Softplus', [c.x])],
  Swish: c => {
    const beta = c.layer.message('swish_param').number('beta')
    return [c.result('Mul', [c.x, c.op('Sigmoid', [shifted(c, c.x, beta, 0)])])]
  },
  Clip: c => {
    const p = c.layer.message('clip_param')
    return [c.result('Clip', [c.x, c.scalar(p.number('min')), c.scalar(p.number('max'))])]
  },
  Power: power,
  Exp: c => {
    const { inner, logBase } = exponent(c, 'exp_param')
    const x = inner(c.x)
    return [c.result('Exp', [logBase === 1 ? x : c.op('Mul', [x, c.scalar(logBase)])])]
  },
  Log: c => {
    const { inner, logBase } = exponent(c, 'log_param')
    const y = inner(c.x)
    return [logBase === 1 ? c.result('Log', [y]) : c.result('Mul', [c.op('Log', [y]), c.scalar(1 / logBase)])]
  },
  Dropout: dropout,
  Softmax: c => [c.result('Softmax', [c.x], { axis: c.axis(c.layer.message('softmax_param').number('axis')) })]
}

import { float } from '../../graph/attributes.ts'
import { floats } from '../../graph/tensors.ts'
import type { LayerContext, LayerRule } from './context.ts'

/**
 * Across channels: x·(k + α/n·Σx²)^−β. Within a channel: x·(1 + α·mean x²)^−β over n×n elements, those of the padding counted as zeros, and
 * k has no say.
 */
const lrn: LayerRule = c => {
  const p = c.layer.message('lrn_param')
  const [size, alpha, beta] = [p.number('local_size'), p.number('alpha'), p.number('beta')]
  if (size < 1 || size % 2 === 0) c.refuse(`local_size must be odd, not ${size}`)
  if (p.string('norm_region') === 'ACROSS_CHANNELS') {
    return [c.result('LRN', [c.x], { size, alpha: float(alpha), beta: float(beta), bias: float(p.number('k')) })]
  }
  const pad = (size - 1) / 2
  const rank = c.shape().length - 2
  const squares = c.op('AveragePool', [c.op('Mul', [c.x, c.x])], {
    kernel_shape: new Array<number>(rank).fill(size),
    strides: new Array<number>(rank).fill(1),
    pads: new Array<number>(2 * rank).fill(pad),
    count_include_pad: 1
  })
  const s = c.op('Add', [c.op('Mul', [squares, c.scalar(alpha)]), c.scalar(1)])
  return [c.result('Mul', [c.x, c.op('Pow', [s, c.scalar(-beta)])])]
}

/**
 * Normalisation by the batch's own statistics in training, by running ones else. Caffe keeps the running sums Σλᵏ·mean, Σλᵏ·variance (the
 * unbiased one) and Σλᵏ, and divides by the last one: as its three blobs, so here as three states.
 */
const batchNorm: LayerRule = c => {
  const p = c.layer.message('batch_norm_param')
  const shape = c.shape()
  const channels = c.sizes()[0]
  const [fraction, epsilon] = [p.number('moving_average_fraction'), p.number('eps')]
  const mean = c.state(0, [channels], 'mean')
  const variance = c.state(1, [channels], 'variance')
  const factor = c.state(2, [1], 'factor')
  const { e } = c
  const vector = (value: number) => e.constant(floats(new Array<number>(channels).fill(value)), e.fresh(`${c.name}.constant`))
  const [ones, zeros] = [vector(1), vector(0)]
  const global = p.has('use_global_stats') ? p.bool('use_global_stats') : c.net.phase === 'TEST'
  if (global) {
    const none = c.op('Equal', [factor, c.scalar(0)])
    const inverse = c.op('Where', [none, c.scalar(0), c.op('Reciprocal', [factor])])
    const statistics = [c.op('Mul', [mean, inverse]), c.op('Mul', [variance, inverse])]
    return [c.result('BatchNormalization', [c.x, ones, zeros, ...statistics], { epsilon: float(epsilon) })]
  }
  // With momentum 0 the running statistics that come out are the batch's own.
  const name = c.valueName()
  const outputs = [name, e.fresh(`${c.name}.mean`), e.fresh(`${c.name}.variance`)]
  const attributes = { epsilon: float(epsilon), momentum: float(0), training_mode: 1 }
  e.push({ op: 'BatchNormalization', domain: '', name, inputs: [c.x, ones, zeros, zeros, ones], outputs, attributes })
  const moved = (old: string, now: string) => c.op('Add', [c.op('Mul', [old, c.scalar(fraction)]), now])
  c.net.updates.set(mean, moved(mean, outputs[1]))
  c.net.updates.set(variance, moved(variance, c.op('Mul', [outputs[2], correction(c, shape.length)])))
  c.net.updates.set(factor, moved(factor, c.scalar(1)))
  return [name]
}

/** m/(m − 1) for a mean over m elements, 1 for one element. */
function correction(c: LayerContext, rank: number): string {
  const axes = Array.from({ length: rank }, (_, i) => i).filter(i => i !== 1)
  const sizes = c.op('Gather', [c.op('Shape', [c.x]), c.e.ints(axes)])
  const count = c.op('Cast', [c.op('ReduceProd', [sizes], { keepdims: 0 })], { to: 1 })
  return c.op('Div', [count, c.op('Max', [c.op('Sub', [count, c.scalar(1)]), c.scalar(1)])])
}

/** Mean-variance normalisation of each sample, a channel at a time or all together: (x − μ)/(σ + ε). */
const mvn: LayerRule = c => {
  const p = c.layer.message('mvn_param')
  const axes = c.e.ints(Array.from({ length: c.shape().length }, (_, i) => i).slice(p.bool('across_channels') ? 1 : 2))
  const mean = c.op('ReduceMean', [c.x, axes], { keepdims: 1 })
  if (!p.bool('normalize_variance')) return [c.result('Sub', [c.x, mean])]
  const centred = c.op('Sub', [c.x, mean])
  const deviation = c.op('Sqrt', [c.op('ReduceMean', [c.op('Mul', [centred, centred]), axes], { keepdims: 1 })])
  return [c.result('Div', [centred, c.op('Add', [deviation, c.scalar(p.number('eps'))])])]
}

export const normalization: Record<string, LayerRule> = { LRN: lrn, BatchNorm: batchNorm, MVN: mvn }

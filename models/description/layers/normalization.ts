import { z } from 'zod'
import { float } from '../../graph/attributes.ts'
import { kind } from '../context.ts'
import { activation, common, count, factor, parameter, real, trained } from '../fields.ts'

const scaled = { ...trained, weight: parameter.optional(), bias: parameter.optional(), epsilon: z.number().positive().max(1).optional() }

/** Ioffe & Szegedy 2015. `momentum` is the share of the running statistics that a step keeps. */
const batchNorm = kind(
  z.strictObject({
    type: z.literal('batchNorm'),
    ...scaled,
    momentum: z.number().min(0).max(1).optional(),
    activation: activation.optional()
  }),
  (c, layer) => {
    const channels = [c.sample()[0]]
    return c.result(
      'BatchNormalization',
      [
        c.x,
        c.parameter('weight', channels, { type: 'constant', value: 1 }, layer.weight),
        c.parameter('bias', channels, { type: 'constant', value: 0 }, layer.bias),
        c.state('mean', channels, 0),
        c.state('variance', channels, 1)
      ],
      { epsilon: float(layer.epsilon ?? 1e-5), momentum: float(layer.momentum ?? 0.9) }
    )
  }
)

/** Over the last axis. @see Ba 2016 */
const layerNorm = kind(z.strictObject({ type: z.literal('layerNorm'), ...scaled }), (c, layer) => {
  const width = [c.sample().at(-1)!]
  const weight = c.parameter('weight', width, { type: 'constant', value: 1 }, layer.weight)
  const bias = c.parameter('bias', width, { type: 'constant', value: 0 }, layer.bias)
  return c.result('LayerNormalization', [c.x, weight, bias], { axis: -1, epsilon: float(layer.epsilon ?? 1e-5) })
})

/**
 * Local response normalisation (Krizhevsky 2012, 3.3), x·(k + α/n·Σ x²)^−β over `size` channels; or within a channel over a square of
 * `size`, where k is 1 (as in Caffe).
 */
const lrn = kind(
  z.strictObject({
    type: z.literal('lrn'),
    ...common,
    size: count.optional(),
    alpha: real.optional(),
    beta: real.optional(),
    k: real.optional(),
    region: z.enum(['across', 'within']).optional()
  }),
  (c, { size = 5, alpha = 1, beta = 0.75, k = 1, region = 'across' }) => {
    if (region === 'across') return c.result('LRN', [c.x], { size, alpha: float(alpha), beta: float(beta), bias: float(k) })
    if (k !== 1) c.refuse('normalises within channels, where k is always 1')
    if (size % 2 === 0) c.refuse(`normalises within channels over a square of even size ${size}; make it odd`)
    const pad = (size - 1) / 2
    const kernel = c
      .sample()
      .slice(1)
      .map(() => size)
    const pads = [...kernel, ...kernel].map(() => pad)
    const squares = c.op('AveragePool', [c.op('Mul', [c.x, c.x])], { kernel_shape: kernel, pads, count_include_pad: 1 })
    const scale = c.op('Add', [c.op('Mul', [squares, c.e.scalar(alpha)]), c.e.scalar(1)])
    return c.result('Mul', [c.x, c.op('Pow', [scale, c.e.scalar(-beta)])])
  }
)

/** Srivastava 2014, scaled in training; nothing happens outside it. */
const dropout = kind(z.strictObject({ type: z.literal('dropout'), ...common, ratio: factor.max(0.999).optional() }), (c, { ratio = 0.5 }) =>
  c.result('Dropout', [c.x, c.e.scalar(ratio)])
)

export const normalization = { batchNorm, layerNorm, lrn, dropout }

import { z } from 'zod'
import type { Attribute } from '../../graph/types.ts'
import { kind, type LayerContext } from '../context.ts'
import { common, count, counts, naturals } from '../fields.ts'
import { each } from './kernels.ts'

const window = {
  ...common,
  kernel: counts,
  /** @default kernel */
  stride: counts.optional(),
  pad: naturals.optional(),
  /** Round the number of windows up, as Caffe does. @default true */
  ceil: z.boolean().optional()
}

function attributes(
  c: LayerContext,
  layer: { kernel: number | number[]; stride?: number | number[]; pad?: number | number[]; ceil?: boolean }
): Record<string, Attribute> {
  const rank = c.shape().length - 2
  if (rank < 1) c.refuse(`pools pictures [channels, …], not samples of shape [${c.shape().slice(1).join(', ')}]`)
  const kernel = each(c, layer.kernel, rank, 'kernel')
  const pad = each(c, layer.pad ?? 0, rank, 'pad')
  return {
    kernel_shape: kernel,
    strides: each(c, layer.stride ?? kernel, rank, 'stride'),
    ...(pad.some(p => p > 0) ? { pads: [...pad, ...pad] } : {}),
    ...((layer.ceil ?? true) ? { ceil_mode: 1 } : {})
  }
}

const maxPool = kind(z.strictObject({ type: z.literal('maxPool'), ...window }), (c, layer) =>
  c.result('MaxPool', [c.x], attributes(c, layer))
)

/** Padding counts in the divisor, as Caffe's does. */
const averagePool = kind(z.strictObject({ type: z.literal('averagePool'), ...window }), (c, layer) => {
  const all = attributes(c, layer)
  return c.result('AveragePool', [c.x], all['pads'] === undefined ? all : { ...all, count_include_pad: 1 })
})

const globalAveragePool = kind(z.strictObject({ type: z.literal('globalAveragePool'), ...common }), c =>
  c.result('GlobalAveragePool', [c.x])
)

const globalMaxPool = kind(z.strictObject({ type: z.literal('globalMaxPool'), ...common }), c => c.result('GlobalMaxPool', [c.x]))

/** Every `stride`-th element of each spatial axis, the first one included. */
const subsample = kind(z.strictObject({ type: z.literal('subsample'), ...common, stride: count }), (c, { stride }) => {
  const rank = c.shape().length - 2
  if (rank < 1) c.refuse('takes pictures [channels, …]')
  const fill = (value: number) => c.ints(new Array(rank).fill(value))
  const axes = Array.from({ length: rank }, (_, i) => i + 2)
  return c.result('Slice', [c.x, fill(0), fill(2 ** 31 - 1), c.ints(axes), fill(stride)])
})

export const pooling = { maxPool, averagePool, globalAveragePool, globalMaxPool, subsample }

import { z } from 'zod'
import { sizeOf } from '../../graph/tensors.ts'
import { kind, type LayerContext } from '../context.ts'
import { activation, count, counts, natural, naturals, weights } from '../fields.ts'

const outputs = z.union([count, z.literal('classes')])

const sliding = {
  ...weights,
  outputs,
  kernel: counts,
  stride: counts.optional(),
  pad: z.union([naturals, z.literal('same')]).optional(),
  dilation: counts.optional(),
  group: count.optional(),
  activation: activation.optional()
}

/** One number an axis. */
export function each(c: LayerContext, given: number | number[], rank: number, what: string): number[] {
  if (typeof given === 'number') return new Array(rank).fill(given)
  if (given.length !== rank) return c.refuse(`gives ${given.length} numbers as ${what}; its input has ${rank} spatial axes`)
  return given
}

function spatial(c: LayerContext): number[] {
  const [, ...size] = c.sample()
  if (size.length === 0 || size.length > 3) return c.refuse(`reads pictures [channels, …], not samples of shape [${c.sample().join(', ')}]`)
  return size
}

/** Padding that leaves ⌈size/stride⌉ windows; what is odd goes to the end. */
function same(size: number[], kernel: number[], strides: number[], dilations: number[]): number[] {
  const totals = size.map((s, i) => Math.max(0, (Math.ceil(s / strides[i]) - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - s))
  return [...totals.map(t => Math.floor(t / 2)), ...totals.map(t => Math.ceil(t / 2))]
}

const convolution = kind(z.strictObject({ type: z.literal('convolution'), ...sliding }), (c, layer) => {
  const size = spatial(c)
  const channels = c.sample()[0]
  const { group = 1 } = layer
  const made = c.outputs(layer.outputs)
  if (channels % group !== 0 || made % group !== 0)
    c.refuse(`has ${group} groups, which divide ${channels} channels and ${made} outputs only with a rest`)
  const kernel = each(c, layer.kernel, size.length, 'kernel')
  const strides = each(c, layer.stride ?? 1, size.length, 'stride')
  const dilations = each(c, layer.dilation ?? 1, size.length, 'dilation')
  const half = layer.pad === 'same' ? [] : each(c, layer.pad ?? 0, size.length, 'pad')
  const pads = layer.pad === 'same' ? same(size, kernel, strides, dilations) : [...half, ...half]
  const inputs = [c.x, c.parameter('weight', [made, channels / group, ...kernel], { type: 'xavier' }, layer.weight)]
  if (layer.bias !== false) inputs.push(c.parameter('bias', [made], { type: 'constant', value: 0 }, layer.bias))
  return c.result('Conv', inputs, { kernel_shape: kernel, strides, pads, dilations, group })
})

const deconvolution = kind(
  z.strictObject({ type: z.literal('deconvolution'), ...sliding, pad: naturals.optional(), outputPad: naturals.optional() }),
  (c, layer) => {
    const size = spatial(c)
    const channels = c.sample()[0]
    const { group = 1 } = layer
    const made = c.outputs(layer.outputs)
    if (channels % group !== 0 || made % group !== 0)
      c.refuse(`has ${group} groups, which divide ${channels} channels and ${made} outputs only with a rest`)
    const kernel = each(c, layer.kernel, size.length, 'kernel')
    const pad = each(c, layer.pad ?? 0, size.length, 'pad')
    const inputs = [c.x, c.parameter('weight', [channels, made / group, ...kernel], { type: 'xavier' }, layer.weight)]
    if (layer.bias !== false) inputs.push(c.parameter('bias', [made], { type: 'constant', value: 0 }, layer.bias))
    const extra: Record<string, number[]> =
      layer.outputPad === undefined ? {} : { output_padding: each(c, layer.outputPad, size.length, 'outputPad') }
    return c.result('ConvTranspose', inputs, {
      kernel_shape: kernel,
      strides: each(c, layer.stride ?? 1, size.length, 'stride'),
      pads: [...pad, ...pad],
      dilations: each(c, layer.dilation ?? 1, size.length, 'dilation'),
      group,
      ...extra
    })
  }
)

/**
 * A fully connected layer. What lies at `axis` and after it is one vector (Caffe's rule; the first axis of a sample is 1); what lies before
 * it is kept, so that axis 2 goes over a sequence element by element.
 */
const innerProduct = kind(
  z.strictObject({
    type: z.literal('innerProduct'),
    ...weights,
    outputs,
    axis: natural.min(1).max(8).optional(),
    activation: activation.optional()
  }),
  (c, layer) => {
    const { axis = 1 } = layer
    const sample = c.sample()
    if (axis > sample.length) c.refuse(`joins axes from ${axis} on, and its input has none beyond ${sample.length}`)
    const before = sample.slice(0, axis - 1)
    const width = sizeOf(sample.slice(axis - 1))
    const made = c.outputs(layer.outputs)
    let flat = c.x
    if (before.length > 0) flat = c.reshape(flat, [-1, width])
    else if (sample.length > 1) flat = c.op('Flatten', [flat])
    const inputs = [flat, c.parameter('weight', [made, width], { type: 'xavier' }, layer.weight)]
    if (layer.bias !== false) inputs.push(c.parameter('bias', [made], { type: 'constant', value: 0 }, layer.bias))
    if (before.length === 0) return c.result('Gemm', inputs, { transB: 1 })
    return c.result('Reshape', [c.op('Gemm', inputs, { transB: 1 }), c.ints([-1, ...before, made])])
  }
)

export const kernels = { convolution, deconvolution, innerProduct }

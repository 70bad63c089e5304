import type { Attribute } from '../../graph/types.ts'
import type { Message } from '../message.ts'
import type { LayerContext, LayerRule } from './context.ts'

/* Convolution, its transpose, and pooling. A convolution's windows are rounded down, pooling's up. */

/** A size a spatial axis: from a field that is given once or once an axis, or from its `_h` and `_w` forms. */
function perAxis(c: LayerContext, p: Message, field: string, short: string, rank: number, otherwise?: number): number[] {
  const [h, w] = [`${short}_h`, `${short}_w`]
  if (p.type.fields.has(h) && (p.has(h) || p.has(w))) {
    if (p.has(field)) c.refuse(`it has '${field}' and '${h}' or '${w}'; give one of the two`)
    if (rank !== 2) c.refuse(`'${h}' and '${w}' are for two spatial dimensions, and there are ${rank}`)
    if (otherwise === undefined && !(p.has(h) && p.has(w))) c.refuse(`'${h}' goes with '${w}'`)
    return [h, w].map(name => (p.has(name) ? p.number(name) : otherwise!))
  }
  const given = p.has(field) ? p.numbers(field) : otherwise === undefined ? c.refuse(`'${field}' is missing`) : [otherwise]
  if (given.length !== 1 && given.length !== rank) c.refuse(`'${field}' is given ${given.length} times for ${rank} spatial dimensions`)
  return given.length === 1 ? new Array<number>(rank).fill(given[0]) : given
}

interface Geometry {
  kernel: number[]
  stride: number[]
  pad: number[]
  dilation: number[]
}

function geometry(c: LayerContext, p: Message): Geometry {
  const rank = c.shape().length - 2
  if (rank < 1) c.refuse(`its bottom has the shape [${c.shape().join(', ')}] and no spatial dimension`)
  const found = {
    kernel: perAxis(c, p, 'kernel_size', 'kernel', rank),
    stride: perAxis(c, p, 'stride', 'stride', rank, 1),
    pad: perAxis(c, p, 'pad', 'pad', rank, 0),
    dilation: p.type.fields.has('dilation') ? perAxis(c, p, 'dilation', 'dilation', rank, 1) : new Array<number>(rank).fill(1)
  }
  if ([...found.kernel, ...found.stride, ...found.dilation].some(v => v < 1)) c.refuse('kernel, stride and dilation must be 1 or more')
  if (found.pad.some(v => v < 0)) c.refuse('pad must be 0 or more')
  return found
}

function convolved(op: 'Conv' | 'ConvTranspose'): LayerRule {
  return c => {
    const p = c.layer.message('convolution_param')
    const { kernel, stride, pad, dilation } = geometry(c, p)
    const [outputs, group] = [p.number('num_output'), p.number('group')]
    if (c.axis(p.number('axis')) !== 1) c.refuse('only axis 1 can hold the channels')
    const channels = c.sizes()[0]
    if (outputs < 1) c.refuse("'num_output' must be 1 or more")
    if (group < 1 || channels % group !== 0 || outputs % group !== 0) {
      c.refuse(`${channels} channels and ${outputs} outputs cannot be parted into ${group} groups`)
    }
    const shape = op === 'Conv' ? [outputs, channels / group, ...kernel] : [channels, outputs / group, ...kernel]
    const weights = c.parameter(0, shape, 'weight', p.message('weight_filler'))
    const parameters = [weights]
    if (p.bool('bias_term')) parameters.push(c.parameter(1, [outputs], 'bias', p.message('bias_filler')))
    const attributes = { kernel_shape: kernel, strides: stride, pads: [...pad, ...pad], dilations: dilation, group }
    return c.bottoms.map((bottom, i) => c.result(op, [bottom, ...parameters], attributes, i))
  }
}

const pooling: LayerRule = c => {
  const p = c.layer.message('pooling_param')
  const kind = p.string('pool')
  if (kind === 'STOCHASTIC') c.refuse('stochastic pooling is not known; use MAX or AVE')
  if (c.layer.strings('top').length > 1) c.refuse('its second top, the mask, is not known')
  const spatial = c.sizes(2)
  const everything = p.bool('global_pooling')
  if (everything && ['kernel_size', 'kernel_h', 'kernel_w'].some(f => p.has(f))) c.refuse('global_pooling goes without a kernel')
  const { kernel, stride, pad } = everything ? { kernel: spatial, stride: spatial.map(() => 1), pad: spatial.map(() => 0) } : geometry(c, p)
  const ceil = p.string('round_mode') === 'CEIL'
  spatial.forEach((size, i) => {
    if (pad[i] >= kernel[i]) c.refuse(`pad ${pad[i]} must be smaller than the kernel ${kernel[i]}`)
    if (ceil && pad[i] === 0 && Math.ceil((size - kernel[i]) / stride[i]) * stride[i] >= size) {
      c.refuse(`its last window of stride ${stride[i]} would begin behind the ${size} elements; use round_mode: FLOOR`)
    }
  })
  const attributes: Record<string, Attribute> = { kernel_shape: kernel, strides: stride }
  if (pad.some(v => v > 0)) attributes['pads'] = [...pad, ...pad]
  if (ceil) attributes['ceil_mode'] = 1
  if (kind === 'MAX') return [c.result('MaxPool', [c.x], attributes)]
  // Padding counts in the divisor, what rounding up adds beyond it does not.
  if (pad.some(v => v > 0)) attributes['count_include_pad'] = 1
  return [c.result('AveragePool', [c.x], attributes)]
}

export const windows: Record<string, LayerRule> = {
  Convolution: convolved('Conv'),
  Deconvolution: convolved('ConvTranspose'),
  Pooling: pooling
}

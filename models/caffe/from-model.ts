import { InvalidParametersError } from '../../common/index.ts'
import {
  type Activation,
  inputName,
  inputShape,
  type Layer,
  type LayerOf,
  type Model,
  type ParameterOptions,
  speltOut
} from '../description/index.ts'
import { Message, message, type Scalar } from './message.ts'
import { type MessageType, messageType } from './schema.ts'

/** Batch that a data layer names; whoever trains the net says its own. */
const BATCH = 64

type Named = Layer & { name: string; inputs: string[] }
type Fields = Record<string, Scalar | Scalar[] | Message | Message[] | undefined>

function fill(into: Message, fields: Fields): Message {
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) into.set(name, value as Scalar)
  return into
}

function layer(type: string, name: string, bottom: string[], top: string, fields: Fields = {}): Message {
  return fill(message('LayerParameter'), { name, type, bottom, top, ...fields })
}

/** The message in a layer's field, filled. */
function settings(field: string, fields: Fields): Fields {
  const { type } = messageType('LayerParameter').fields.get(field)!
  return { [field]: fill(new Message(type as MessageType), fields) }
}

function refuse({ name, type }: Named, why: string): never {
  throw new InvalidParametersError(`layer '${name}' (${type}) cannot be written as Caffe's: ${why}`)
}

function filler(of: ParameterOptions['filler']): Message | undefined {
  if (of === undefined) return undefined
  const { type, ...rest } = of
  const { norm, ...numbers } = rest as { norm?: string } & Record<string, number>
  return fill(message('FillerParameter'), { type, ...numbers, variance_norm: norm?.toUpperCase() })
}

/** A layer's `param` blocks; none where every rate is 1. */
function rates(of: { lrMult?: number; decayMult?: number }, parameters: (ParameterOptions | undefined)[]): Fields {
  const all = parameters.map(p => [(of.lrMult ?? 1) * (p?.lrMult ?? 1), (of.decayMult ?? 1) * (p?.decayMult ?? 1)])
  if (all.every(([lr, decay]) => lr === 1 && decay === 1)) return {}
  return { param: all.map(([lr, decay]) => fill(message('ParamSpec'), { lr_mult: lr, decay_mult: decay })) }
}

const XAVIER = { type: 'xavier' } as const

/** Number for both axes, or a height and a width. */
function sides(l: Named, given: number | number[] | undefined, name: string, [h, w]: [string, string]): Fields {
  if (given === undefined) return {}
  if (typeof given === 'number') return { [name]: given }
  if (given.length !== 2) return refuse(l, `its ${name} has ${given.length} axes`)
  return given[0] === given[1] ? { [name]: given[0] } : { [h]: given[0], [w]: given[1] }
}

type Sliding = Omit<LayerOf<'convolution'>, 'type'> & { outputPad?: number | number[] } & Named

function convolution(l: Sliding): Fields {
  let { pad } = l
  if (l.outputPad !== undefined) refuse(l, 'it has outputPad')
  if (pad === 'same') {
    const even = typeof l.kernel === 'number' && typeof (l.dilation ?? 1) === 'number' && (l.stride ?? 1) === 1 && l.kernel % 2 === 1
    if (!even) refuse(l, "its pad 'same' is not the same at both ends everywhere; give a number")
    pad = (((l.kernel as number) - 1) / 2) * ((l.dilation as number | undefined) ?? 1)
  }
  const dilation = typeof l.dilation === 'object' ? l.dilation : l.dilation === undefined ? undefined : [l.dilation]
  const bias = l.bias === false ? undefined : l.bias
  const kernel = sides(l, l.kernel, 'kernel_size', ['kernel_h', 'kernel_w'])
  const rest = { ...sides(l, l.stride, 'stride', ['stride_h', 'stride_w']), ...sides(l, pad, 'pad', ['pad_h', 'pad_w']) }
  return {
    ...rates(l, l.bias === false ? [l.weight] : [l.weight, bias]),
    ...settings('convolution_param', {
      num_output: l.outputs as number,
      bias_term: l.bias === false ? false : undefined,
      ...kernel,
      ...rest,
      dilation,
      group: l.group,
      weight_filler: filler(l.weight?.filler ?? XAVIER),
      bias_filler: filler(bias?.filler)
    })
  }
}

function innerProduct(l: LayerOf<'innerProduct'> & Named): Fields {
  const bias = l.bias === false ? undefined : l.bias
  return {
    ...rates(l, l.bias === false ? [l.weight] : [l.weight, bias]),
    ...settings('inner_product_param', {
      num_output: l.outputs as number,
      bias_term: l.bias === false ? false : undefined,
      axis: l.axis,
      weight_filler: filler(l.weight?.filler ?? XAVIER),
      bias_filler: filler(bias?.filler)
    })
  }
}

function pool(l: LayerOf<'maxPool' | 'averagePool'> & Named): Fields {
  return settings('pooling_param', {
    pool: l.type === 'maxPool' ? 'MAX' : 'AVE',
    ...sides(l, l.kernel, 'kernel_size', ['kernel_h', 'kernel_w']),
    ...sides(l, l.stride ?? l.kernel, 'stride', ['stride_h', 'stride_w']),
    ...sides(l, l.pad, 'pad', ['pad_h', 'pad_w']),
    round_mode: l.ceil === false ? 'FLOOR' : undefined
  })
}

const activations: Partial<Record<Activation, [type: string, fields: Fields]>> = {
  relu: ['ReLU', {}],
  leakyRelu: ['ReLU', settings('relu_param', { negative_slope: 0.01 })],
  relu6: ['Clip', settings('clip_param', { min: 0, max: 6 })],
  elu: ['ELU', {}],
  sigmoid: ['Sigmoid', {}],
  tanh: ['TanH', {}],
  softplus: ['BNLL', {}],
  swish: ['Swish', {}],
  softmax: ['Softmax', {}],
  identity: ['Power', {}]
}

/** The layers of Caffe's that one layer is. */
function written(l: Named): Message[] {
  const one = (type: string, fields: Fields = {}) => [layer(type, l.name, l.inputs, l.name, fields)]
  const eltwise = (operation: string) => one('Eltwise', settings('eltwise_param', { operation }))
  switch (l.type) {
    case 'convolution':
      return one('Convolution', convolution(l as never))
    case 'deconvolution':
      return one('Deconvolution', convolution(l as never))
    case 'innerProduct':
      return one('InnerProduct', innerProduct(l))
    case 'maxPool':
    case 'averagePool':
      return one('Pooling', pool(l))
    case 'globalAveragePool':
    case 'globalMaxPool':
      return one('Pooling', settings('pooling_param', { pool: l.type === 'globalMaxPool' ? 'MAX' : 'AVE', global_pooling: true }))
    case 'batchNorm': {
      const statistics = settings('batch_norm_param', { moving_average_fraction: l.momentum ?? 0.9, eps: l.epsilon })
      const fillers = { filler: filler(l.weight?.filler), bias_term: true, bias_filler: filler(l.bias?.filler) }
      return [
        layer('BatchNorm', `${l.name}.statistics`, l.inputs, l.name, statistics),
        layer('Scale', l.name, [l.name], l.name, { ...rates(l, [l.weight, l.bias]), ...settings('scale_param', fillers) })
      ]
    }
    case 'lrn': {
      const { size = 5, alpha = 1, beta = 0.75, k } = l
      const region = l.region === 'within' ? 'WITHIN_CHANNEL' : undefined
      return one('LRN', settings('lrn_param', { local_size: size, alpha, beta, k, norm_region: region }))
    }
    case 'dropout':
      return one('Dropout', settings('dropout_param', { dropout_ratio: l.ratio ?? 0.5 }))
    case 'prelu':
      return one('PReLU', { ...rates(l, [l.weight]), ...settings('prelu_param', { filler: filler(l.weight?.filler) }) })
    case 'leakyRelu':
      return one('ReLU', settings('relu_param', { negative_slope: l.alpha ?? 0.01 }))
    case 'elu':
      return one('ELU', settings('elu_param', { alpha: l.alpha }))
    case 'softmax':
      return one('Softmax', settings('softmax_param', { axis: l.axis }))
    case 'add':
      return eltwise('SUM')
    case 'multiply':
      return eltwise('PROD')
    case 'maximum':
      return eltwise('MAX')
    case 'concat':
      return one('Concat', settings('concat_param', { axis: l.axis }))
    case 'flatten':
      return one('Flatten')
    case 'reshape':
      return one('Reshape', settings('reshape_param', { shape: fill(message('BlobShape'), { dim: [0, ...l.shape] }) }))
    case 'affine':
      if (typeof l.scale === 'object' || typeof l.shift === 'object') refuse(l, 'it has a number a channel')
      return one('Power', settings('power_param', { scale: l.scale as number | undefined, shift: l.shift as number | undefined }))
    default: {
      const known = activations[l.type as Activation]
      return known === undefined ? refuse(l, 'Caffe has no such layer') : one(...known)
    }
  }
}

/**
 * A description as a net of Caffe's, with data and labels from a layer of its own, a softmax loss for each output and an accuracy for the first.
 *
 * @throws InvalidParametersError naming the layer that Caffe cannot express
 */
export function netOf(model: Model): Message {
  const shape = inputShape(model)
  if (shape === undefined) throw new InvalidParametersError('a net needs the shape of its samples; give the description an input')
  const input = inputName(model)
  const tops = [input, 'label']
  const data =
    shape.length === 3
      ? settings('memory_data_param', { batch_size: BATCH, channels: shape[0], height: shape[1], width: shape[2] })
      : settings('input_param', { shape: [[BATCH, ...shape], [BATCH]].map(dim => fill(message('BlobShape'), { dim })) })
  const layers = [fill(message('LayerParameter'), { name: input, type: shape.length === 3 ? 'MemoryData' : 'Input', top: tops, ...data })]
  const named = speltOut(model)
  for (const l of named) {
    if ((l as { outputs?: unknown }).outputs === 'classes') refuse(l, 'it has as many outputs as there are classes; say how many')
    if (l.name === 'label') refuse(l, "'label' is what a net calls its labels; rename it")
    layers.push(...written(l))
    const { activation } = l as { activation?: Activation }
    if (activation === undefined || activation === 'identity') continue
    const known = activations[activation]
    if (known === undefined) refuse(l, `Caffe has no activation '${activation}'`)
    layers.push(layer(known![0], `${l.name}.${activation}`, [l.name], l.name, known![1]))
  }
  const outputs = (model.outputs ?? [named.at(-1)!.name]).map(o => (typeof o === 'string' ? { layer: o } : o))
  outputs.forEach(({ layer: from, lossWeight }, i) => {
    const suffix = i === 0 ? '' : `.${from}`
    const weight = i === 0 || lossWeight === undefined ? {} : { loss_weight: [lossWeight] }
    layers.push(layer('SoftmaxWithLoss', `loss${suffix}`, [from, 'label'], `loss${suffix}`, weight))
  })
  const test = { include: [fill(message('NetStateRule'), { phase: 'TEST' })] }
  layers.push(layer('Accuracy', 'accuracy', [outputs[0].layer, 'label'], 'accuracy', test))
  return fill(message('NetParameter'), { name: model.name, layer: layers })
}

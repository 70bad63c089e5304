import { Message, message, type Scalar } from './message.ts'
import { messageType } from './schema.ts'

/** Layer types of V1 nets, by their present names. */
const types: Record<string, string> = {
  ABSVAL: 'AbsVal',
  ACCURACY: 'Accuracy',
  ARGMAX: 'ArgMax',
  BNLL: 'BNLL',
  CONCAT: 'Concat',
  CONTRASTIVE_LOSS: 'ContrastiveLoss',
  CONVOLUTION: 'Convolution',
  DATA: 'Data',
  DECONVOLUTION: 'Deconvolution',
  DROPOUT: 'Dropout',
  DUMMY_DATA: 'DummyData',
  ELTWISE: 'Eltwise',
  EUCLIDEAN_LOSS: 'EuclideanLoss',
  EXP: 'Exp',
  FLATTEN: 'Flatten',
  HDF5_DATA: 'HDF5Data',
  HDF5_OUTPUT: 'HDF5Output',
  HINGE_LOSS: 'HingeLoss',
  IM2COL: 'Im2col',
  IMAGE_DATA: 'ImageData',
  INFOGAIN_LOSS: 'InfogainLoss',
  INNER_PRODUCT: 'InnerProduct',
  LRN: 'LRN',
  MEMORY_DATA: 'MemoryData',
  MULTINOMIAL_LOGISTIC_LOSS: 'MultinomialLogisticLoss',
  MVN: 'MVN',
  POOLING: 'Pooling',
  POWER: 'Power',
  RELU: 'ReLU',
  SIGMOID: 'Sigmoid',
  SIGMOID_CROSS_ENTROPY_LOSS: 'SigmoidCrossEntropyLoss',
  SILENCE: 'Silence',
  SLICE: 'Slice',
  SOFTMAX: 'Softmax',
  SOFTMAX_LOSS: 'SoftmaxWithLoss',
  SPLIT: 'Split',
  TANH: 'TanH',
  THRESHOLD: 'Threshold',
  WINDOW_DATA: 'WindowData'
}

const elsewhere = new Set(['layer', 'type', 'param', 'blob_share_mode', 'blobs_lr', 'weight_decay'])

/** Fields of data layers that moved to `transform_param`. */
const moved = ['scale', 'mean_file', 'crop_size', 'mirror']

/**
 * The net as today's Caffe writes it: V1 `layers` become `layer`, `input` fields become Input layers, and what data layers said of
 * transformations moves to `transform_param`.
 *
 * @throws MalformedError naming the place, for V0 layers and for nets that mix both kinds
 */
export function upgradeNet(net: Message): Message {
  const upgraded = net.copy()
  const old = net.messages('layers')
  if (old.length > 0 && net.has('layer')) old[0].fail(`a net has either 'layer' or the older 'layers'; write all of them as 'layer'`)
  const layers = old.length > 0 ? old.map(upgradeLayer) : net.messages('layer')
  upgraded.set('layers').set('layer', [...inputs(net), ...layers].map(upgradeTransform))
  return upgraded.set('input').set('input_shape').set('input_dim')
}

function upgradeLayer(old: Message): Message {
  if (old.has('layer')) {
    const { type } = { type: old.message('layer').string('type') }
    old.fail(`layer '${old.message('layer').string('name')}' of type '${type}' is of the oldest format (V0); write it as 'layer' is today`)
  }
  const layer = new Message(messageType('LayerParameter'), old.source, old.offset)
  for (const [name, values] of old.values) if (!elsewhere.has(name)) layer.values.set(name, values)
  const type = types[old.string('type')]
  if (type === undefined) old.fail(`layer '${old.string('name')}' has no type that is known today`)
  layer.set('type', type)
  const lists = { name: old.strings('param'), share_mode: old.strings('blob_share_mode'), lr_mult: old.numbers('blobs_lr') }
  const all: Record<string, readonly Scalar[]> = { ...lists, decay_mult: old.numbers('weight_decay') }
  const count = Math.max(...Object.values(all).map(list => list.length))
  const params = Array.from({ length: count }, (_, i) => {
    const param = new Message(messageType('ParamSpec'), old.source, old.offset)
    for (const [field, list] of Object.entries(all)) if (list[i] !== undefined && list[i] !== '') param.set(field, list[i])
    return param
  })
  return params.length > 0 ? layer.set('param', params) : layer
}

/** Input layers for the fields `input`, `input_shape` and `input_dim` of a net. */
function inputs(net: Message): Message[] {
  const names = net.strings('input')
  const shapes = net.messages('input_shape').map(s => s.numbers('dim'))
  const dims = net.numbers('input_dim')
  if (shapes.length > 0 && dims.length > 0) net.fail(`a net has either 'input_shape' or 'input_dim'`)
  if (dims.length > 0 && dims.length !== 4 * names.length) net.fail(`'input_dim' takes four numbers an input, not ${dims.length}`)
  if (shapes.length > 0 && shapes.length !== names.length) net.fail(`${names.length} inputs have ${shapes.length} 'input_shape's`)
  return names.map((name, i) => {
    const layer = new Message(messageType('LayerParameter'), net.source, net.offset)
    const dim = shapes[i] ?? (dims.length > 0 ? dims.slice(4 * i, 4 * i + 4) : undefined)
    layer.set('name', name).set('type', 'Input').set('top', [name])
    if (dim === undefined) return layer
    return layer.set('input_param', message('InputParameter').set('shape', [message('BlobShape').set('dim', dim)]))
  })
}

function upgradeTransform(layer: Message): Message {
  const holder = { Data: 'data_param', ImageData: 'image_data_param', WindowData: 'window_data_param' }[layer.string('type')]
  if (holder === undefined) return layer
  const data = layer.message(holder)
  const fields = moved.filter(name => data.has(name))
  if (fields.length === 0) return layer
  const transform = layer.message('transform_param').copy()
  for (const name of fields) {
    if (transform.has(name)) data.fail(`'${name}' is given here and in 'transform_param'`)
    transform.values.set(name, data.values.get(name)!)
  }
  return layer.copy().set('transform_param', transform)
}

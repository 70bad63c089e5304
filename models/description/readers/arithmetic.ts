import { floatAttribute, intAttribute, stringAttribute } from '../../graph/attributes.ts'
import { elementAt } from '../../graph/tensors.ts'
import type { NodeReader } from '../from-graph.ts'
import type { Layer } from '../schema.ts'
import type { Read } from './index.ts'

/** A constant of one element. */
function scalar(r: NodeReader, name: string | undefined): number | undefined {
  const constant = r.graph.constants.get(name ?? '')
  return constant !== undefined && constant.data.length === 1 ? elementAt(constant, 0) : undefined
}

type Plain = 'relu' | 'relu6' | 'selu' | 'sigmoid' | 'hardSigmoid' | 'tanh' | 'softplus' | 'hardSwish' | 'gelu'

const plain =
  (type: Plain): Read =>
  r => {
    if (!r.join(type)) r.add({ type }, [r.node.inputs[0]])
  }

const sloped =
  (type: 'leakyRelu' | 'elu', usual: number): Read =>
  r => {
    const alpha = floatAttribute(r.node, 'alpha', usual)
    const same = Math.abs(alpha - usual) < 1e-7
    if (!same || !r.join(type)) r.add({ type, ...(same ? {} : { alpha }) }, [r.node.inputs[0]])
  }

const clip: Read = r => {
  const [x, low, high] = r.node.inputs
  if (scalar(r, low) !== 0 || scalar(r, high) !== 6) r.refuse('it clips at other bounds than 0 and 6')
  if (!r.join('relu6')) r.add({ type: 'relu6' }, [x])
}

const prelu: Read = r => {
  const [x, slope] = r.node.inputs
  const [channels, ...rest] = r.sample(x)
  r.add({ type: 'prelu', ...r.weight(slope, [channels, ...rest.map(() => 1)]) } as Layer, [x], slope)
}

const softmax: Read = r => {
  const rank = r.sample(r.node.inputs[0]).length + 1
  const axis = intAttribute(r.node, 'axis', -1)
  const from = axis < 0 ? axis + rank : axis
  if (from === 0) r.refuse('it runs over the batch')
  r.add({ type: 'softmax', ...(from === 1 ? {} : { axis: from }) }, [r.node.inputs[0]])
}

const eltwise =
  (type: 'add' | 'multiply' | 'maximum'): Read =>
  r => {
    const flowing = r.flowing()
    const [fixed] = r.node.inputs.filter(name => r.fixed(name))
    if (fixed !== undefined) return withConstant(r, type, flowing, fixed)
    const shapes = flowing.map(value => r.sample(value).join())
    if (flowing.length < 2 || new Set(shapes).size > 1) r.refuse('it does not join values of one shape')
    r.add({ type }, flowing)
  }

/** A bias after a product without one, a trained vector a position, or a number. */
function withConstant(r: NodeReader, type: 'add' | 'multiply' | 'maximum', flowing: string[], fixed: string): void {
  const [x] = flowing
  if (flowing.length !== 1) r.refuse('it joins values with constants')
  const number = scalar(r, fixed)
  if (number !== undefined && type !== 'maximum') {
    r.add({ type: 'affine', ...(type === 'multiply' ? { scale: number } : { shift: number }) }, [x])
    return
  }
  const sample = r.sample(x)
  const shape = r.graph.types.get(fixed)!.shape.join()
  const perChannel = r.graph.constants.get(fixed)
  if (perChannel !== undefined && type !== 'maximum' && isChannels(perChannel.shape, sample)) {
    const values = Array.from({ length: perChannel.data.length }, (_, i) => elementAt(perChannel, i))
    r.add({ type: 'affine', ...(type === 'multiply' ? { scale: values } : { shift: values }) }, [x])
    return
  }
  const maker = r.soleMaker(x, 'innerProduct')
  if (type === 'add' && maker?.type === 'innerProduct' && maker.bias === false && shape === String(maker.outputs)) {
    const bias = r.parameter(fixed, [maker.outputs as number])
    delete maker.bias
    if (bias !== undefined) maker.bias = bias
    r.same(r.node.outputs[0], x)
    return
  }
  if (type !== 'add' || shape !== sample.join() || sample.length !== 2) r.refuse(`it joins its input with the tensor '${fixed}'`)
  r.add({ type: 'positionalEmbedding', ...r.weight(fixed, sample) } as Layer, [x], fixed)
}

/** [channels, 1, …], whether the batch has a 1 of its own or not. */
function isChannels(shape: number[], [channels, ...rest]: number[]): boolean {
  const wanted = [channels, ...rest.map(() => 1)].join()
  return rest.length > 0 && (shape.join() === wanted || shape.join() === `1,${wanted}`)
}

function epsilonOf(r: NodeReader): { epsilon?: number } {
  const epsilon = floatAttribute(r.node, 'epsilon', 1e-5)
  return Math.abs(epsilon - 1e-5) < 1e-10 ? {} : { epsilon: Number(epsilon.toPrecision(7)) }
}

function scaled(r: NodeReader, shape: number[], weight: string, bias: string) {
  const own = r.parameter(bias, shape)
  return { ...r.weight(weight, shape), ...(own === undefined ? {} : { bias: own }) }
}

const batchNorm: Read = r => {
  const [x, weight, bias, mean, variance] = r.node.inputs
  if (!r.graph.states.has(mean) || !r.graph.states.has(variance)) r.refuse('its statistics are no running ones')
  const momentum = floatAttribute(r.node, 'momentum', 0.9)
  const moved = Math.abs(momentum - 0.9) < 1e-7 ? {} : { momentum: Number(momentum.toPrecision(7)) }
  r.add({ type: 'batchNorm', ...moved, ...epsilonOf(r), ...scaled(r, [r.sample(x)[0]], weight, bias) } as Layer, [x], weight)
}

const layerNorm: Read = r => {
  const [x, weight, bias] = r.node.inputs
  const sample = r.sample(x)
  const axis = intAttribute(r.node, 'axis', -1)
  if (axis !== -1 && axis !== sample.length) r.refuse('it runs over more than the last axis')
  if ((bias ?? '') === '') r.refuse('it has no bias')
  r.add({ type: 'layerNorm', ...epsilonOf(r), ...scaled(r, [sample.at(-1)!], weight, bias) } as Layer, [x], weight)
}

const lrn: Read = r => {
  const { node } = r
  const value = (name: string, usual: number) => Number(floatAttribute(node, name, usual).toPrecision(7))
  const [size, k] = [intAttribute(node, 'size', 1), value('bias', 1)]
  r.add({ type: 'lrn', size, alpha: value('alpha', 1e-4), beta: value('beta', 0.75), ...(k === 1 ? {} : { k }) }, [node.inputs[0]])
}

const dropout: Read = r => {
  const [x, given] = r.node.inputs
  if ((r.node.outputs[1] ?? '') !== '') r.refuse('its mask is used')
  const ratio = (given ?? '') === '' ? 0.5 : (scalar(r, given) ?? r.refuse('its ratio is computed'))
  r.add({ type: 'dropout', ratio: Number(ratio.toPrecision(7)) }, [x])
}

export const arithmetic: Record<string, Read> = {
  Relu: plain('relu'),
  Selu: plain('selu'),
  Sigmoid: plain('sigmoid'),
  HardSigmoid: r => {
    const usual = Math.abs(floatAttribute(r.node, 'alpha', 0.2) - 0.2) < 1e-6 && Math.abs(floatAttribute(r.node, 'beta', 0.5) - 0.5) < 1e-6
    if (!usual) r.refuse('its slope or offset is not the usual one')
    plain('hardSigmoid')(r)
  },
  Tanh: plain('tanh'),
  Softplus: plain('softplus'),
  HardSwish: plain('hardSwish'),
  Gelu: r => (stringAttribute(r.node, 'approximate', 'none') === 'none' ? plain('gelu')(r) : r.refuse('it is approximate')),
  LeakyRelu: sloped('leakyRelu', 0.01),
  Elu: sloped('elu', 1),
  Clip: clip,
  PRelu: prelu,
  Softmax: softmax,
  Add: eltwise('add'),
  Sum: eltwise('add'),
  Mul: eltwise('multiply'),
  Max: eltwise('maximum'),
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  LRN: lrn,
  Dropout: dropout
}

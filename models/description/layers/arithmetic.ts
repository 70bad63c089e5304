import { z } from 'zod'
import { float } from '../../graph/attributes.ts'
import { sizeOf } from '../../graph/tensors.ts'
import { activate } from '../activate.ts'
import { kind, type LayerContext } from '../context.ts'
import { type Activation, activation, common, natural, parameter, real, trained } from '../fields.ts'

function several(c: LayerContext): string[] {
  if (c.inputs.length < 2) c.refuse(`joins two values or more; name them under inputs`)
  return c.inputs
}

const joined = { ...common, activation: activation.optional() }

const add = kind(z.strictObject({ type: z.literal('add'), ...joined }), c => c.result(c.inputs.length === 2 ? 'Add' : 'Sum', several(c)))
const maximum = kind(z.strictObject({ type: z.literal('maximum'), ...joined }), c => c.result('Max', several(c)))
const multiply = kind(z.strictObject({ type: z.literal('multiply'), ...joined }), c => {
  const [first, second, ...rest] = several(c)
  const product = rest.reduce<[string, string]>(([a, b], x) => [c.op('Mul', [a, b]), x], [first, second])
  return c.result('Mul', product)
})

/** Along axis `axis`; 1 is the first of a sample. */
const concat = kind(z.strictObject({ type: z.literal('concat'), ...joined, axis: natural.min(1).max(8).optional() }), (c, { axis = 1 }) =>
  c.result('Concat', several(c), { axis })
)

const flatten = kind(z.strictObject({ type: z.literal('flatten'), ...common }), c => c.result('Flatten', [c.x]))

/** `shape` is a sample's; one -1 takes what is left. */
const reshape = kind(
  z.strictObject({
    type: z.literal('reshape'),
    ...common,
    shape: z
      .array(
        z
          .number()
          .int()
          .min(-1)
          .max(2 ** 24)
      )
      .min(1)
      .max(8)
  }),
  (c, { shape }) => {
    const sample = c.sample()
    const known = sizeOf(shape.filter(d => d !== -1))
    const whole = sizeOf(sample)
    const open = shape.filter(d => d === -1).length
    if (shape.includes(0) || open > 1 || (open === 1 ? whole % known !== 0 : whole !== known)) {
      c.refuse(`makes [${shape.join(', ')}] of samples of shape [${sample.join(', ')}], which hold ${whole} numbers`)
    }
    return c.result('Reshape', [c.x, c.ints([-1, ...shape.map(d => (d === -1 ? whole / known : d))])])
  }
)

/** `order` names a sample's axes from 1 on. */
const transpose = kind(
  z.strictObject({ type: z.literal('transpose'), ...common, order: z.array(natural.min(1).max(8)).min(1).max(8) }),
  (c, { order }) => {
    const rank = c.shape().length - 1
    if (order.length !== rank || new Set(order).size !== rank || order.some(i => i > rank)) {
      c.refuse(`orders the axes [${order.join(', ')}]; its input has 1 to ${rank}, each to be named once`)
    }
    return c.result('Transpose', [c.x], { perm: [0, ...order] })
  }
)

/** Channels of zeros before and after those of the input. */
const padChannels = kind(
  z.strictObject({ type: z.literal('padChannels'), ...common, before: natural.optional(), after: natural.optional() }),
  (c, { before = 0, after = 0 }) => {
    const rank = c.shape().length
    const at = (n: number) => Array.from({ length: rank }, (_, i) => (i === 1 ? n : 0))
    return c.result('Pad', [c.x, c.ints([...at(before), ...at(after)])])
  }
)

const numbers = z.union([real, z.array(real).min(1).max(65_536)])

/** x·scale + shift, each one number, or one a channel. */
const affine = kind(
  z.strictObject({ type: z.literal('affine'), ...common, scale: numbers.optional(), shift: numbers.optional() }),
  (c, layer) => {
    const [channels, ...rest] = c.sample()
    const tensor = (given: number | number[]) => {
      if (typeof given === 'number') return c.e.scalar(given)
      if (given.length !== channels) c.refuse(`gives ${given.length} numbers for ${channels} channels`)
      return c.constant(given, [channels, ...rest.map(() => 1)])
    }
    const { scale, shift } = layer
    if (shift === undefined) return c.result('Mul', [c.x, tensor(scale ?? 1)])
    return c.result('Add', [scale === undefined ? c.x : c.op('Mul', [c.x, tensor(scale)]), tensor(shift)])
  }
)

/** A slope a channel below zero. @see He 2015 */
const prelu = kind(z.strictObject({ type: z.literal('prelu'), ...trained, weight: parameter.optional() }), (c, layer) => {
  const [channels, ...rest] = c.sample()
  return c.result('PRelu', [c.x, c.parameter('weight', [channels, ...rest.map(() => 1)], { type: 'constant', value: 0.25 }, layer.weight)])
})

function plain<const A extends Exclude<Activation, 'leakyRelu' | 'elu' | 'softmax'>>(type: A) {
  return kind(z.strictObject({ type: z.literal(type), ...common }), c => activate(c.e, type, c.x, c.name))
}

const leakyRelu = kind(z.strictObject({ type: z.literal('leakyRelu'), ...common, alpha: real.optional() }), (c, { alpha = 0.01 }) =>
  c.result('LeakyRelu', [c.x], { alpha: float(alpha) })
)
const elu = kind(z.strictObject({ type: z.literal('elu'), ...common, alpha: real.optional() }), (c, { alpha = 1 }) =>
  c.result('Elu', [c.x], { alpha: float(alpha) })
)
const softmax = kind(z.strictObject({ type: z.literal('softmax'), ...common, axis: natural.min(1).max(8).optional() }), (c, { axis = 1 }) =>
  c.result('Softmax', [c.x], { axis })
)

export const arithmetic = { add, maximum, multiply, concat, flatten, reshape, transpose, padChannels, affine }

export const activations = {
  identity: plain('identity'),
  relu: plain('relu'),
  relu6: plain('relu6'),
  leakyRelu,
  prelu,
  elu,
  selu: plain('selu'),
  sigmoid: plain('sigmoid'),
  hardSigmoid: plain('hardSigmoid'),
  tanh: plain('tanh'),
  softplus: plain('softplus'),
  hardSwish: plain('hardSwish'),
  swish: plain('swish'),
  gelu: plain('gelu'),
  softmax
}

/** Fields that several kinds of layers share. */
import { z } from 'zod'
import type { Filler } from '../graph/types.ts'

/** Largest count of anything a description names: outputs, sizes of kernels, dimensions. */
const MAX_COUNT = 2 ** 24

export const count = z.number().int().min(1).max(MAX_COUNT)
export const natural = z.number().int().min(0).max(MAX_COUNT)
/** One number for every spatial axis, or one an axis. */
export const counts = z.union([count, z.array(count).min(1).max(3)])
export const naturals = z.union([natural, z.array(natural).min(1).max(3)])
export const factor = z.number().min(0).max(1e6)
export const real = z.number().min(-1e30).max(1e30)

/** Names of layers and values: they reach messages and files, one line each. */
export const name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}]+$/u, 'must hold no control characters')

export const activationNames = [
  'identity',
  'relu',
  'relu6',
  'leakyRelu',
  'elu',
  'selu',
  'sigmoid',
  'hardSigmoid',
  'tanh',
  'softplus',
  'hardSwish',
  'swish',
  'gelu',
  'softmax'
] as const

export type Activation = (typeof activationNames)[number]

export const activation = z.enum(activationNames)

const norm = z.enum(['fan_in', 'fan_out', 'average']).optional()

/** First values of a parameter, in Caffe's terms. @see Filler */
const fillers = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('constant'), value: real }),
  z.strictObject({ type: z.literal('uniform'), min: real, max: real }),
  z.strictObject({ type: z.literal('gaussian'), mean: real.optional(), std: factor, sparse: count.optional() }),
  z.strictObject({ type: z.literal('xavier'), norm }),
  z.strictObject({ type: z.literal('msra'), norm }),
  z.strictObject({ type: z.literal('positive_unitball') }),
  z.strictObject({ type: z.literal('bilinear') })
])

/** In full, or a kind's name alone, or a number that every element gets. */
export const filler = z.preprocess((given: unknown) => {
  if (typeof given === 'string') return { type: given }
  return typeof given === 'number' ? { type: 'constant', value: given } : given
}, fillers)

export const parameter = z.strictObject({ filler: filler.optional(), lrMult: factor.optional(), decayMult: factor.optional() })

/** First values and rates of one parameter. */
export interface ParameterOptions {
  filler?: Exclude<Filler, { type: 'given' }>
  /** @default 1 */
  lrMult?: number
  /** @default 1 */
  decayMult?: number
}

/** What every layer may say. */
export const common = {
  /** @default the type and the layer's number */
  name: name.optional(),
  /** Layers that it reads, or the input's name. @default the layer before */
  inputs: z.union([name, z.array(name).min(1).max(4096)]).optional()
}

/** What every layer with parameters may say: these multiply the parameters' own. */
export const trained = {
  ...common,
  /** 0 freezes the layer. */
  lrMult: factor.optional(),
  /** Of L1 and L2 alike. */
  decayMult: factor.optional()
}

export const weights = { ...trained, weight: parameter.optional(), bias: z.union([z.literal(false), parameter]).optional() }

import { z } from 'zod'
import { activation, count, factor, filler, name } from './fields.ts'
import { activations, arithmetic } from './layers/arithmetic.ts'
import { kernels } from './layers/kernels.ts'
import { normalization } from './layers/normalization.ts'
import { pooling } from './layers/pooling.ts'
import { sequence } from './layers/sequence.ts'

/** Every kind of layer, by the `type` that it has in a description. */
export const kinds = { ...kernels, ...pooling, ...normalization, ...activations, ...arithmetic, ...sequence }

export type LayerType = keyof typeof kinds

/** What may be said of a layer of one type. */
export type LayerOf<T extends LayerType> = z.output<(typeof kinds)[T]['schema']>

export type Layer = { [T in LayerType]: LayerOf<T> }[LayerType]

export const layerTypes = Object.keys(kinds) as LayerType[]

const schemas = Object.values(kinds).map(k => k.schema) as unknown as [z.ZodObject<{ type: z.ZodLiteral<LayerType> }>]

export const layer = z.discriminatedUnion('type', schemas) as unknown as z.ZodType<Layer>

const output = z.strictObject({
  layer: name,
  /** Of the graph's output. @default `logits` for the first, the layer's name for the others */
  name: name.optional(),
  /** Of its loss in the sum that is trained. @default 1 */
  lossWeight: factor.optional()
})

/** What layers are taken to say that say nothing else. */
const defaults = z.strictObject({
  activation: activation.optional(),
  /** First values of weights; biases begin at 0. */
  filler: filler.optional(),
  lrMult: factor.optional(),
  decayMult: factor.optional()
})

/** A model, as YAML and JSON write it, the training section left out. */
export const model = z.strictObject({
  name: name.optional(),
  /** Of one sample, without the batch. @default the data set's */
  input: z.union([z.array(count).min(1).max(8), z.strictObject({ name: name.optional(), shape: z.array(count).min(1).max(8) })]).optional(),
  defaults: defaults.optional(),
  layers: z.array(layer).min(1).max(10_000),
  /** Layers whose results the model gives; the first is what it is judged by. @default the last layer */
  outputs: z
    .array(z.union([name, output]))
    .min(1)
    .max(64)
    .optional()
})

/** A model described: layers in an order in which each comes after what it reads. */
export type Model = z.output<typeof model>

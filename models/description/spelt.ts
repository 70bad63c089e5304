import type { Activation } from './fields.ts'
import { kinds, type Layer, type LayerType, type Model } from './schema.ts'

/** Layers whose weights scale or slope, and do not begin as a filler of weights says. */
const ownFiller: readonly LayerType[] = ['batchNorm', 'layerNorm', 'prelu']

/** The layers with their names, their inputs and what the model's defaults say of them spelt out. */
export function speltOut(model: Model): (Layer & { name: string; inputs: string[] })[] {
  const { activation, filler, lrMult, decayMult } = model.defaults ?? {}
  let last = inputName(model)
  return model.layers.map((layer, i) => {
    const name = layer.name ?? `${layer.type}${i + 1}`
    const inputs = layer.inputs === undefined ? [last] : typeof layer.inputs === 'string' ? [layer.inputs] : layer.inputs
    last = name
    const { shape } = kinds[layer.type].schema
    const own = layer as { activation?: Activation; lrMult?: number; decayMult?: number; weight?: { filler?: unknown } }
    const made: Record<string, unknown> = { ...layer, name, inputs }
    if (activation !== undefined && own.activation === undefined && 'activation' in shape && 'weight' in shape)
      made['activation'] = activation
    if ('weight' in shape) {
      if (filler !== undefined && own.weight?.filler === undefined && !ownFiller.includes(layer.type))
        made['weight'] = { ...own.weight, filler }
      if (lrMult !== undefined) made['lrMult'] = own.lrMult ?? lrMult
      if (decayMult !== undefined) made['decayMult'] = own.decayMult ?? decayMult
    }
    return made as unknown as Layer & { name: string; inputs: string[] }
  })
}

/** What the first layer reads unless it says otherwise. */
export function inputName({ input }: Pick<Model, 'input'>): string {
  return (Array.isArray(input) ? undefined : input?.name) ?? 'data'
}

/** Shape of a sample; undefined where the model leaves that open. */
export function inputShape({ input }: Pick<Model, 'input'>): number[] | undefined {
  return Array.isArray(input) ? input : input?.shape
}

/** A model with nothing left open: the shape of its samples and the number of classes written into it. */
export function settled(model: Model, { shape, classes }: { shape?: number[]; classes?: number }): Model {
  const layers = model.layers.map(layer => {
    const open = layer as { outputs?: unknown; vocabulary?: unknown }
    if (classes === undefined || (open.outputs !== 'classes' && open.vocabulary !== 'classes')) return layer
    return {
      ...layer,
      ...(open.outputs === 'classes' ? { outputs: classes } : {}),
      ...(open.vocabulary === 'classes' ? { vocabulary: classes } : {})
    } as Layer
  })
  return { ...model, ...(model.input === undefined && shape !== undefined ? { input: shape } : {}), layers }
}

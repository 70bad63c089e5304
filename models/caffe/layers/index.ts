/**
 * Caffe's layer types, one table: what turns each into nodes, how many bottoms it takes, and which of them are losses.
 */

import type { Message } from '../message.ts'
import { activations } from './activations.ts'
import { LayerContext, type LayerRule, type NetContext } from './context.ts'
import { linear } from './linear.ts'
import { losses } from './losses.ts'
import { movement } from './movement.ts'
import { normalization } from './normalization.ts'
import { windows } from './windows.ts'

export { LayerContext, type NetContext } from './context.ts'
export { batchSize, type CaffeInput, dataLayers, declaredShape, sourceOf, transform } from './data.ts'
export { accuracy, losses, type Term } from './losses.ts'

const rules: Record<string, LayerRule> = { ...windows, ...activations, ...linear, ...normalization, ...movement }

/** The rule of a layer type, if there is one. */
export function ruleOf(type: string): LayerRule | undefined {
  return Object.hasOwn(rules, type) ? rules[type] : undefined
}

/** Largest blob, elements a sample: what a 4,096×4,096 image of four channels has. */
const MAX_ELEMENTS = 2 ** 26

/** The values of a layer's tops. */
export function applyRule(context: NetContext, layer: Message, bottoms: string[]): string[] {
  const c = new LayerContext(context, layer, bottoms)
  const values = rules[layer.string('type')](c)
  const tops = layer.strings('top').length
  if (tops > values.length) c.refuse(`it has ${tops} tops and makes ${values.length}`)
  for (const value of values) {
    const shape = context.e.shape(value)
    const elements = shape.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1)
    if (elements > MAX_ELEMENTS) c.refuse(`it makes [${shape.join(', ')}]; a sample may have ${MAX_ELEMENTS} elements`)
  }
  return values
}

/** Every type that computes something, losses and Accuracy among them. */
export const layerTypes: readonly string[] = [...Object.keys(rules), ...Object.keys(losses), 'Accuracy'].sort()

const any = Number.POSITIVE_INFINITY

const arities: Record<string, [least: number, most: number]> = {
  Convolution: [1, any],
  Deconvolution: [1, any],
  InnerProduct: [1, any],
  Concat: [1, any],
  Eltwise: [2, any],
  Silence: [1, any],
  Scale: [1, 2],
  Bias: [1, 2],
  ContrastiveLoss: [3, 3],
  Accuracy: [2, 2],
  ...Object.fromEntries(
    ['SoftmaxWithLoss', 'MultinomialLogisticLoss', 'EuclideanLoss', 'SigmoidCrossEntropyLoss', 'HingeLoss'].map(t => [t, [2, 2]])
  )
}

/** Fewest and most bottoms of a layer type. */
export function arityOf(type: string): [least: number, most: number] {
  return arities[type] ?? [1, 1]
}

/** Losses: each appends to a graph the sum of the samples' losses, how many samples that is over, and a count of hits. */
import { InvalidParametersError } from '../../common/index.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { Dim } from '../graph/types.ts'
import { binaryCrossEntropy, huber, meanAbsoluteError, meanSquaredError } from './regression.ts'
import { classAxis, softCrossEntropy, softmaxCrossEntropy } from './softmax-cross-entropy.ts'

/** Names of float32 scalars. */
export interface LossOutputs {
  /** Sum over the counted samples. */
  lossSum: string
  /** How many samples counted. */
  denominator: string
  /** How many of them the model got right; undefined where the loss knows no such thing. */
  correct: string | undefined
}

export interface LossDefinition {
  /** Type and shape, the batch left out, of the labels of scores of a shape, the batch included. */
  labels: (scores: Dim[], name: string) => { type: 'int32' | 'float32'; shape: Dim[] }
  build: (e: Emitter, scores: string, labels: string) => LossOutputs
}

/** A number for each sample, or for each of its positions: what is left of the scores without the classes. */
const classes: LossDefinition['labels'] = (scores, name) => {
  const axis = classAxis(scores, name)
  return { type: 'int32', shape: scores.filter((_, i) => i > 0 && i !== axis) }
}

const targets: LossDefinition['labels'] = scores => ({ type: 'float32', shape: scores.slice(1) })

const table = {
  'softmax-ce': { labels: classes, build: softmaxCrossEntropy },
  'soft-ce': { labels: targets, build: softCrossEntropy },
  bce: { labels: targets, build: binaryCrossEntropy },
  mse: { labels: targets, build: meanSquaredError },
  l1: { labels: targets, build: meanAbsoluteError },
  huber: { labels: targets, build: huber }
} satisfies Record<string, LossDefinition>

/** A loss of the table, or one of the model's own outputs: `output:NAME`. */
export type LossName = keyof typeof table | `output:${string}`

/** Losses that are appended to a model. */
export const losses: Readonly<Record<keyof typeof table, LossDefinition>> = table

/** What a loss may be called, for messages and help. */
export const lossNames: readonly string[] = [...Object.keys(table), 'output:NAME']

/** @throws InvalidParametersError that lists the known names */
export function parseLoss(text: string): LossName {
  if (Object.hasOwn(table, text) || /^output:./s.test(text)) return text as LossName
  throw new InvalidParametersError(`no loss is called '${text.slice(0, 100)}'; there are ${lossNames.join(', ')}`)
}

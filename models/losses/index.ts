/** Losses: each appends to a graph the sum of the samples' losses, how many samples that is over, and a count of hits. */
import type { Emitter } from '../graph/emitter.ts'
import { softmaxCrossEntropy } from './softmax-cross-entropy.ts'

/** Names of float32 scalars. */
export interface LossOutputs {
  /** Sum over the counted samples. */
  lossSum: string
  /** How many samples counted. */
  denominator: string
  /** How many of them the model got right; 0 where the loss knows no such thing. */
  correct: string
}

export interface LossDefinition {
  /** What a batch of labels is for scores of shape `scores`. */
  build: (e: Emitter, scores: string, labels: string) => LossOutputs
}

export const losses = {
  'softmax-cross-entropy': { build: softmaxCrossEntropy }
} satisfies Record<string, LossDefinition>

export type LossName = keyof typeof losses

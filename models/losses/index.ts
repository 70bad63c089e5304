/** Losses: each appends to a graph the sum of the samples' losses, how many samples that is over, and a count of hits. */
import type { Emitter } from '../graph/emitter.ts'
import { binaryCrossEntropy, huber, meanAbsoluteError, meanSquaredError } from './regression.ts'
import { softCrossEntropy, softmaxCrossEntropy } from './softmax-cross-entropy.ts'

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
  /** Type of the labels, and whether they are one a sample or have the shape of the scores. */
  labels: { type: 'int32' | 'float32'; each: 'sample' | 'score' }
  build: (e: Emitter, scores: string, labels: string) => LossOutputs
}

const classes = { type: 'int32', each: 'sample' } as const
const targets = { type: 'float32', each: 'score' } as const

/** The model's own first output is the loss: summed over all its elements, which then are one a sample, or one in all. */
function ownOutput(e: Emitter, scores: string, labels: string): LossOutputs {
  const samples = e.op('Squeeze', [e.op('Shape', [labels], { start: 0, end: 1 }), e.ints([0])])
  const denominator = e.op('Cast', [samples], { to: 1 })
  const total = e.op('ReduceSum', [scores], { keepdims: 0 })
  // A single number is the batch's mean, as models that end in a loss have it.
  const lossSum = e.shape(scores).every(d => d === 1) ? e.op('Mul', [total, denominator]) : total
  return { lossSum, denominator, correct: e.scalar(0) }
}

export const losses = {
  'softmax-cross-entropy': { labels: classes, build: softmaxCrossEntropy },
  'soft-cross-entropy': { labels: targets, build: softCrossEntropy },
  'binary-cross-entropy': { labels: targets, build: binaryCrossEntropy },
  mse: { labels: targets, build: meanSquaredError },
  l1: { labels: targets, build: meanAbsoluteError },
  huber: { labels: targets, build: huber },
  output: { labels: classes, build: ownOutput }
} satisfies Record<string, LossDefinition>

export type LossName = keyof typeof losses

import { InvalidParametersError } from '../../common/index.ts'
import { isStatic, sameShape } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { LossOutputs } from './index.ts'

/*
 * Losses between scores and targets of the same shape. A sample's loss is the mean over its elements, so that the mean over samples is
 * what PyTorch's default reduction gives; the denominator is the number of samples.
 */

function elements(e: Emitter, scores: string, targets: string, loss: string): number {
  const shape = e.shape(scores)
  const each = shape.slice(1)
  if (!isStatic(each) || !sameShape(each, e.shape(targets).slice(1))) {
    throw new InvalidParametersError(`loss ${loss} needs an output of known size and targets like it, not [${shape.join(', ')}]`)
  }
  return each.reduce((a, b) => a * b, 1)
}

/** Sum over the batch of the samples' means of `values`, with the number of samples. */
function summed(e: Emitter, values: string, count: number, hits: string | undefined): LossOutputs {
  const total = e.op('ReduceSum', [values], { keepdims: 0 })
  const lossSum = count === 1 ? total : e.op('Div', [total, e.scalar(count)])
  const samples = e.op('Cast', [e.op('Squeeze', [e.op('Shape', [values], { start: 0, end: 1 }), e.ints([0])])], { to: 1 })
  return { lossSum, denominator: samples, correct: hits }
}

/** Mean squared error. */
export function meanSquaredError(e: Emitter, scores: string, targets: string): LossOutputs {
  const n = elements(e, scores, targets, 'mse')
  const d = e.op('Sub', [scores, targets])
  return summed(e, e.op('Mul', [d, d]), n, undefined)
}

/** Mean absolute error. */
export function meanAbsoluteError(e: Emitter, scores: string, targets: string): LossOutputs {
  const n = elements(e, scores, targets, 'l1')
  return summed(e, e.op('Abs', [e.op('Sub', [scores, targets])]), n, undefined)
}

/** Huber's loss with δ = 1: ½d² within, |d| − ½ beyond. @see Huber 1964 */
export function huber(e: Emitter, scores: string, targets: string): LossOutputs {
  const n = elements(e, scores, targets, 'huber')
  const size = e.op('Abs', [e.op('Sub', [scores, targets])])
  const near = e.op('Min', [size, e.scalar(1)])
  // min(|d|, 1)·(|d| − ½·min(|d|, 1)) is both branches at once.
  return summed(e, e.op('Mul', [near, e.op('Sub', [size, e.op('Mul', [near, e.scalar(0.5)])])]), n, undefined)
}

/**
 * Binary cross-entropy of logits x with targets t in [0, 1]: softplus(x) − t·x, which does not overflow. `correct` counts the samples
 * all of whose elements fall on their target's side of one half; a logit of 0 counts against the model.
 */
export function binaryCrossEntropy(e: Emitter, scores: string, targets: string): LossOutputs {
  const n = elements(e, scores, targets, 'bce')
  const loss = e.op('Sub', [e.op('Softplus', [scores]), e.op('Mul', [targets, scores])])
  const side = e.op('Mul', [scores, e.op('Sub', [targets, e.scalar(0.5)])])
  const right = e.op('Cast', [e.op('Greater', [side, e.scalar(0)])], { to: 1 })
  const worst = e.op('ReduceMin', [e.op('Flatten', [right]), e.ints([1])], { keepdims: 0 })
  return summed(e, loss, n, e.op('ReduceSum', [worst], { keepdims: 0 }))
}

import { InvalidParametersError } from '../../common/index.ts'
import type { Emitter } from '../graph/emitter.ts'
import { int32s } from '../graph/tensors.ts'
import type { LossOutputs } from './index.ts'

/**
 * Softmax cross-entropy with integer labels, in the form that does not overflow: −log softmax(x)[label], summed over the batch.
 *
 * A label outside [0, classes) makes its sample count for nothing: no loss, no gradient, not in the denominator. `correct` counts
 * the samples whose label has a strictly larger score than every other class: ties count against the model.
 *
 * @param scores - [N, classes]
 * @param labels - int32, [N]
 */
export function softmaxCrossEntropy(e: Emitter, scores: string, labels: string): LossOutputs {
  const shape = e.shape(scores)
  const classes = shape[1]
  if (shape.length !== 2 || typeof classes !== 'number') {
    throw new InvalidParametersError(
      `the model's output '${scores}' is [${shape.join(', ')}]; softmax cross-entropy needs [batch, classes]`
    )
  }
  const column = e.op('Unsqueeze', [labels, e.ints([1])])
  const hits = e.op('Equal', [column, e.constant(int32s(Array.from({ length: classes }, (_, i) => i)))])
  const zero = e.scalarLike(scores, 0)
  const picked = e.op('Where', [hits, e.op('LogSoftmax', [scores], { axis: 1 }), zero])
  const lossSum = e.op('Neg', [e.op('ReduceSum', [picked], { keepdims: 0 })])

  const counted = e.op('ReduceSum', [e.op('Cast', [hits], { to: 1 }), e.ints([1])], { keepdims: 1 })
  const denominator = e.op('ReduceSum', [counted], { keepdims: 0 })

  const own = e.op('ReduceSum', [e.op('Where', [hits, scores, zero]), e.ints([1])], { keepdims: 1 })
  const others = e.op('Cast', [e.op('GreaterOrEqual', [scores, own])], { to: 1 })
  const first = e.op('Equal', [e.op('ReduceSum', [others, e.ints([1])], { keepdims: 1 }), e.scalar(1)])
  const correct = e.op('ReduceSum', [e.op('Mul', [e.op('Cast', [first], { to: 1 }), counted])], { keepdims: 0 })
  return { lossSum, denominator, correct }
}

/**
 * Softmax cross-entropy with a distribution over the classes as the label of each sample: −Σ t·log softmax(x). `correct` counts the
 * samples whose likeliest class has a strictly larger score than every other.
 *
 * @param targets - float32, [N, classes]
 */
export function softCrossEntropy(e: Emitter, scores: string, targets: string): LossOutputs {
  const shape = e.shape(scores)
  if (shape.length !== 2 || typeof shape[1] !== 'number') {
    throw new InvalidParametersError(
      `the model's output '${scores}' is [${shape.join(', ')}]; softmax cross-entropy needs [batch, classes]`
    )
  }
  const terms = e.op('Mul', [targets, e.op('LogSoftmax', [scores], { axis: 1 })])
  const lossSum = e.op('Neg', [e.op('ReduceSum', [terms], { keepdims: 0 })])
  const samples = e.op('Squeeze', [e.op('Shape', [scores], { start: 0, end: 1 }), e.ints([0])])

  const label = e.op('ArgMax', [targets], { axis: 1, keepdims: 1 })
  const own = e.op('GatherElements', [scores, label], { axis: 1 })
  const others = e.op('Cast', [e.op('GreaterOrEqual', [scores, own])], { to: 1 })
  const first = e.op('Equal', [e.op('ReduceSum', [others, e.ints([1])], { keepdims: 1 }), e.scalar(1)])
  const correct = e.op('ReduceSum', [e.op('Cast', [first], { to: 1 })], { keepdims: 0 })
  return { lossSum, denominator: e.op('Cast', [samples], { to: 1 }), correct }
}

import { InvalidParametersError } from '../../common/index.ts'
import { isStatic } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { int32s } from '../graph/tensors.ts'
import type { Dim } from '../graph/types.ts'
import type { LossOutputs } from './index.ts'

export interface SoftmaxOptions {
  /** Least logarithm of a probability that a sample's loss is reported with; the gradient knows nothing of it. @default none */
  floor?: number
  /** A label among so many of the greatest scores is a hit. @default 1 */
  topK?: number
}

/** More is no classification that could be computed. */
const MAX_CLASSES = 2 ** 24

/**
 * Which dimension of scores holds the classes: [N, C]; the last of [N, T, C], as language models have it; the second of images
 * [N, C, H, W] and beyond.
 *
 * @throws InvalidParametersError for a shape without classes, or without a known number of them
 */
export function classAxis(shape: Dim[], name: string): number {
  const axis = shape.length === 3 ? 2 : 1
  const classes = Number(shape[axis] ?? 0)
  if (shape.length >= 2 && isStatic(shape.slice(1)) && classes >= 1 && classes <= MAX_CLASSES) return axis
  throw new InvalidParametersError(
    `the model's output '${name}' is [${shape.join(', ')}]; softmax cross-entropy needs [batch, classes], [batch, positions, classes] or [batch, classes, height, width], known but for the batch`
  )
}

/** Values of at least `floor`, through which the gradient passes as if they were as they are. */
function floored(e: Emitter, values: string, floor: number | undefined): string {
  if (floor === undefined) return values
  const raised = e.op('Max', [values, e.scalarLike(values, floor)])
  e.shortcuts.set(raised, { inputs: [values], rule: g => [g] })
  return raised
}

/**
 * Softmax cross-entropy with integer labels, in the form that does not overflow: −log softmax(x)[label], summed over the batch and, where
 * samples have several, over their positions.
 *
 * A label outside [0, classes) makes its position count for nothing: no loss, no gradient, not in the denominator. `correct` counts
 * the positions whose label has a strictly larger score than every other class (than all but `topK` − 1): ties count against the model.
 *
 * @param scores - [N, classes], or see {@link classAxis}
 * @param labels - int32, the shape of the scores without the classes
 */
export function softmaxCrossEntropy(e: Emitter, scores: string, labels: string, { floor, topK }: SoftmaxOptions = {}): LossOutputs {
  const axis = classAxis(e.shape(scores), scores)
  const { own, counted, correct } = hits(e, scores, e.op('Unsqueeze', [labels, e.ints([axis])]), axis, topK)
  const picked = e.op('Where', [own, floored(e, e.op('LogSoftmax', [scores], { axis }), floor), e.scalarLike(scores, 0)])
  const lossSum = e.op('Neg', [e.op('ReduceSum', [picked], { keepdims: 0 })])
  return { lossSum, denominator: e.op('ReduceSum', [counted], { keepdims: 0 }), correct }
}

/**
 * Where labels lie among scores.
 *
 * @param labels - int32, the scores' shape with one class
 * @returns own - true at the label's class; counted - 1 for each label that is a class; correct - how many of them are among the `topK` highest scores
 */
export function hits(
  e: Emitter,
  scores: string,
  labels: string,
  axis: number,
  topK = 1
): { own: string; counted: string; correct: string } {
  const shape = e.shape(scores)
  const classes = shape[axis] as number
  const numbers = Array.from({ length: classes }, (_, i) => i)
  const own = e.op('Equal', [labels, e.constant(int32s(numbers, [classes, ...shape.slice(axis + 1).map(() => 1)]))])
  const counted = e.op('ReduceSum', [e.op('Cast', [own], { to: 1 }), e.ints([axis])], { keepdims: 1 })
  const score = e.op('ReduceSum', [e.op('Where', [own, scores, e.scalarLike(scores, 0)]), e.ints([axis])], { keepdims: 1 })
  const first = highest(e, scores, score, axis, topK)
  return { own, counted, correct: e.op('ReduceSum', [e.op('Mul', [first, counted])], { keepdims: 0 }) }
}

/** 1 where fewer than `topK` other classes score as high as `score`, else 0. */
function highest(e: Emitter, scores: string, score: string, axis: number, topK = 1): string {
  const others = e.op('Cast', [e.op('GreaterOrEqual', [scores, score])], { to: 1 })
  const rank = e.op('ReduceSum', [others, e.ints([axis])], { keepdims: 1 })
  const found = topK === 1 ? e.op('Equal', [rank, e.scalar(1)]) : e.op('LessOrEqual', [rank, e.scalar(topK)])
  return e.op('Cast', [found], { to: 1 })
}

/**
 * Softmax cross-entropy with a distribution over the classes as the label of each sample or position: −Σ t·log softmax(x). `correct` counts
 * those whose likeliest class has a strictly larger score than every other.
 *
 * @param targets - float32, the scores' shape
 */
export function softCrossEntropy(e: Emitter, scores: string, targets: string): LossOutputs {
  const shape = e.shape(scores)
  const axis = classAxis(shape, scores)
  const terms = e.op('Mul', [targets, e.op('LogSoftmax', [scores], { axis })])
  const lossSum = e.op('Neg', [e.op('ReduceSum', [terms], { keepdims: 0 })])
  const samples = e.op('Cast', [e.op('Squeeze', [e.op('Shape', [scores], { start: 0, end: 1 }), e.ints([0])])], { to: 1 })
  const each = (shape.slice(1) as number[]).reduce((a, b) => a * b, 1) / (shape[axis] as number)

  const label = e.op('ArgMax', [targets], { axis, keepdims: 1 })
  const own = e.op('GatherElements', [scores, label], { axis })
  const correct = e.op('ReduceSum', [highest(e, scores, own, axis)], { keepdims: 0 })
  return { lossSum, denominator: each === 1 ? samples : e.op('Mul', [samples, e.scalar(each)]), correct }
}

import { hits, softmaxCrossEntropy } from '../../losses/softmax-cross-entropy.ts'
import type { LayerContext } from './context.ts'

/*
 * Loss layers, as sums over the batch: what they are divided by is part of the result, since the batch may be spread over several trainers.
 */

/** What a sum of losses is divided by: the number of samples, 1, or a count of its own. */
export type Normaliser = 'samples' | 'none' | { count: string }

/** A part of the objective. */
export interface Term {
  /** Scalar. */
  sum: string
  normaliser: Normaliser
  /** How many samples were classified right, where the layer can tell. */
  correct?: string
}

/** Turns a loss layer into the nodes of its sum. */
export type LossRule = (c: LayerContext) => Term

/** ln of the smallest normal float: the greatest loss that a sample is reported with. */
const FLOOR = Math.log(1.1754943508222875e-38)

/** Most classes of a loss. */
const MAX_CLASSES = 2 ** 20

/** Scores as [N, classes]; trailing dimensions of size 1 go. */
export function classScores(c: LayerContext): string {
  const [classes, ...rest] = c.sizes()
  if (classes > MAX_CLASSES) c.refuse(`${classes} classes are too many; ${MAX_CLASSES} can be told apart`)
  if (rest.some(d => d !== 1)) c.refuse(`its scores have the shape [${c.shape().join(', ')}]; a label an element is not known`)
  return rest.length === 0 ? c.x : c.reshape(c.x, [-1, classes])
}

/** The labels as int32, [N]; those to be ignored are −1. */
export function classLabels(c: LayerContext, ignored: number | undefined): string {
  const { type, shape } = c.e.type(c.bottoms[1])
  if (shape.slice(1).some(d => d !== 1)) c.refuse(`its labels have the shape [${shape.join(', ')}]; it takes one a sample`)
  const flat = shape.length === 1 ? c.bottoms[1] : c.reshape(c.bottoms[1], [-1])
  const labels = type === 'int32' ? flat : c.op('Cast', [flat], { to: 6 })
  if (ignored === undefined) return labels
  const same = c.op('Equal', [labels, c.e.scalar(ignored, 'int32')])
  return c.op('Where', [same, c.e.scalar(-1, 'int32'), labels])
}

/** The second bottom as floats in the shape of the first one. */
function targets(c: LayerContext): string {
  const [x, t] = [c.e.type(c.x), c.e.type(c.bottoms[1])]
  const same = t.shape.join() === x.shape.join()
  const each = (shape: readonly unknown[]) =>
    shape
      .slice(1)
      .filter(d => d !== 1)
      .join()
  if (!same && each(t.shape) !== each(x.shape)) c.refuse(`its bottoms differ: [${x.shape.join(', ')}] and [${t.shape.join(', ')}]`)
  const value = same ? c.bottoms[1] : c.reshape(c.bottoms[1], [-1, ...c.sizes()])
  return t.type === 'float32' ? value : c.op('Cast', [value], { to: 1 })
}

function total(c: LayerContext, value: string, factor = 1): string {
  const sum = c.op('ReduceSum', [value], { keepdims: 0 })
  return factor === 1 ? sum : c.op('Mul', [sum, c.scalar(factor)])
}

/** The mode of normalisation: `normalize` is its older form. */
function normalisation(c: LayerContext, otherwise: string): string {
  const p = c.layer.message('loss_param')
  if (p.has('normalization')) return p.string('normalization')
  return p.has('normalize') ? (p.bool('normalize') ? 'VALID' : 'BATCH_SIZE') : otherwise
}

const softmax: LossRule = c => {
  const axis = c.layer.message('softmax_param').number('axis')
  if (c.axis(axis) !== 1) c.refuse('only axis 1 can hold the classes')
  const p = c.layer.message('loss_param')
  const ignored = p.has('ignore_label') ? p.number('ignore_label') : undefined
  const { lossSum, denominator, correct } = softmaxCrossEntropy(c.e, classScores(c), classLabels(c, ignored), { floor: FLOOR })
  const mode = normalisation(c, 'VALID')
  if (mode === 'NONE') return { sum: lossSum, normaliser: 'none', correct }
  const counted = mode === 'VALID' && ignored !== undefined
  return { sum: lossSum, normaliser: counted ? { count: denominator } : 'samples', correct }
}

/** −Σ log p[label], of probabilities. */
const logistic: LossRule = c => {
  const column = c.op('Unsqueeze', [c.op('Cast', [classLabels(c, undefined)], { to: 7 }), c.e.ints([1])])
  const own = c.op('GatherElements', [classScores(c), column], { axis: 1 })
  const log = c.op('Log', [c.op('Max', [own, c.scalar(1e-20)])])
  return { sum: total(c, c.op('Neg', [log])), normaliser: 'samples' }
}

const euclidean: LossRule = c => {
  const d = c.op('Sub', [c.x, targets(c)])
  return { sum: total(c, c.op('Mul', [d, d]), 0.5), normaliser: 'samples' }
}

/** softplus(x) − t·x, which does not overflow. */
const sigmoid: LossRule = c => {
  if (c.layer.message('loss_param').has('ignore_label')) c.refuse('ignore_label is not known here; leave it out')
  const sum = total(c, c.op('Sub', [c.op('Softplus', [c.x]), c.op('Mul', [targets(c), c.x])]))
  const mode = normalisation(c, 'BATCH_SIZE')
  if (mode === 'NONE') return { sum, normaliser: 'none' }
  const elements = c.sizes().reduce((a, b) => a * b, 1)
  return { sum: mode === 'BATCH_SIZE' ? sum : c.op('Mul', [sum, c.scalar(1 / elements)]), normaliser: 'samples' }
}

/** Σ max(0, 1 ∓ x), the score of the label with the minus, or its squares. */
const hinge: LossRule = c => {
  const scores = classScores(c)
  const [classes] = c.sizes()
  const column = c.op('Unsqueeze', [classLabels(c, undefined), c.e.ints([1])])
  const places = c.e.constant({ type: 'int32', shape: [classes], data: Int32Array.from({ length: classes }, (_, i) => i) })
  const sign = c.op('Where', [c.op('Equal', [column, places]), c.scalar(-1), c.scalar(1)])
  const margin = c.op('Relu', [c.op('Add', [c.op('Mul', [scores, sign]), c.scalar(1)])])
  const squared = c.layer.message('hinge_loss_param').string('norm') === 'L2'
  return { sum: total(c, squared ? c.op('Mul', [margin, margin]) : margin), normaliser: 'samples' }
}

/** ½Σ of d² where a pair is alike, max(0, margin − d)² where it is not (Hadsell 2006); the older version max(0, margin − d²). */
const contrastive: LossRule = c => {
  if (c.bottoms.length !== 3) c.refuse('it takes three bottoms: two blobs and whether they are alike')
  const p = c.layer.message('contrastive_loss_param')
  const apart = c.op('Sub', [c.x, c.bottoms[1]])
  const axes = c.e.ints(c.sizes().map((_, i) => i + 1))
  const squares = c.op('ReduceSum', [c.op('Mul', [apart, apart]), axes], { keepdims: 0 })
  let far: string
  if (p.bool('legacy_version')) far = c.op('Relu', [c.op('Sub', [c.scalar(p.number('margin')), squares])])
  else {
    const distance = c.op('Sqrt', [squares])
    // Caffe's derivative, finite where two blobs are equal.
    const rule = (g: string) => [c.op('Mul', [g, c.op('Div', [c.scalar(0.5), c.op('Add', [distance, c.scalar(1e-4)])])])]
    c.e.shortcuts.set(distance, { inputs: [squares], rule })
    const room = c.op('Relu', [c.op('Sub', [c.scalar(p.number('margin')), distance])])
    far = c.op('Mul', [room, room])
  }
  const flat = c.reshape(c.op('Cast', [c.bottoms[2]], { to: 6 }), [-1])
  const alike = c.op('Not', [c.op('Equal', [flat, c.e.scalar(0, 'int32')])])
  return { sum: total(c, c.op('Where', [alike, squares, far]), 0.5), normaliser: 'samples' }
}

export const losses: Record<string, LossRule> = {
  SoftmaxWithLoss: softmax,
  MultinomialLogisticLoss: logistic,
  EuclideanLoss: euclidean,
  SigmoidCrossEntropyLoss: sigmoid,
  HingeLoss: hinge,
  ContrastiveLoss: contrastive
}

/** How many samples have their label among the `top_k` best scores, ties counting against the model. */
export function accuracy(c: LayerContext): { correct: string; topK: number } {
  const p = c.layer.message('accuracy_param')
  if (c.axis(p.number('axis')) !== 1) c.refuse('only axis 1 can hold the classes')
  if (c.layer.strings('top').length > 1) c.refuse('its second top, the accuracy of each class, is not known')
  const topK = p.number('top_k')
  const scores = classScores(c)
  const [classes] = c.sizes()
  if (!(topK >= 1 && topK <= classes)) c.refuse(`top_k must be from 1 to ${classes}, not ${topK}`)
  const labels = classLabels(c, p.has('ignore_label') ? p.number('ignore_label') : undefined)
  return { correct: hits(c.e, scores, c.op('Unsqueeze', [labels, c.e.ints([1])]), 1, topK).correct, topK }
}

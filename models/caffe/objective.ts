import type { Emitter } from '../graph/emitter.ts'
import type { LossDefinition, LossOutputs } from '../losses/index.ts'
import { softmaxCrossEntropy } from '../losses/softmax-cross-entropy.ts'
import { accuracy, applyRule, LayerContext, losses, type NetContext, type Term } from './layers/index.ts'
import type { Message } from './message.ts'

/** A blob at one point of the net: what it was written with last. Without a value it depends on the labels. */
export interface Blob {
  name: string
  value?: string
  /** Whether some layer reads it. */
  read: boolean
}

/** A layer behind the labels, or with `weight` a blob that is part of the objective as it is. */
export interface LateLayer {
  layer: Message
  bottoms: Blob[]
  tops: Blob[]
  weight?: number
}

/** What a loss is taken of. */
export interface Head {
  value: string
  weight: number
}

interface Weighted extends Term {
  weight: number
}

/** Weight of a layer's first top in the objective: 1 for losses that say nothing. */
function weightOf({ layer, weight }: LateLayer): number {
  if (weight !== undefined) return weight
  if (!Object.hasOwn(losses, layer.string('type'))) return layer.numbers('loss_weight')[0] ?? 0
  return layer.numbers('loss_weight')[0] ?? 1
}

/**
 * The objective of a net: Σ weight·loss over its loss layers, to be built where the labels are known.
 *
 * @returns the loss, and what its parts are taken of, the heaviest first and of equal ones the last
 */
export function objective(late: readonly LateLayer[], context: NetContext): { loss: LossDefinition; heads: Head[] } {
  const heads = late
    .filter(l => Object.hasOwn(losses, l.layer.string('type')) && l.bottoms[0].value !== undefined)
    .map((l, i) => ({ value: l.bottoms[0].value!, weight: weightOf(l), i }))
    .filter(h => h.weight !== 0)
    .sort((a, b) => b.weight - a.weight || b.i - a.i)
  const judged = late.filter(l => l.layer.string('type') === 'Accuracy' && l.bottoms[0].value !== undefined).map(l => l.bottoms[0].value!)
  const loss: LossDefinition = {
    labels: () => ({ type: 'int32', shape: [] }),
    build: (e, scores, labels) => build(e, labels, late, { ...context, e, forward: false }, judged.at(-1) ?? scores)
  }
  return { loss, heads: heads.length > 0 ? heads : judged.reverse().map(value => ({ value, weight: 1 })) }
}

function build(e: Emitter, labels: string, late: readonly LateLayer[], context: NetContext, scores: string): LossOutputs {
  const made = new Map<Blob, string>()
  // A blob without a value that no late layer made is the labels.
  const named = (blob: Blob) => blob.value ?? made.get(blob) ?? labels
  const terms: Weighted[] = []
  const hits: { correct: string; topK: number }[] = []
  for (const entry of late) {
    const { layer, tops } = entry
    const type = layer.string('type')
    const bottoms = entry.bottoms.map(named)
    const weight = weightOf(entry)
    const c = new LayerContext(context, layer, bottoms)
    if (entry.weight !== undefined) terms.push({ ...whole(e, bottoms[0]), weight })
    else if (type === 'Accuracy') hits.push(accuracy(c))
    else if (Object.hasOwn(losses, type)) {
      if (tops.length > 1 || layer.numbers('loss_weight').length > 1) c.refuse('only its first top, the loss, is known')
      terms.push({ ...losses[type](c), weight })
    } else {
      applyRule(context, layer, bottoms).forEach((value, i) => {
        if (tops[i] !== undefined) made.set(tops[i], value)
      })
      if (weight !== 0) terms.push({ ...whole(e, made.get(tops[0])!), weight })
    }
  }
  const counted = terms.filter(t => t.weight !== 0)
  if (counted.length === 0) counted.push({ ...byDefault(e, labels, scores), weight: 1 })
  const best = hits.reduce<{ correct: string; topK: number } | undefined>(
    (a, b) => (a === undefined || b.topK <= a.topK ? b : a),
    undefined
  )
  const told = [...counted].sort((a, b) => a.weight - b.weight).filter(t => t.correct !== undefined)
  const correct = best?.correct ?? told.at(-1)?.correct ?? e.scalar(0)
  return { ...combined(e, counted, labels), correct }
}

/** A blob with a weight of its own: the sum of its elements, which nothing divides. */
function whole(e: Emitter, value: string): Term {
  return { sum: e.op('ReduceSum', [value], { keepdims: 0 }), normaliser: 'none' }
}

/** The loss of a net that has none: softmax cross-entropy of its scores, before a softmax at their end. */
function byDefault(e: Emitter, labels: string, end: string): Term {
  const softmax = e.graph.nodes.find(n => n.op === 'Softmax' && n.outputs[0] === end)
  const scores = softmax?.inputs[0] ?? end
  const shape = e.shape(scores)
  const flat = shape.length === 2 ? scores : e.op('Flatten', [scores], { axis: 1 })
  const { lossSum, correct } = softmaxCrossEntropy(e, flat, labels)
  return { sum: lossSum, normaliser: 'samples', correct }
}

/**
 * Σ weight·sum/normaliser as one sum over one denominator. A term alone keeps its own; else the samples are the denominator of all, and a
 * term that is not divided by them is multiplied first.
 */
function combined(e: Emitter, terms: Weighted[], labels: string): { lossSum: string; denominator: string } {
  const scale = (value: string, factor: number) => (factor === 1 ? value : e.op('Mul', [value, e.scalar(factor)]))
  const [first] = terms
  if (terms.length === 1 && typeof first.normaliser === 'object') {
    return { lossSum: scale(first.sum, first.weight), denominator: first.normaliser.count }
  }
  const count = e.op('Squeeze', [e.op('Shape', [labels], { start: 0, end: 1 }), e.ints([0])])
  const samples = e.op('Cast', [count], { to: 1 })
  const parts = terms.map(({ sum, weight, normaliser }) => {
    const weighted = scale(sum, weight)
    if (normaliser === 'samples') return weighted
    const spread = e.op('Mul', [weighted, samples])
    return normaliser === 'none' ? spread : e.op('Div', [spread, e.op('Max', [normaliser.count, e.scalar(1)])])
  })
  return { lossSum: parts.length === 1 ? parts[0] : e.op('Sum', parts), denominator: samples }
}

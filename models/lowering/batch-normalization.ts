import { float, floatAttribute, intAttribute } from '../graph/attributes.ts'
import { product } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { Lowering } from './index.ts'

/**
 * Batch normalisation by the batch's own statistics (Ioffe & Szegedy 2015). The running statistics move towards them by 1 − momentum, the
 * variance unbiased, as PyTorch has it; those that a node in training mode gives out itself move as ONNX has it, the variance biased. One whose scale
 * and bias are both frozen keeps to its running statistics, unless it is in training mode.
 */
export const lowerBatchNormalization: Lowering = ({ e, updates }, node) => {
  const { graph } = e
  const [x, scale, bias, mean, variance] = node.inputs
  const training = intAttribute(node, 'training_mode', 0) !== 0
  if (!training && !graph.parameters.has(scale) && !graph.parameters.has(bias)) return false
  const shape = e.shape(x)
  const axes = shape.map((_, i) => i).filter(i => i !== 1)

  // One pass of onnxruntime's own, which gives out the batch's statistics where nothing of the old ones is kept. It writes them over the old ones,
  // so it is given two vectors that nobody else reads, computed differently and not from constants, lest they be taken for one.
  const vector = graph.constants.has(scale) ? e.op('ReduceMean', [x, e.ints(axes)], { keepdims: 0 }) : scale
  const none = e.op('Mul', [vector, e.scalar(0)], {}, e.fresh('None'))
  const still = e.op('Neg', [none], {}, e.fresh('None'))
  const centre = e.fresh('Mean')
  const spread = e.fresh('Variance')
  const epsilon = floatAttribute(node, 'epsilon', 1e-5)
  e.push({
    op: 'BatchNormalization',
    domain: '',
    name: node.name,
    inputs: [x, scale, bias, none, still],
    outputs: [node.outputs[0], centre, spread],
    attributes: { epsilon: float(epsilon), momentum: float(0), training_mode: 1 }
  })
  e.shortcuts.set(node.outputs[0], { inputs: [x, scale, bias], rule: g => backwards(e, g, { x, scale, centre, spread, epsilon }) })

  const momentum = floatAttribute(node, 'momentum', 0.9)
  const moved = (old: string, now: string, name?: string) => {
    const share = e.op('Mul', [e.op('Reshape', [now, e.op('Shape', [old])]), e.scalar(1 - momentum)])
    return e.op('Add', [e.op('Mul', [old, e.scalar(momentum)]), share], {}, name)
  }
  const [, ownMean = '', ownVariance = ''] = node.outputs
  if (ownMean !== '') moved(mean, centre, ownMean)
  if (ownVariance !== '') moved(variance, spread, ownVariance)
  if (!graph.states.has(mean) || !graph.states.has(variance)) return true
  updates.set(mean, moved(mean, centre))
  const rest = product(axes.map(a => shape[a]))
  const count =
    typeof rest === 'number'
      ? e.scalar(rest)
      : e.op('Cast', [e.op('ReduceProd', [e.op('Gather', [e.op('Shape', [x]), e.ints(axes)])], { keepdims: 0 })], { to: 1 })
  // n/(n − 1); a batch of one element keeps the biased value.
  const fewer = e.op('Max', [e.op('Sub', [count, e.scalar(1)]), e.scalar(1)])
  updates.set(variance, moved(variance, e.op('Mul', [spread, e.op('Div', [count, fewer])])))
  return true
}

interface Normalised {
  x: string
  scale: string
  /** [channels], of the batch. */
  centre: string
  spread: string
  epsilon: number
}

/**
 * Gradients of x, scale and bias. With c = x − μ, σ⁻¹ and means over all but the channels:
 * dx = γσ⁻¹·(g − mean g − c·σ⁻²·mean(g·c)), so a factor a channel on g and a line a channel through c, the latter in one pass by the operator's
 * own form for fixed statistics; dγ = σ⁻¹·Σ g·c, dβ = Σ g (Ioffe & Szegedy 2015).
 */
function backwards(e: Emitter, g: string, { x, scale, centre, spread, epsilon }: Normalised): string[] {
  const rank = e.shape(x).length
  const axes = e.ints(Array.from({ length: rank }, (_, i) => i).filter(i => i !== 1))
  const wide = (name: string) => e.op('Reshape', [name, e.ints([1, -1, ...new Array<number>(rank - 2).fill(1)])])
  const inverse = e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [spread, e.scalar(epsilon)])])])
  const centred = e.op('Sub', [x, wide(centre)])
  const along = e.op('Mul', [g, centred])
  const gain = e.op('Mul', [scale, inverse])
  const mean = (name: string) => e.op('ReduceMean', [name, axes], { keepdims: 0 })
  const slope = e.op('Neg', [e.op('Mul', [e.op('Mul', [gain, mean(along)]), e.op('Mul', [inverse, inverse])])])
  const level = e.op('Neg', [e.op('Mul', [gain, mean(g)])])
  const zeros = e.op('Mul', [centre, e.scalar(0)])
  const ones = e.op('Add', [zeros, e.scalar(1)])
  const line = e.op('BatchNormalization', [centred, slope, level, zeros, ones], { epsilon: float(0) })
  return [
    e.op('Add', [e.op('Mul', [g, wide(gain)]), line]),
    e.op('Mul', [e.op('ReduceSum', [along, axes], { keepdims: 0 }), inverse]),
    e.op('ReduceSum', [g, axes], { keepdims: 0 })
  ]
}

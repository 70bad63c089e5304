import { throughNormalised } from '../gradients/normalization.ts'
import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import { product } from '../graph/dims.ts'
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
  const wide = (name: string) => e.op('Reshape', [name, e.ints([1, -1, ...shape.slice(2).map(() => 1)])])
  const over = (name: string) => e.op('ReduceMean', [name, e.ints(axes)], { keepdims: 1 })

  const centre = over(x)
  const centred = e.op('Sub', [x, centre])
  const spread = over(e.op('Mul', [centred, centred]))
  const epsilon = e.scalar(floatAttribute(node, 'epsilon', 1e-5))
  const inverse = e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [spread, epsilon])])])
  const value = e.op('Mul', [centred, inverse])
  e.shortcuts.set(value, { inputs: [x], rule: g => [throughNormalised(e, g, { value, inverse }, axes)] })
  e.op('Add', [e.op('Mul', [value, wide(scale)]), wide(bias)], {}, node.outputs[0])

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

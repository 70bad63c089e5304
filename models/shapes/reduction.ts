import { intAttribute } from '../graph/attributes.ts'
import type { Infer, InferContext } from './context.ts'

/**
 * Axes of a reduction, from the front and sorted: from the second input.
 *
 * @returns undefined when they are not known ahead; all axes when none are named, unless the node says that it then does nothing
 */
export function reducedAxes(c: InferContext): number[] | undefined {
  const rank = c.shape(0).length
  const named = c.inputs[1] === undefined ? [] : c.content(1)
  if (named === undefined || !named.every(a => typeof a === 'number')) return undefined
  if (named.length === 0) return intAttribute(c.node, 'noop_with_empty_axes', 0) !== 0 ? [] : Array.from({ length: rank }, (_, i) => i)
  return [...new Set((named as number[]).map(a => c.axis(a, rank)))].sort((a, b) => a - b)
}

const reduce: Infer = (c: InferContext) => {
  const axes = reducedAxes(c)
  const keep = intAttribute(c.node, 'keepdims', 1) !== 0
  const shape = c.shape(0)
  if (axes === undefined) {
    if (!keep) c.fail('the axes must be known before the model runs; make them a constant')
    return [{ type: c.input(0).type, shape: shape.map((_, i) => `${c.node.outputs[0]}_${i}`) }]
  }
  return [
    { type: c.input(0).type, shape: keep ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : shape.filter((_, i) => !axes.includes(i)) }
  ]
}

const arg: Infer = (c: InferContext) => {
  const shape = c.shape(0)
  const axis = c.axisAttribute(shape.length, 0)
  const keep = intAttribute(c.node, 'keepdims', 1) !== 0
  return [{ type: 'int64', shape: keep ? shape.map((d, i) => (i === axis ? 1 : d)) : shape.filter((_, i) => i !== axis) }]
}

export const reduction: Record<string, Infer> = { ArgMax: arg, ArgMin: arg }
for (const kind of ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'])
  reduction[`Reduce${kind}`] = reduce

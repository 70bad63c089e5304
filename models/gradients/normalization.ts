import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import type { Emitter } from '../graph/emitter.ts'
import { type Rule, type RuleContext, reshape, reshapeLike, sum, unbroadcast } from './rule.ts'

/*
 * Normalisations. With x̂ = (x − μ)/σ over some axes and h the gradient of x̂:
 * dx = (h − mean h − x̂·mean(h·x̂))/σ (Ioffe & Szegedy 2015; the same for Ba 2016, Ulyanov 2016, Wu & He 2018).
 */

function mean(e: Emitter, x: string, axes: number[]): string {
  return e.op('ReduceMean', [x, e.ints(axes)], { keepdims: 1 })
}

interface Normalised {
  /** x̂ */
  value: string
  /** 1/σ */
  inverse: string
}

function normalised(e: Emitter, x: string, axes: number[], epsilon: number): Normalised {
  const centred = e.op('Sub', [x, mean(e, x, axes)])
  const variance = mean(e, e.op('Mul', [centred, centred]), axes)
  const inverse = e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [variance, e.scalar(epsilon)])])])
  return { value: e.op('Mul', [centred, inverse]), inverse }
}

export function throughNormalised(e: Emitter, h: string, { value, inverse }: Normalised, axes: number[]): string {
  const along = e.op('Mul', [value, mean(e, e.op('Mul', [h, value]), axes)])
  return e.op('Mul', [e.op('Sub', [e.op('Sub', [h, mean(e, h, axes)]), along]), inverse])
}

function rest(from: number, rank: number): number[] {
  return Array.from({ length: rank - from }, (_, i) => from + i)
}

/** A vector over channels in a shape that broadcasts over [N, C, …]. */
function channels(c: RuleContext, name: string): string {
  return reshape(c.e, name, [1, -1, ...rest(2, c.shape().length).map(() => 1)])
}

const layer: Rule = c => {
  const { e, node } = c
  const rank = c.shape().length
  const axis = intAttribute(node, 'axis', -1)
  const axes = rest(axis < 0 ? axis + rank : axis, rank)
  // The forward node is made to give its mean and 1/σ: nothing is computed twice.
  for (const [i, base] of [
    [1, 'Mean'],
    [2, 'InverseDeviation']
  ] as const) {
    if ((node.outputs[i] ?? '') !== '') continue
    node.outputs[i] = e.fresh(base)
    e.graph.types.set(node.outputs[i], { type: 'float32', shape: c.shape().map((d, k) => (axes.includes(k) ? 1 : d)) })
  }
  const n = { value: c.op('Mul', c.op('Sub', c.x(), node.outputs[1]), node.outputs[2]), inverse: node.outputs[2] }
  return [
    c.wants(0) ? throughNormalised(e, c.op('Mul', c.g, c.x(1)), n, axes) : undefined,
    c.wants(1) ? unbroadcast(e, c.op('Mul', c.g, n.value), c.x(1)) : undefined,
    c.wants(2) ? unbroadcast(e, c.g, c.x(2)) : undefined
  ]
}

const instance: Rule = c => {
  const { e } = c
  const axes = rest(2, c.shape().length)
  const n = normalised(e, c.x(), axes, floatAttribute(c.node, 'epsilon', 1e-5))
  return [
    c.wants(0) ? throughNormalised(e, c.op('Mul', c.g, channels(c, c.x(1))), n, axes) : undefined,
    c.wants(1) ? sum(e, c.op('Mul', c.g, n.value), [0, ...axes], false) : undefined,
    c.wants(2) ? sum(e, c.g, [0, ...axes], false) : undefined
  ]
}

const group: Rule = c => {
  const { e, node } = c
  const groups = intAttribute(node, 'num_groups', 1)
  const axes = rest(2, c.shape().length)
  const n = normalised(e, reshape(e, c.x(), [0, groups, -1]), [2], floatAttribute(node, 'epsilon', 1e-5))
  let dx: string | undefined
  if (c.wants(0)) {
    const h = reshape(e, c.op('Mul', c.g, channels(c, c.x(1))), [0, groups, -1])
    dx = reshapeLike(e, throughNormalised(e, h, n, [2]), c.x())
  }
  const value = () => reshapeLike(e, n.value, c.x())
  return [
    dx,
    c.wants(1) ? sum(e, c.op('Mul', c.g, value()), [0, ...axes], false) : undefined,
    c.wants(2) ? sum(e, c.g, [0, ...axes], false) : undefined
  ]
}

/** Batch normalisation by fixed statistics; in training its node has been lowered to arithmetic before (see models/lowering). */
const batch: Rule = c => {
  const { e, node } = c
  if (intAttribute(node, 'training_mode', 0) !== 0) c.refuse('in training mode it has to be lowered first')
  if (c.wants(3) || c.wants(4)) c.refuse('its running statistics cannot be trained')
  const axes = [0, ...rest(2, c.shape().length)]
  const variance = e.op('Add', [c.x(4), e.scalar(floatAttribute(node, 'epsilon', 1e-5))])
  const inverse = e.op('Reciprocal', [e.op('Sqrt', [variance])])
  const value = () => c.op('Mul', c.op('Sub', c.x(), channels(c, c.x(3))), channels(c, inverse))
  return [
    c.wants(0) ? c.op('Mul', c.g, channels(c, c.op('Mul', c.x(1), inverse))) : undefined,
    c.wants(1) ? sum(e, c.op('Mul', c.g, value()), axes, false) : undefined,
    c.wants(2) ? sum(e, c.g, axes, false) : undefined
  ]
}

/**
 * Local response normalisation across channels: y = x·s^−β, s = k + α/n·Σ x². dx = g·s^−β − 2αβ/n·x·Σ g·y/s, the sum over the windows
 * that an element is in (Krizhevsky 2012, 3.3).
 */
const lrn: Rule = c => {
  const { e, node } = c
  const size = intAttribute(node, 'size', 1)
  const [alpha, beta, bias] = [floatAttribute(node, 'alpha', 1e-4), floatAttribute(node, 'beta', 0.75), floatAttribute(node, 'bias', 1)]
  const shape = c.shape()
  const count = shape[1]
  if (typeof count !== 'number') return c.refuse('it needs a known number of channels')
  const over = (x: string, before: number) => {
    const lead = shape.map((_, i) => (i === 1 ? before : 0))
    const trail = shape.map((_, i) => (i === 1 ? size - 1 - before : 0))
    const around = size === 1 ? x : e.op('Pad', [x, e.ints([...lead, ...trail])])
    const slices = Array.from({ length: size }, (_, i) => e.op('Slice', [around, e.ints([i]), e.ints([i + count]), e.ints([1])]))
    return size === 1 ? x : e.op('Sum', slices)
  }
  const before = Math.floor((size - 1) / 2)
  const squares = over(c.op('Mul', c.x(), c.x()), before)
  const s = c.op('Add', c.op('Mul', squares, c.scalar(alpha / size)), c.scalar(bias))
  const own = c.op('Mul', c.g, c.op('Pow', s, c.scalar(-beta)))
  const others = over(c.op('Div', c.op('Mul', c.g, c.y), s), size - 1 - before)
  return [c.op('Sub', own, c.op('Mul', c.op('Mul', c.x(), others), c.scalar((2 * alpha * beta) / size)))]
}

export const normalization: Record<string, Rule> = {
  LayerNormalization: layer,
  InstanceNormalization: instance,
  GroupNormalization: group,
  BatchNormalization: batch,
  LRN: lrn
}

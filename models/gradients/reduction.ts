import { intAttribute } from '../graph/attributes.ts'
import { product as elements } from '../graph/dims.ts'
import { expandLike, type Rule, type RuleContext, reshape, sum } from './rule.ts'

/* Reductions: the gradient is stretched over what was reduced, with the derivative of the reduction as factor. */

/** Reduced axes from the front. */
function axesOf(c: RuleContext): number[] {
  const rank = c.shape().length
  const named = c.has(1) ? (c.e.known(c.x(1)) ?? c.refuse('its axes are not known ahead')) : []
  if (named.length === 0) return intAttribute(c.node, 'noop_with_empty_axes', 0) !== 0 ? [] : Array.from({ length: rank }, (_, i) => i)
  return named.map(a => ((a as number) + rank) % rank)
}

/** A value of the result's shape with the reduced dimensions in place, of size 1. */
function kept(c: RuleContext, name: string, axes: number[]): string {
  if (intAttribute(c.node, 'keepdims', 1) !== 0 || axes.length === 0) return name
  if (axes.length === c.shape().length) return reshape(c.e, name, new Array(axes.length).fill(1))
  return c.e.op('Unsqueeze', [name, c.e.ints(axes)])
}

/** How many elements each result is made of, as a scalar value. */
function count(c: RuleContext, axes: number[]): string {
  const n = elements(axes.map(a => c.shape()[a]))
  if (typeof n === 'number') return c.scalar(n)
  const size = c.e.op('Gather', [c.op('Shape', c.x()), c.e.ints(axes)])
  return c.e.op('Cast', [c.e.op('ReduceProd', [size], { keepdims: 0 })], { to: 1 })
}

/** The gradient of a minimum or maximum goes to the elements that have it, in equal parts. */
const extremum: Rule = c => {
  const axes = axesOf(c)
  const hits = c.e.op('Cast', [c.op('Equal', c.x(), kept(c, c.y, axes))], { to: 1 })
  return [c.op('Mul', hits, c.op('Div', kept(c, c.g, axes), sum(c.e, hits, axes, true)))]
}

export const reduction: Record<string, Rule> = {
  ReduceSum: c => [expandLike(c.e, kept(c, c.g, axesOf(c)), c.x())],
  ReduceMean: c => {
    const axes = axesOf(c)
    return [expandLike(c.e, c.op('Div', kept(c, c.g, axes), count(c, axes)), c.x())]
  },
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceL1: c => [c.op('Mul', kept(c, c.g, axesOf(c)), c.op('Sign', c.x()))],
  ReduceL2: c => {
    // 0 at the origin, as PyTorch has it.
    const y = kept(c, c.y, axesOf(c))
    const safe = c.op('Where', c.op('Equal', y, c.scalar(0)), c.scalar(1), y)
    return [c.op('Mul', c.x(), c.op('Div', kept(c, c.g, axesOf(c)), safe))]
  },
  ReduceSumSquare: c => [c.op('Mul', c.x(), c.op('Mul', kept(c, c.g, axesOf(c)), c.scalar(2)))],
  ReduceLogSumExp: c => {
    const axes = axesOf(c)
    return [c.op('Mul', kept(c, c.g, axes), c.op('Exp', c.op('Sub', c.x(), kept(c, c.y, axes))))]
  },
  GlobalAveragePool: c => {
    const axes = c
      .shape()
      .slice(2)
      .map((_, i) => i + 2)
    return [expandLike(c.e, c.op('Div', c.g, count(c, axes)), c.x())]
  },
  GlobalMaxPool: c => {
    const axes = c
      .shape()
      .slice(2)
      .map((_, i) => i + 2)
    const hits = c.e.op('Cast', [c.op('Equal', c.x(), c.y)], { to: 1 })
    return [c.op('Mul', hits, c.op('Div', c.g, sum(c.e, hits, axes, true)))]
  }
}

import { type Rule, unbroadcast } from './rule.ts'

/*
 * Element-wise operators. With y = f(x) and g the gradient of y, that of x is g·f'(x); where f' is written with y, the forward
 * result is used again. Derivatives: Abramowitz & Stegun 1964, 4.2, 4.3, 4.5, 7.1; activations as their papers give them. At a
 * kink the convention is PyTorch's.
 */

/** A rule of one input from a function that builds g·f'(x). */
const unary =
  (build: Rule extends (c: infer C) => unknown ? (c: C) => string : never): Rule =>
  c => [c.wants(0) ? build(c) : undefined]

const zero: Rule = () => []

export const elementwise: Record<string, Rule> = {
  Identity: c => [c.g],
  Add: c => [0, 1].map(i => (c.wants(i) ? unbroadcast(c.e, c.g, c.x(i)) : undefined)),
  Sum: c => c.node.inputs.map((x, i) => (c.wants(i) ? unbroadcast(c.e, c.g, x) : undefined)),
  Sub: c => [c.wants(0) ? unbroadcast(c.e, c.g, c.x(0)) : undefined, c.wants(1) ? c.op('Neg', unbroadcast(c.e, c.g, c.x(1))) : undefined],
  Mul: c => [0, 1].map(i => (c.wants(i) ? unbroadcast(c.e, c.op('Mul', c.g, c.x(1 - i)), c.x(i)) : undefined)),
  Neg: unary(c => c.op('Neg', c.g)),
  Tanh: unary(c => c.op('Mul', c.g, c.op('Sub', c.scalar(1), c.op('Mul', c.y, c.y)))),
  Sigmoid: unary(c => c.op('Mul', c.g, c.op('Mul', c.y, c.op('Sub', c.scalar(1), c.y)))),
  Relu: unary(c => c.op('Where', c.op('Greater', c.y, c.scalar(0)), c.g, c.scalar(0))),
  Where: c => [
    undefined,
    c.wants(1) ? unbroadcast(c.e, c.op('Where', c.x(0), c.g, c.e.scalarLike(c.x(1), 0)), c.x(1)) : undefined,
    c.wants(2) ? unbroadcast(c.e, c.op('Where', c.x(0), c.e.scalarLike(c.x(2), 0), c.g), c.x(2)) : undefined
  ],
  Cast: unary(c => c.e.op('Cast', [c.g], { to: c.e.type(c.x()).type === 'float64' ? 11 : 1 })),
  Floor: zero,
  Ceil: zero,
  Round: zero,
  Sign: zero
}

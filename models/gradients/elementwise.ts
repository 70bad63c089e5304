import { type Rule, type RuleContext, unbroadcast } from './rule.ts'

/*
 * Element-wise operators. With y = f(x) and g the gradient of y, that of x is g·f'(x); where f' is written with y, the forward
 * result is used again. Derivatives: Abramowitz & Stegun 1964, 4.2, 4.3, 4.5, 7.1; activations as their papers give them. At a
 * kink the convention is PyTorch's.
 */

/** A rule of one input from a function that builds g·f'(x). */
const unary =
  (build: (c: RuleContext) => string): Rule =>
  c => [c.wants(0) ? build(c) : undefined]

const zero: Rule = () => []

/** The gradient of a minimum or maximum goes to the operand that has it, in equal parts to several. */
const extremum: Rule = c => {
  const { inputs } = c.node
  if (inputs.length === 1) return [c.g]
  const hits = inputs.map(x => c.e.op('Cast', [c.op('Equal', x, c.y)], { to: 1 }))
  const share = c.op('Div', c.g, c.op('Sum', ...hits))
  return inputs.map((x, i) => (c.wants(i) ? unbroadcast(c.e, c.op('Mul', share, hits[i]), x) : undefined))
}

const divide: Rule = c => {
  const part = c.op('Div', c.g, c.x(1))
  return [
    c.wants(0) ? unbroadcast(c.e, part, c.x(0)) : undefined,
    c.wants(1) ? c.op('Neg', unbroadcast(c.e, c.op('Mul', part, c.y), c.x(1))) : undefined
  ]
}

const power: Rule = c => {
  const { e } = c
  const type = e.type(c.x(0)).type
  const p = e.type(c.x(1)).type === type ? c.x(1) : e.op('Cast', [c.x(1)], { to: 1 })
  const constant = e.graph.constants.get(c.x(1))
  const exponent = constant?.data.length === 1 ? Number(constant.data[0]) : undefined
  let dx: string | undefined
  if (c.wants(0)) {
    const slope =
      exponent === 2
        ? c.op('Mul', c.x(0), c.scalar(2))
        : exponent === 0.5
          ? c.op('Div', c.scalar(0.5), c.y)
          : c.op('Mul', p, c.op('Pow', c.x(0), c.op('Sub', p, c.scalar(1))))
    dx = unbroadcast(e, c.op('Mul', c.g, slope), c.x(0))
  }
  if (!c.wants(1)) return [dx]
  const positive = c.op('Greater', c.x(0), c.scalar(0))
  const log = c.op('Log', c.op('Where', positive, c.x(0), c.scalar(1)))
  return [dx, unbroadcast(e, c.op('Mul', c.g, c.op('Mul', c.y, log)), c.x(1))]
}

export const elementwise: Record<string, Rule> = {
  Identity: c => [c.g],
  Add: c => [0, 1].map(i => (c.wants(i) ? unbroadcast(c.e, c.g, c.x(i)) : undefined)),
  Sum: c => c.node.inputs.map((x, i) => (c.wants(i) ? unbroadcast(c.e, c.g, x) : undefined)),
  Mean: c => {
    const share = c.op('Div', c.g, c.scalar(c.node.inputs.length))
    return c.node.inputs.map((x, i) => (c.wants(i) ? unbroadcast(c.e, share, x) : undefined))
  },
  Sub: c => [c.wants(0) ? unbroadcast(c.e, c.g, c.x(0)) : undefined, c.wants(1) ? c.op('Neg', unbroadcast(c.e, c.g, c.x(1))) : undefined],
  Mul: c => [0, 1].map(i => (c.wants(i) ? unbroadcast(c.e, c.op('Mul', c.g, c.x(1 - i)), c.x(i)) : undefined)),
  Div: divide,
  Pow: power,
  Min: extremum,
  Max: extremum,
  Neg: unary(c => c.op('Neg', c.g)),
  Abs: unary(c => c.op('Mul', c.g, c.op('Sign', c.x()))),
  Reciprocal: unary(c => c.op('Neg', c.op('Mul', c.g, c.op('Mul', c.y, c.y)))),
  Sqrt: unary(c => c.op('Div', c.op('Mul', c.g, c.scalar(0.5)), c.y)),
  Exp: unary(c => c.op('Mul', c.g, c.y)),
  Log: unary(c => c.op('Div', c.g, c.x())),
  Sin: unary(c => c.op('Mul', c.g, c.op('Cos', c.x()))),
  Cos: unary(c => c.op('Neg', c.op('Mul', c.g, c.op('Sin', c.x())))),
  Erf: unary(c => {
    const density = c.op('Mul', c.op('Exp', c.op('Neg', c.op('Mul', c.x(), c.x()))), c.scalar(2 / Math.sqrt(Math.PI)))
    return c.op('Mul', c.g, density)
  }),
  Tanh: unary(c => c.op('Mul', c.g, c.op('Sub', c.scalar(1), c.op('Mul', c.y, c.y)))),
  Sigmoid: unary(c => c.op('Mul', c.g, c.op('Mul', c.y, c.op('Sub', c.scalar(1), c.y)))),
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

import { floatAttribute, stringAttribute } from '../graph/attributes.ts'
import { masked, type Rule, type RuleContext, unbroadcast } from './rule.ts'

/*
 * Activations, as their papers give them: Elu (Clevert 2015), Selu (Klambauer 2017), Gelu (Hendrycks & Gimpel 2016), PRelu (He 2015),
 * Mish (Misra 2019), HardSwish (Howard 2019), Softplus (Dugas 2001). At a kink the convention is PyTorch's.
 */

const unary =
  (build: (c: RuleContext) => string): Rule =>
  c => [c.wants(0) ? build(c) : undefined]

/** g where the condition holds, else 0. */
function where(c: RuleContext, condition: string): string {
  return masked(c.e, c.g, condition)
}

function scaled(c: RuleContext, value: string, factor: number): string {
  return factor === 1 ? value : c.op('Mul', value, c.scalar(factor))
}

function gelu(c: RuleContext): string {
  const x = c.x()
  const half = c.scalar(0.5)
  if (stringAttribute(c.node, 'approximate', 'none') === 'tanh') {
    const k = Math.sqrt(2 / Math.PI)
    const square = c.op('Mul', x, x)
    const inner = c.op('Mul', c.op('Mul', x, c.scalar(k)), c.op('Add', c.scalar(1), c.op('Mul', square, c.scalar(0.044715))))
    const t = c.op('Tanh', inner)
    const slope = c.op('Add', c.scalar(k), c.op('Mul', square, c.scalar(3 * 0.044715 * k)))
    const bend = c.op('Mul', c.op('Mul', x, c.op('Sub', c.scalar(1), c.op('Mul', t, t))), slope)
    return c.op('Mul', c.g, c.op('Mul', half, c.op('Add', c.op('Add', c.scalar(1), t), bend)))
  }
  const share = c.op('Mul', half, c.op('Add', c.scalar(1), c.op('Erf', c.op('Mul', x, c.scalar(Math.SQRT1_2)))))
  const density = c.op('Mul', c.op('Exp', c.op('Mul', c.op('Mul', x, x), c.scalar(-0.5))), c.scalar(1 / Math.sqrt(2 * Math.PI)))
  return c.op('Mul', c.g, c.op('Add', share, c.op('Mul', x, density)))
}

function mish(c: RuleContext): string {
  const x = c.x()
  const t = c.op('Tanh', c.op('Softplus', x))
  const bend = c.op('Mul', c.op('Mul', x, c.op('Sigmoid', x)), c.op('Sub', c.scalar(1), c.op('Mul', t, t)))
  return c.op('Mul', c.g, c.op('Add', t, bend))
}

export const activations: Record<string, Rule> = {
  Relu: unary(c => where(c, c.op('Greater', c.y, c.scalar(0)))),
  LeakyRelu: unary(c => {
    const alpha = floatAttribute(c.node, 'alpha', 0.01)
    return c.op('Where', c.op('Greater', c.x(), c.scalar(0)), c.g, scaled(c, c.g, alpha))
  }),
  PRelu: c => {
    const positive = c.op('Greater', c.x(0), c.scalar(0))
    return [
      c.wants(0) ? c.op('Where', positive, c.g, c.op('Mul', c.g, c.x(1))) : undefined,
      c.wants(1) ? unbroadcast(c.e, c.op('Where', positive, c.scalar(0), c.op('Mul', c.g, c.x(0))), c.x(1)) : undefined
    ]
  },
  Elu: unary(c => {
    // For x ≤ 0 the derivative α·eˣ is y + α.
    const alpha = floatAttribute(c.node, 'alpha', 1)
    const below = c.op('Mul', c.g, c.op('Add', c.y, c.scalar(alpha)))
    return c.op('Where', c.op('Greater', c.x(), c.scalar(0)), c.g, below)
  }),
  Celu: unary(c => {
    const alpha = floatAttribute(c.node, 'alpha', 1)
    const below = c.op('Mul', c.g, c.op('Exp', scaled(c, c.op('Min', c.x(), c.scalar(0)), 1 / alpha)))
    return c.op('Where', c.op('Greater', c.x(), c.scalar(0)), c.g, below)
  }),
  Selu: unary(c => {
    const alpha = floatAttribute(c.node, 'alpha', Math.fround(1.6732631921768188))
    const gamma = floatAttribute(c.node, 'gamma', Math.fround(1.0507010221481323))
    const below = c.op('Mul', c.g, c.op('Add', c.y, c.scalar(alpha * gamma)))
    return c.op('Where', c.op('Greater', c.x(), c.scalar(0)), scaled(c, c.g, gamma), below)
  }),
  Softplus: unary(c => c.op('Mul', c.g, c.op('Sigmoid', c.x()))),
  Softsign: unary(c => {
    const base = c.op('Add', c.scalar(1), c.op('Abs', c.x()))
    return c.op('Div', c.g, c.op('Mul', base, base))
  }),
  HardSigmoid: unary(c => {
    const inside = c.op('And', c.op('Greater', c.y, c.scalar(0)), c.op('Less', c.y, c.scalar(1)))
    return scaled(c, where(c, inside), floatAttribute(c.node, 'alpha', Math.fround(0.2)))
  }),
  HardSwish: unary(c => {
    const ramp = c.op('Div', c.op('Add', c.op('Mul', c.x(), c.scalar(2)), c.scalar(3)), c.scalar(6))
    const bent = c.op('Where', c.op('Greater', c.x(), c.scalar(-3)), c.op('Mul', c.g, ramp), c.scalar(0))
    return c.op('Where', c.op('GreaterOrEqual', c.x(), c.scalar(3)), c.g, bent)
  }),
  ThresholdedRelu: unary(c => where(c, c.op('Greater', c.x(), c.scalar(floatAttribute(c.node, 'alpha', 1))))),
  Gelu: unary(gelu),
  Mish: unary(mish),
  Clip: c => {
    if (c.wants(1) || c.wants(2)) c.refuse('its bounds cannot be trained')
    let g = c.g
    if (c.has(1)) g = c.op('Where', c.op('GreaterOrEqual', c.x(0), c.x(1)), g, c.scalar(0))
    if (c.has(2)) g = c.op('Where', c.op('LessOrEqual', c.x(0), c.x(2)), g, c.scalar(0))
    return [g]
  }
}

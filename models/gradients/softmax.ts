import { intAttribute } from '../graph/attributes.ts'
import { type Rule, sum } from './rule.ts'

/*
 * Softmax: dx = y·(g − Σ g·y); its logarithm: dx = g − exp(y)·Σ g (Bridle 1990). Both use the forward result, which is where the
 * largest input has been taken off, so nothing here overflows.
 */
export const softmax: Record<string, Rule> = {
  Softmax: c => {
    const axis = intAttribute(c.node, 'axis', -1)
    return [c.op('Mul', c.y, c.op('Sub', c.g, sum(c.e, c.op('Mul', c.g, c.y), [axis], true)))]
  },
  LogSoftmax: c => {
    const axis = intAttribute(c.node, 'axis', -1)
    return [c.op('Sub', c.g, c.op('Mul', c.op('Exp', c.y), sum(c.e, c.g, [axis], true)))]
  }
}

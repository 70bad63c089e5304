import { float } from '../graph/attributes.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { Attribute } from '../graph/types.ts'
import type { Activation } from './fields.ts'

/** Operators and attributes of the activations that are a single operator. */
export const operators: Record<Exclude<Activation, 'swish' | 'relu6'>, [op: string, attributes: Record<string, Attribute>]> = {
  identity: ['Identity', {}],
  relu: ['Relu', {}],
  leakyRelu: ['LeakyRelu', { alpha: float(0.01) }],
  elu: ['Elu', {}],
  selu: ['Selu', {}],
  sigmoid: ['Sigmoid', {}],
  hardSigmoid: ['HardSigmoid', {}],
  tanh: ['Tanh', {}],
  softplus: ['Softplus', {}],
  hardSwish: ['HardSwish', {}],
  gelu: ['Gelu', {}],
  softmax: ['Softmax', { axis: 1 }]
}

/** Appends an activation. @param name - of the result */
export function activate(e: Emitter, kind: Activation, x: string, name: string): string {
  if (kind === 'swish') return e.op('Mul', [x, e.op('Sigmoid', [x], {}, e.fresh(`${name}.Sigmoid`))], {}, name)
  // Sandler 2018: min(max(x, 0), 6)
  if (kind === 'relu6') return e.op('Clip', [x, e.scalar(0), e.scalar(6)], {}, name)
  const [op, attributes] = operators[kind]
  return e.op(op, [x], attributes, name)
}

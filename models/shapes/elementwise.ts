import { intAttribute } from '../graph/attributes.ts'
import { addDims, divDims, mulDims, subDims } from '../graph/dims.ts'
import type { DataType, Dim } from '../graph/types.ts'
import { typeNames } from '../onnx/constants.ts'
import { type Infer, type InferContext, like } from './context.ts'

/** Element-wise arithmetic; on sizes known ahead it is carried out. */
function arithmetic(compute?: (a: Dim, b: Dim) => Dim): Infer {
  return c => {
    const type = c.sameType()
    const shape = c.broadcast()
    const a = c.content(0)
    const b = c.content(1)
    if (compute === undefined || a === undefined || b === undefined || type === 'float32') return [{ type, shape }]
    const n = Math.max(a.length, b.length)
    if ((a.length !== n && a.length !== 1) || (b.length !== n && b.length !== 1)) return [{ type, shape }]
    return [{ type, shape, content: Array.from({ length: n }, (_, i) => compute(a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i])) }]
  }
}

const comparison: Infer = (c: InferContext) => {
  c.sameType()
  return [{ type: 'bool', shape: c.broadcast() }]
}

const logical: Infer = c => [{ type: 'bool', shape: c.broadcast() }]

const variadic: Infer = c => [{ type: c.sameType(), shape: c.broadcast() }]

function cast(c: InferContext): ReturnType<Infer> {
  const to = typeNames[intAttribute(c.node, 'to', 0)] as DataType | undefined
  if (to === undefined) c.fail('attribute to names no element type')
  const content = to === 'int64' || to === 'int32' ? c.content(0) : undefined
  return [{ type: to, shape: c.shape(0), content }]
}

export const elementwise: Record<string, Infer> = {
  Add: arithmetic(addDims),
  Sub: arithmetic(subDims),
  Mul: arithmetic(mulDims),
  Div: arithmetic(divDims),
  Pow: c => [{ type: c.input(0).type, shape: c.broadcast() }],
  Mod: arithmetic(),
  Min: variadic,
  Max: variadic,
  Sum: variadic,
  Mean: variadic,
  Equal: comparison,
  Less: comparison,
  LessOrEqual: comparison,
  Greater: comparison,
  GreaterOrEqual: comparison,
  And: logical,
  Or: logical,
  Xor: logical,
  Not: like,
  IsNaN: c => [{ type: 'bool', shape: c.shape(0) }],
  IsInf: c => [{ type: 'bool', shape: c.shape(0) }],
  Where: (c: InferContext) => {
    if (c.input(0).type !== 'bool') c.fail(`the condition must be bool, not ${c.input(0).type}`)
    return [{ type: c.sameType([1, 2]), shape: c.broadcast() }]
  },
  Cast: cast,
  CastLike: c => [{ type: c.input(1).type, shape: c.shape(0) }],
  Identity: c => [{ ...c.input(0) }],
  Clip: like,
  PRelu: like,
  BatchNormalization: (c: InferContext) => {
    const type = c.input(0).type
    const channels = c.shape(1)
    return [{ type, shape: c.shape(0) }, ...c.node.outputs.slice(1).map(() => ({ type, shape: channels }))]
  },
  LayerNormalization: (c: InferContext) => {
    const type = c.input(0).type
    const axis = c.axisAttribute(c.shape(0).length, -1)
    const kept = c.shape(0).map((d, i) => (i >= axis ? 1 : d))
    return [{ type, shape: c.shape(0) }, ...c.node.outputs.slice(1).map(() => ({ type, shape: kept }))]
  },
  Dropout: c => [
    { type: c.input(0).type, shape: c.shape(0) },
    { type: 'bool', shape: c.shape(0) }
  ]
}

const unary = [
  'Abs',
  'Neg',
  'Sign',
  'Reciprocal',
  'Sqrt',
  'Exp',
  'Log',
  'Erf',
  'Sin',
  'Cos',
  'Tan',
  'Asin',
  'Acos',
  'Atan',
  'Sinh',
  'Cosh',
  'Asinh',
  'Acosh',
  'Atanh',
  'Floor',
  'Ceil',
  'Round',
  'Tanh',
  'Sigmoid',
  'Relu',
  'LeakyRelu',
  'Elu',
  'Selu',
  'Celu',
  'Softplus',
  'Softsign',
  'HardSigmoid',
  'HardSwish',
  'Mish',
  'Gelu',
  'ThresholdedRelu',
  'Softmax',
  'LogSoftmax',
  'Hardmax',
  'LRN',
  'InstanceNormalization',
  'GroupNormalization',
  'LpNormalization',
  'MeanVarianceNormalization',
  'CumSum',
  'Trilu'
]
for (const op of unary) elementwise[op] = like

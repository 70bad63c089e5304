import { intAttribute } from '../graph/attributes.ts'
import { broadcastShape } from '../graph/dims.ts'
import type { Dim } from '../graph/types.ts'
import type { Infer, InferContext } from './context.ts'

function differ(a: Dim, b: Dim): boolean {
  return typeof a === 'number' && typeof b === 'number' && a !== b
}

function matmul(c: InferContext, a: Dim[], b: Dim[]): Dim[] {
  if (a.length === 0 || b.length === 0) c.fail('a scalar has no matrix product')
  const left = a.length === 1 ? [1, a[0]] : a
  const right = b.length === 1 ? [b[0], 1] : b
  if (differ(left[left.length - 1], right[right.length - 2])) c.fail(`[${a.join(', ')}] and [${b.join(', ')}] do not multiply`)
  const batch = broadcastShape(left.slice(0, -2), right.slice(0, -2)) ?? c.fail(`[${a.join(', ')}] and [${b.join(', ')}] do not broadcast`)
  if (a.length > 1) batch.push(left[left.length - 2])
  if (b.length > 1) batch.push(right[right.length - 1])
  return batch
}

function transposed(shape: Dim[]): Dim[] {
  return [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]]
}

const gemm: Infer = (c: InferContext) => {
  const a = c.shape(0)
  const b = c.shape(1)
  if (a.length !== 2 || b.length !== 2) c.fail('takes matrices')
  const left = intAttribute(c.node, 'transA', 0) !== 0 ? transposed(a) : a
  const right = intAttribute(c.node, 'transB', 0) !== 0 ? transposed(b) : b
  if (differ(left[1], right[0])) c.fail(`[${left.join(', ')}] and [${right.join(', ')}] do not multiply`)
  const shape = [left[0], right[1]]
  const added = c.inputs[2]?.shape ?? []
  if (added.length > 2 || added.some((d, i) => d !== 1 && differ(d, shape[i + 2 - added.length]))) {
    c.fail(`[${added.join(', ')}] cannot be added to [${shape.join(', ')}]`)
  }
  return [{ type: c.sameType(), shape }]
}

/** The equation of an Einsum without spaces, its operands' and its result's subscripts; an implicit result is spelt out. */
export function einsumTerms(equation: string): { operands: string[]; result: string } {
  const [left, right] = equation.replace(/\s/g, '').split('->')
  const operands = left.split(',')
  if (right !== undefined) return { operands, result: right }
  const counts = new Map<string, number>()
  for (const s of operands.join('')) counts.set(s, (counts.get(s) ?? 0) + 1)
  const once = [...counts].filter(([s, n]) => n === 1 && s !== '.').map(([s]) => s)
  return { operands, result: once.sort().join('') }
}

const einsum: Infer = (c: InferContext) => {
  const equation = c.node.attributes['equation']
  if (typeof equation !== 'string') c.fail('attribute equation is missing')
  const { operands, result } = einsumTerms(equation)
  if (operands.length !== c.inputs.length || /[^a-zA-Z]/.test(operands.join('') + result)) {
    c.fail(`equation '${equation}' is not one of letters for ${c.inputs.length} inputs`)
  }
  const sizes = new Map<string, Dim>()
  operands.forEach((subscripts, i) => {
    const shape = c.shape(i)
    if (subscripts.length !== shape.length) c.fail(`'${subscripts}' names ${subscripts.length} of ${shape.length} dimensions`)
    shape.forEach((d, k) => {
      const known = sizes.get(subscripts[k])
      if (known !== undefined && differ(known, d)) c.fail(`'${subscripts[k]}' stands for ${known} and ${d}`)
      if (known === undefined || typeof d === 'number') sizes.set(subscripts[k], d)
    })
  })
  return [{ type: c.sameType(), shape: [...result].map(s => sizes.get(s) ?? c.fail(`'${s}' is in no operand`)) }]
}

/** Outputs of LSTM (3) and GRU (2): all hidden states, the last one, the last cell. */
const recurrent: Infer = (c: InferContext) => {
  const x = c.atLeast(0, 3)
  const r = c.atLeast(2, 3)
  if (intAttribute(c.node, 'layout', 0) !== 0) c.fail('layout 1 is not known')
  const type = c.sameType([0, 1, 2])
  const last = { type, shape: [r[0], x[1], r[2]] }
  return [{ type, shape: [x[0], r[0], x[1], r[2]] }, last, last]
}

export const linear: Record<string, Infer> = {
  LSTM: recurrent,
  GRU: recurrent,
  Gemm: gemm,
  MatMul: c => [{ type: c.sameType(), shape: matmul(c, c.shape(0), c.shape(1)) }],
  Einsum: einsum
}

/** onnxruntime's own operators that training graphs use. */
export const contributed: Record<string, Infer> = {
  FusedMatMul: (c: InferContext) => {
    const a = intAttribute(c.node, 'transA', 0) !== 0 ? transposed(c.atLeast(0, 2)) : c.atLeast(0, 2)
    const b = intAttribute(c.node, 'transB', 0) !== 0 ? transposed(c.atLeast(1, 2)) : c.atLeast(1, 2)
    return [{ type: c.sameType(), shape: matmul(c, a, b) }]
  }
}

/**
 * Shape inference: the element type and shape of every value of a graph before anything runs, one rule an operator. Dimensions
 * may be symbols, and small integer tensors (shapes on their way into a Reshape) are computed along.
 *
 * @see the ONNX operator specification, whose type and shape clauses the rules follow
 */
import { InvalidParametersError } from '../../common/index.ts'
import { describe } from '../graph/attributes.ts'
import type { Dim, GraphNode, ValueType } from '../graph/types.ts'
import { type Infer, InferContext } from './context.ts'
import { convolution } from './convolution.ts'
import { elementwise } from './elementwise.ts'
import { contributed, linear } from './linear.ts'
import { movement } from './movement.ts'
import { reduction } from './reduction.ts'

/** Largest dimension that a value may have. */
const MAX_DIM = 2 ** 40

const rules = new Map<string, Infer>(Object.entries({ ...elementwise, ...convolution, ...linear, ...movement, ...reduction }))
const contributedRules = new Map<string, Infer>(Object.entries(contributed))

/** Whether the operator's shapes can be inferred. */
export function isKnownOperator(node: GraphNode): boolean {
  return ruleOf(node) !== undefined
}

function ruleOf(node: GraphNode): Infer | undefined {
  if (node.domain === '' || node.domain === 'ai.onnx') return rules.get(node.op)
  return node.domain === 'com.microsoft' ? contributedRules.get(node.op) : undefined
}

/**
 * Types of the outputs of `node`.
 *
 * @throws InvalidParametersError when the operator is not known
 * @throws MalformedError when its inputs or attributes do not fit it
 */
export function inferNode(node: GraphNode, types: ReadonlyMap<string, ValueType>): ValueType[] {
  const rule = ruleOf(node)
  if (rule === undefined)
    throw new InvalidParametersError(`operator ${describe(node)} is not known; replace it by operators of ONNX that are`)
  const context = new InferContext(
    node,
    node.inputs.map(name => {
      if (name === '') return undefined
      return types.get(name) ?? new InferContext(node, []).fail(`input '${name}' is assigned by nothing before it`)
    })
  )
  const outputs = rule(context)
  // A rule that picks elements of a shape does not ask whether they are there.
  if (outputs.some(o => o.content?.includes(undefined as unknown as Dim))) context.fail('an index lies outside its input')
  const impossible = outputs.find(o => o.shape.some(d => typeof d === 'number' && !(d >= 0 && d <= MAX_DIM)))
  if (impossible !== undefined) context.fail(`its result would be [${impossible.shape.join(', ')}]`)
  return outputs
}

/**
 * A reference evaluator of graphs in float64, for tests: every operator written plainly after ONNX's text, sharing no code with what it
 * judges.
 */
import type { Graph, GraphNode } from '../../../models/graph/types.ts'
import { elementwise } from './elementwise.ts'
import { linear } from './linear.ts'
import { movement } from './movement.ts'
import type { Call, Operator } from './node.ts'
import { normalization } from './normalization.ts'
import { reduction } from './reduction.ts'
import { resizing } from './resize.ts'
import { fromTensor, integer, type Ref } from './tensor.ts'
import { windows } from './windows.ts'

const operators = new Map<string, Operator>(
  Object.entries({ ...elementwise, ...linear, ...movement, ...reduction, ...windows, ...normalization, ...resizing })
)

function call(node: GraphNode, x: (Ref | undefined)[], graph: Graph): Call {
  const a = node.attributes as Record<string, any>
  return {
    node,
    x,
    int: (name, otherwise) => a[name] ?? otherwise,
    ints: (name, otherwise) => a[name] ?? otherwise,
    float: (name, otherwise) => Math.fround(a[name]?.float ?? otherwise),
    text: (name, otherwise) => a[name] ?? otherwise,
    isInteger: i => integer.has(graph.types.get(node.inputs[i])!.type)
  }
}

/** All values of `graph` for the given inputs and parameters. */
export function evaluate(graph: Graph, feeds: ReadonlyMap<string, Ref>): Map<string, Ref> {
  const values = new Map(feeds)
  for (const [name, tensor] of graph.constants) values.set(name, fromTensor(tensor))
  for (const node of graph.nodes) {
    const operator = operators.get(node.op)
    if (operator === undefined) throw new Error(`the reference does not know ${node.op}`)
    const inputs = node.inputs.map(name => {
      if (name === '') return undefined
      const value = values.get(name)
      if (value === undefined) throw new Error(`nothing assigns '${name}'`)
      return value
    })
    const outputs = operator(call(node, inputs, graph))
    node.outputs.forEach((name, i) => {
      if (name === '') return
      const expected = graph.types.get(name)?.shape
      const { shape } = outputs[i]
      if (
        expected !== undefined &&
        (expected.length !== shape.length || expected.some((d, k) => typeof d === 'number' && d !== shape[k]))
      ) {
        throw new Error(`${node.op} ${node.name}: inferred [${expected}] and is [${shape}]`)
      }
      values.set(name, outputs[i])
    })
  }
  return values
}

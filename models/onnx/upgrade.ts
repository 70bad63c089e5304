import { intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { int64s } from '../graph/tensors.ts'
import type { Graph, GraphNode } from '../graph/types.ts'
import { windowOf } from '../graph/window.ts'
import { tensorType } from './decode.ts'

/** Reductions whose axes were an attribute until operator set 17. */
const reductions = new Set(['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'].map(k => `Reduce${k}`))

/**
 * Brings a node of operator sets 13 to 21 to the form that it has in 22.
 *
 * @param opset - the set it was written against
 */
export function upgradeNode(graph: Graph, node: GraphNode, opset: number): void {
  if (opset < 18 && reductions.has(node.op)) {
    const axes = intsAttribute(node, 'axes')
    delete node.attributes['axes']
    if (axes !== undefined) {
      const name = unused(graph, `${node.outputs[0]}_axes`)
      const tensor = int64s(axes)
      graph.constants.set(name, tensor)
      graph.types.set(name, tensorType(tensor))
      node.inputs = [node.inputs[0], name]
    }
  }
  if (opset < 18 && node.op === 'Split' && (node.inputs[1] ?? '') === '') node.attributes['num_outputs'] = node.outputs.length
}

/**
 * Writes automatic padding out, where the input's size is known: onnxruntime does not take it with dilations, and differs from the
 * specification where strides exceed the kernel.
 */
export function explicitPadding(graph: Graph, node: GraphNode): void {
  if (node.op !== 'Conv' && node.op !== 'MaxPool' && node.op !== 'AveragePool') return
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  if (auto === 'NOTSET') return
  const input = graph.types.get(node.inputs[0])?.shape.slice(2)
  const weights = node.op === 'Conv' ? graph.types.get(node.inputs[1])?.shape.slice(2) : undefined
  const kernel = intsAttribute(node, 'kernel_shape') ?? weights
  if (input === undefined || kernel === undefined || !kernel.every(k => typeof k === 'number')) return
  const window = windowOf(node, input, kernel as number[])
  if (window === undefined || intAttribute(node, 'ceil_mode', 0) !== 0) return
  delete node.attributes['auto_pad']
  node.attributes['pads'] = [...window.padsBegin, ...window.padsEnd]
}

export function unused(graph: Graph, base: string): string {
  let name = base
  for (let i = 1; graph.types.has(name); i++) name = `${base}_${i}`
  return name
}

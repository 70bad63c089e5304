import { intAttribute } from './graph/attributes.ts'
import { isStatic } from './graph/dims.ts'
import { sizeOf } from './graph/tensors.ts'
import type { Dim, Graph, GraphNode, ValueType } from './graph/types.ts'
import { inferNode } from './shapes/index.ts'
import { einsumTerms } from './shapes/linear.ts'

/** One operator of a model. */
export interface SummaryRow {
  name: string
  op: string
  /** Of its first output for one sample, the batch included; dimensions that stay open are texts. */
  shape: Dim[]
  /** Trained numbers that it is the first to read. */
  parameters: number
  /** Products that are summed, for one sample; 0 for what only adds, compares or moves; undefined where sizes stay open. */
  multiplyAdds: number | undefined
}

export interface ModelSummary {
  name: string
  input: { name: string; shape: Dim[] }
  rows: SummaryRow[]
  parameters: number
  /** Of one sample; undefined where that of a row is. */
  multiplyAdds: number | undefined
}

/** Operators that only compute shapes and indices. */
const shapeOnly = new Set(['Shape', 'Size', 'ConstantOfShape', 'Constant', 'Range', 'NonZero'])

/** What a model consists of: its operators with their shapes, parameters and multiply-adds, for one sample. */
export function summarise(graph: Graph): ModelSummary {
  const types = ofOneSample(graph)
  const counted = new Set<string>()
  const rows = graph.nodes
    .filter(node => !shapeOnly.has(node.op))
    .map((node): SummaryRow => {
      let parameters = 0
      for (const input of node.inputs) {
        const p = graph.parameters.get(input)
        if (p === undefined || counted.has(input)) continue
        counted.add(input)
        parameters += sizeOf(p.shape)
      }
      const output = node.outputs.find(o => o !== '')!
      return {
        name: node.name || output,
        op: node.op,
        shape: types.get(output)!.shape,
        parameters,
        multiplyAdds: multiplyAdds(node, types)
      }
    })
  const products = rows.map(r => r.multiplyAdds)
  const [name] = graph.inputs
  return {
    name: graph.name,
    input: { name, shape: types.get(name)!.shape.slice(1) },
    rows,
    parameters: [...graph.parameters.values()].reduce((sum, p) => sum + sizeOf(p.shape), 0),
    multiplyAdds: products.every(p => p !== undefined) ? products.reduce((a, b) => a + b, 0) : undefined
  }
}

/** Types of all values for a batch of one. */
function ofOneSample(graph: Graph): Map<string, ValueType> {
  const batch = graph.types.get(graph.inputs[0])!.shape[0]
  const types = new Map(graph.types)
  for (const input of graph.inputs) {
    const type = graph.types.get(input)!
    types.set(input, { ...type, shape: type.shape.map(d => (d === batch && typeof d === 'string' ? 1 : d)) })
  }
  for (const node of graph.nodes) {
    const inferred = inferNode(node, types)
    node.outputs.forEach((output, i) => {
      if (output !== '') types.set(output, inferred[i])
    })
  }
  return types
}

function multiplyAdds(node: GraphNode, types: ReadonlyMap<string, ValueType>): number | undefined {
  const shape = (i: number): number[] | undefined => {
    const found = types.get(node.inputs[i])?.shape
    return found !== undefined && isStatic(found) ? found : undefined
  }
  const out = types.get(node.outputs.find(o => o !== '')!)!.shape
  const [a, b] = [shape(0), shape(1)]
  if (node.domain !== '') return 0
  switch (node.op) {
    case 'Conv':
      return b !== undefined && isStatic(out) ? sizeOf(out) * sizeOf(b.slice(1)) : undefined
    case 'ConvTranspose':
      return a !== undefined && b !== undefined ? sizeOf(a) * sizeOf(b.slice(1)) : undefined
    case 'Gemm':
      return a !== undefined && isStatic(out) ? sizeOf(out) * a[intAttribute(node, 'transA', 0) === 0 ? 1 : 0] : undefined
    case 'MatMul':
      return a !== undefined && isStatic(out) ? sizeOf(out) * a[a.length - 1] : undefined
    case 'LSTM':
    case 'GRU': {
      const r = shape(2)
      // A step of each direction: the gates of the input and of the state.
      return a !== undefined && b !== undefined && r !== undefined ? a[0] * a[1] * (sizeOf(b) + sizeOf(r)) : undefined
    }
    case 'Einsum':
      return einsum(node, types)
    default:
      return 0
  }
}

/** The product of all subscripts' sizes. */
function einsum(node: GraphNode, types: ReadonlyMap<string, ValueType>): number | undefined {
  const sizes = new Map<string, Dim>()
  einsumTerms(node.attributes['equation'] as string).operands.forEach((subscripts, i) => {
    types.get(node.inputs[i])!.shape.forEach((d, k) => {
      sizes.set(subscripts[k], d)
    })
  })
  const all = [...sizes.values()]
  return isStatic(all) ? sizeOf(all) : undefined
}

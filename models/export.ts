import { InvalidParametersError } from '../common/index.ts'
import { prune } from './graph/prune.ts'
import { copyGraph, type Graph, type ParameterLayout, type Tensor } from './graph/types.ts'
import { encodeGraph } from './onnx/encode.ts'
import { initialise, stateLayout } from './parameters.ts'

/**
 * The model as plain inference ONNX: the graph's own inputs, its outputs but the auxiliary ones, the parameters as initializers.
 *
 * @param parameters - the flat arena, `layout.total` floats
 * @param metadata - what to write into the file's metadata, by key
 * @param states - the arena of running statistics; those that the model came with where it is left out
 * @returns ONNX bytes
 */
export function exportModel(
  graph: Graph,
  layout: ParameterLayout,
  parameters: Float32Array,
  metadata: Record<string, string> = {},
  states?: Float32Array
): Uint8Array<ArrayBuffer> {
  if (parameters.length < layout.total) {
    throw new InvalidParametersError(`${parameters.length} parameters were given and the model has ${layout.total}`)
  }
  const values = new Map<string, Tensor>()
  for (const p of layout.parameters) {
    values.set(p.name, { type: 'float32', shape: p.shape, data: parameters.subarray(p.offset, p.offset + p.size) })
  }
  const state = stateLayout(graph)
  const statistics = new Float32Array(state.total)
  if (states === undefined) initialise(state, 0, statistics)
  for (const p of state.parameters) {
    values.set(p.name, { type: 'float32', shape: p.shape, data: (states ?? statistics).subarray(p.offset, p.offset + p.size) })
  }
  if (graph.auxiliary.size === 0) return encodeGraph(graph, { values, metadata })
  const finished = copyGraph(graph)
  finished.outputs = graph.outputs.filter(output => !graph.auxiliary.has(output))
  prune(finished)
  const read = new Set(finished.nodes.flatMap(n => n.inputs))
  for (const tensors of [values, finished.parameters, finished.states])
    for (const name of tensors.keys()) if (!read.has(name)) tensors.delete(name)
  return encodeGraph(finished, { values, metadata })
}

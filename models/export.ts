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
 * @param layout - of the graph that was trained, which may have more parameters than this one
 * @param states - the arena of running statistics and its layout; those that the model came with where it is left out
 * @returns ONNX bytes
 */
export function exportModel(
  graph: Graph,
  layout: ParameterLayout,
  parameters: Float32Array,
  metadata: Record<string, string> = {},
  states?: { layout: ParameterLayout; values: Float32Array }
): Uint8Array<ArrayBuffer> {
  if (parameters.length < layout.total) {
    throw new InvalidParametersError(`${parameters.length} parameters were given and the model has ${layout.total}`)
  }
  const values = new Map<string, Tensor>()
  for (const p of layout.parameters) {
    if (!graph.parameters.has(p.name)) continue
    values.set(p.name, { type: 'float32', shape: p.shape, data: parameters.subarray(p.offset, p.offset + p.size) })
  }
  const state = states?.layout ?? stateLayout(graph)
  const statistics = states?.values ?? new Float32Array(state.total)
  if (states === undefined) initialise(state, 0, statistics)
  for (const p of state.parameters) {
    if (!graph.states.has(p.name)) continue
    values.set(p.name, { type: 'float32', shape: p.shape, data: statistics.subarray(p.offset, p.offset + p.size) })
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

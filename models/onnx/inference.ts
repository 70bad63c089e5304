import { InvalidParametersError } from '../../common/index.ts'
import { describe } from '../graph/attributes.ts'
import type { Graph, GraphNode } from '../graph/types.ts'

/**
 * Brings a file's nodes, in place, to the form in which a model is evaluated and exported: what exporters leave behind for training
 * (modes of batch normalisation and dropout, with the outputs that only training has) goes, and weights are read under their own names.
 * What differs in training comes from lowering.
 *
 * @param graph - with its initializers as constants
 * @param nodes - in order
 * @param outputs - of the model
 */
export function inferenceForm(graph: Graph, nodes: GraphNode[], outputs: ReadonlySet<string>): GraphNode[] {
  const alias = new Map<string, string>()
  const kept = nodes.filter(node => {
    node.inputs = node.inputs.map(name => alias.get(name) ?? name)
    // Exporters share equal initializers in this way.
    const renames = node.op === 'Identity' && node.domain === '' && graph.constants.has(node.inputs[0]) && !outputs.has(node.outputs[0])
    if (renames) alias.set(node.outputs[0], node.inputs[0])
    return !renames
  })
  const read = new Set(outputs)
  for (const node of kept) for (const input of node.inputs) read.add(input)
  for (const node of kept) {
    if (node.domain !== '') continue
    if (node.op === 'BatchNormalization') {
      if (node.outputs.slice(1).some(name => read.has(name))) {
        throw new InvalidParametersError(`node ${describe(node)}: its new statistics cannot be used; they are kept with the model`)
      }
      node.outputs = node.outputs.slice(0, 1)
      delete node.attributes['training_mode']
    } else if (node.op === 'Dropout') {
      if (!read.has(node.outputs[1] ?? '')) node.outputs = node.outputs.slice(0, 1)
      node.inputs = node.inputs.slice(0, 2)
    }
  }
  return kept
}

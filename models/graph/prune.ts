import type { Graph } from './types.ts'

/** Removes nodes, constants and types that no output needs. Inputs and parameters stay. */
export function prune(graph: Graph): void {
  const needed = new Set(graph.outputs)
  const kept = []
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]
    if (!node.outputs.some(o => needed.has(o))) continue
    for (const input of node.inputs) needed.add(input)
    kept.push(node)
  }
  graph.nodes = kept.reverse()
  for (const name of graph.constants.keys()) if (!needed.has(name)) graph.constants.delete(name)
  const named = new Set([
    ...graph.inputs,
    ...graph.parameters.keys(),
    ...graph.states.keys(),
    ...graph.constants.keys(),
    ...graph.nodes.flatMap(n => n.outputs)
  ])
  for (const name of graph.types.keys()) if (!named.has(name)) graph.types.delete(name)
}

/** Gives a value another name everywhere. */
export function rename(graph: Graph, from: string, to: string): void {
  const swap = (name: string) => (name === from ? to : name)
  for (const node of graph.nodes) {
    if (node.inputs.includes(from)) node.inputs = node.inputs.map(swap)
    if (node.outputs.includes(from)) node.outputs = node.outputs.map(swap)
  }
  graph.outputs = graph.outputs.map(swap)
  const type = graph.types.get(from)
  if (type !== undefined) {
    graph.types.delete(from)
    graph.types.set(to, type)
  }
}

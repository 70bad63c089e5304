import { InvalidParametersError } from '../../common/index.ts'
import { describe } from '../graph/attributes.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { DataType, Graph, GraphNode } from '../graph/types.ts'
import { RuleContext } from './rule.ts'
import { ruleOf } from './table.ts'

const floating = new Set<DataType>(['float32', 'float64'])
/** Types that carry gradients elsewhere; to take what is computed in them for constant would be wrong in silence. */
const half = new Set<DataType | undefined>(['float16', 'bfloat16'])

/**
 * Values on a path from one of `sources`: those whose gradient some source's gradient may need. Only float values carry gradients.
 */
function reachable(graph: Graph, nodes: readonly GraphNode[], sources: Iterable<string>): Set<string> {
  const reached = new Set(sources)
  for (const node of nodes) {
    if (!node.inputs.some(i => reached.has(i))) continue
    for (const output of node.outputs) {
      const type = graph.types.get(output)
      if (type !== undefined && floating.has(type.type)) reached.add(output)
    }
  }
  return reached
}

/**
 * Appends to the emitter's graph the gradient of a scalar with respect to `sources`: the walk goes over the nodes that are there
 * from the last to the first, so gradients of the last layers come first. Only what leads to a source is built.
 *
 * @param result - the scalar; its own gradient is 1
 * @param sources - values (parameters) whose gradients are wanted
 * @returns gradient of each source; a source that the result does not depend on has none
 * @throws InvalidParametersError naming the node when an operator on the way has no rule
 */
export function backward(e: Emitter, result: string, sources: Iterable<string>): Map<string, string> {
  const nodes = [...e.graph.nodes]
  const wanted = reachable(e.graph, nodes, sources)
  refuseHalf(e.graph, nodes, result, wanted)
  const gradients = new Map<string, string[]>([[result, [e.scalarLike(result, 1)]]])
  const collect = (name: string): string | undefined => {
    const parts = gradients.get(name)
    if (parts === undefined) return undefined
    if (parts.length > 1) gradients.set(name, [parts.length === 2 ? e.op('Add', parts) : e.op('Sum', parts)])
    return gradients.get(name)![0]
  }
  const add = (input: string, gradient: string | undefined): void => {
    if (gradient === undefined || !wanted.has(input)) return
    const parts = gradients.get(input)
    if (parts === undefined) gradients.set(input, [gradient])
    else parts.push(gradient)
  }
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]
    if (!node.outputs.some(o => gradients.has(o)) || !node.inputs.some(x => wanted.has(x))) continue
    const shortcut = e.shortcuts.get(node.outputs[0])
    if (shortcut !== undefined) {
      const made = shortcut.rule(collect(node.outputs[0])!)
      shortcut.inputs.forEach((input, k) => {
        add(input, made[k])
      })
      continue
    }
    const rule = ruleOf(node)
    if (rule === undefined) refuse(e.graph, nodes, node, sources)
    const made = rule(new RuleContext(node, e, node.outputs.map(collect), wanted))
    node.inputs.forEach((input, k) => {
      add(input, made[k])
    })
  }
  const found = new Map<string, string>()
  for (const source of sources) {
    const gradient = collect(source)
    if (gradient !== undefined) found.set(source, gradient)
  }
  return found
}

function refuseHalf(graph: Graph, nodes: readonly GraphNode[], result: string, wanted: ReadonlySet<string>): void {
  const needed = new Set([result])
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]
    if (!node.outputs.some(o => needed.has(o))) continue
    for (const input of node.inputs) needed.add(input)
    const type = node.outputs.map(o => graph.types.get(o)?.type).find(t => half.has(t))
    if (type !== undefined && node.inputs.some(x => wanted.has(x))) {
      throw new InvalidParametersError(
        `operator ${describe(node)} computes in ${type}, which has no gradients here; convert the model to float32`
      )
    }
  }
}

function refuse(graph: Graph, nodes: readonly GraphNode[], node: GraphNode, sources: Iterable<string>): never {
  const before = [...sources].filter(s => node.inputs.some(x => reachable(graph, nodes.slice(0, nodes.indexOf(node)), [s]).has(x)))
  const names = before.slice(0, 5).map(s => `'${s}'`)
  if (before.length > names.length) names.push(`${before.length - names.length} more`)
  throw new InvalidParametersError(
    `operator ${describe(node)} has no gradient rule; freeze the parameters that feed it (${names.join(', ')}) or replace the operator`
  )
}

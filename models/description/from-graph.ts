import { InvalidParametersError } from '../../common/index.ts'
import { describe } from '../graph/attributes.ts'
import { isStatic } from '../graph/dims.ts'
import type { Graph, GraphNode } from '../graph/types.ts'
import { parameterLayout } from '../parameters.ts'
import { buildDescription } from './build.ts'
import type { Activation, ParameterOptions } from './fields.ts'
import { readers } from './readers/index.ts'
import { kinds, type Layer, type Model } from './schema.ts'

/** What a reader works with: one node of a graph, and the layers that those before it have become. */
export class NodeReader {
  readonly graph: Graph
  readonly #layers: Layer[] = []
  /** Layer that makes a value. */
  readonly #makers = new Map<string, string>()
  readonly #readers = new Map<string, number>()
  readonly #batch: string | number
  node!: GraphNode

  constructor(graph: Graph) {
    this.graph = graph
    this.#batch = graph.types.get(graph.inputs[0])!.shape[0]
    this.#makers.set(graph.inputs[0], 'data')
    for (const name of [...graph.nodes.flatMap(n => n.inputs), ...graph.outputs])
      this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1)
  }

  get layers(): Layer[] {
    return this.#layers
  }

  /** Shape of a sample of a value. */
  sample(value: string): number[] {
    const [batch, ...rest] = this.graph.types.get(value)?.shape ?? []
    if (batch !== this.#batch || !isStatic(rest)) return this.refuse(`its value '${value}' is no sample of a known shape`)
    return rest
  }

  /** Whether a value has the batch first. */
  batched(value: string): boolean {
    return this.graph.types.get(value)?.shape[0] === this.#batch
  }

  /** Values that layers make; weights and constants are none. */
  flowing(): string[] {
    return this.node.inputs.filter(name => name !== '' && !this.fixed(name))
  }

  fixed(name: string): boolean {
    return this.graph.parameters.has(name) || this.graph.constants.has(name) || this.graph.states.has(name)
  }

  /** How often a value is read, as an output too. */
  reads(name: string): number {
    return this.#readers.get(name) ?? 0
  }

  /** What a description says of a parameter; undefined when that is nothing. A constant is a parameter that does not learn. */
  parameter(name: string, shape: number[]): ParameterOptions | undefined {
    const p = this.graph.parameters.get(name)
    const found = p?.shape ?? this.graph.constants.get(name)?.shape
    if (found === undefined || found.join() !== shape.join()) {
      this.refuse(`its input '${name}' is [${found?.join(', ') ?? 'computed'}] where weights [${shape.join(', ')}] would be`)
    }
    const options: ParameterOptions = {}
    if (p === undefined) options.lrMult = 0
    else if (p.lrMult !== 1) options.lrMult = p.lrMult
    if (p !== undefined && p.decayMult !== 1) options.decayMult = p.decayMult
    if (p !== undefined && p.filler.type !== 'given') options.filler = p.filler
    return Object.keys(options).length === 0 ? undefined : options
  }

  weight(name: string, shape: number[]): { weight?: ParameterOptions } {
    const weight = this.parameter(name, shape)
    return weight === undefined ? {} : { weight }
  }

  bias(name: string | undefined, shape: number[]): { bias?: ParameterOptions | false } {
    if ((name ?? '') === '') return { bias: false }
    const bias = this.parameter(name!, shape)
    return bias === undefined ? {} : { bias }
  }

  /** The layer that a node is. @param called - a parameter that it is named after, where it has one */
  add(layer: Layer, inputs: string[], called?: string): void {
    const makers = inputs.map(value => this.#makers.get(value) ?? this.refuse(`it reads '${value}', which is no layer's result`))
    const last = this.#layers.at(-1)?.name ?? 'data'
    const named = { ...layer, name: this.#name(called) } as Layer
    if (makers.length !== 1 || makers[0] !== last) named.inputs = makers.length === 1 ? makers[0] : makers
    const { type, name, inputs: reads, ...rest } = named
    this.#layers.push({ type, name, ...(reads === undefined ? {} : { inputs: reads }), ...rest } as Layer)
    this.#makers.set(this.node.outputs[0], name!)
  }

  /** Lets an activation be part of the layer before it. @returns whether there is one that takes it */
  join(activation: Activation): boolean {
    const [value] = this.node.inputs
    const maker = this.#layers.find(l => l.name === this.#makers.get(value)) as (Layer & { activation?: Activation }) | undefined
    if (maker === undefined || this.reads(value) > 1 || maker.activation !== undefined || !('activation' in kinds[maker.type].schema.shape))
      return false
    maker.activation = activation
    this.#makers.set(this.node.outputs[0], maker.name!)
    return true
  }

  /** The layer that made a value, when it is of a type and nothing else reads the value. */
  soleMaker(value: string, type: Layer['type']): Layer | undefined {
    const maker = this.#layers.find(l => l.name === this.#makers.get(value))
    return maker?.type === type && this.reads(value) === 1 ? maker : undefined
  }

  /** One value is another, for whoever reads it. */
  same(value: string, as: string): void {
    const maker = this.#makers.get(as)
    if (maker === undefined) this.refuse(`it reads '${as}', which is no layer's result`)
    this.#makers.set(value, maker!)
  }

  maker(value: string): string | undefined {
    return this.#makers.get(value)
  }

  /** @throws InvalidParametersError naming the node */
  refuse(why: string): never {
    throw new InvalidParametersError(`node ${describe(this.node)} cannot be described as a layer: ${why}`)
  }

  #name(called: string | undefined): string {
    const taken = new Set(['data', 'logits', ...this.#layers.map(l => l.name)])
    const tried = [called?.replace(/\.(weight|0)$/, ''), this.node.name, this.node.outputs[0]]
    const found = tried.find(name => name !== undefined && name !== '' && name.length <= 200 && !taken.has(name))
    for (let i = 1, base = found ?? this.node.op.toLowerCase(); ; i++) {
      const name = i === 1 ? base : `${base.slice(0, 190)}_${i}`
      if (!taken.has(name)) return name
    }
  }
}

/**
 * A graph as the description of a model, layer by layer: what it computes, with the fillers and rates of its parameters; values that were
 * loaded are left out, since a description holds none.
 *
 * @throws InvalidParametersError naming the node that is no layer
 */
export function describeGraph(graph: Graph): Model {
  const reader = new NodeReader(graph)
  if (graph.inputs.length > 1) throw new InvalidParametersError(`the model has ${graph.inputs.length} inputs; a description has one`)
  for (const node of graph.nodes) {
    reader.node = node
    const read =
      node.domain === '' && Object.hasOwn(readers, node.op) ? readers[node.op] : reader.refuse('no layer stands for the operator')
    read(reader)
  }
  const [input] = graph.inputs
  const shape = graph.types.get(input)!.shape.slice(1)
  if (!isStatic(shape))
    throw new InvalidParametersError(`input '${input}' has the shape [N, ${shape.join(', ')}]; all but the batch must be numbers`)
  const outputs = graph.outputs.map((value, i) => {
    const layer = reader.maker(value)
    if (layer === undefined || layer === 'data') throw new InvalidParametersError(`output '${value}' is no layer's result`)
    const lossWeight = graph.auxiliary.get(value)
    const usual = i === 0 ? 'logits' : layer
    if (value === usual && (lossWeight ?? 1) === 1) return layer
    return { layer, ...(value === usual ? {} : { name: value }), ...((lossWeight ?? 1) === 1 ? {} : { lossWeight }) }
  })
  const model: Model = { ...(graph.name === '' ? {} : { name: graph.name.slice(0, 200) }), input: shape, layers: reader.layers, outputs }
  verify(graph, model)
  return model
}

/** What was described must be what there was: the same shapes of outputs and parameters. */
function verify(graph: Graph, model: Model): void {
  const built = buildDescription(model)
  const parameters = (g: Graph) =>
    parameterLayout(g)
      .parameters.map(p => p.size)
      .sort((a, b) => a - b)
      .join()
  const outputs = (g: Graph) => g.outputs.map(o => g.types.get(o)!.shape.slice(1).join('×')).join()
  const trained = parameters(graph)
  const frozen = [...graph.constants.values()].some(c => c.type === 'float32' && c.data.length > 1)
  if (outputs(built) !== outputs(graph) || (!frozen && parameters(built) !== trained)) {
    throw new InvalidParametersError(`model '${graph.name}' shares parameters or shapes in a way that a description cannot say`)
  }
}

import { inferNode } from '../shapes/index.ts'
import { constantType } from '../shapes/movement.ts'
import { elementAt, int64s } from './tensors.ts'
import type { Attribute, DataType, Dim, Graph, GraphNode, Tensor, ValueType } from './types.ts'

/** Operators whose results differ from one application to the next, so that two of them are never one. */
const impure = new Set(['Dropout', 'RandomNormal', 'RandomUniform', 'RandomNormalLike', 'RandomUniformLike', 'Bernoulli', 'Multinomial'])

/** The gradients of `inputs` from that of a value computed from them. */
export interface Shortcut {
  inputs: string[]
  rule: (gradient: string) => (string | undefined)[]
}

/**
 * Appends nodes to a graph, inferring types as it goes. The same operator applied twice to the same inputs is emitted once, so that
 * rules may ask for what they need without asking whether another one had it made.
 */
export class Emitter {
  readonly graph: Graph
  /** Values whose gradient goes straight to other values, past the nodes between: where a closed form is shorter. */
  readonly shortcuts = new Map<string, Shortcut>()
  readonly #prefix: string
  readonly #made = new Map<string, string[]>()
  #count = 0

  /** @param prefix - what the names of new values start with */
  constructor(graph: Graph, prefix = '') {
    this.graph = graph
    this.#prefix = prefix
  }

  /** An operator with one output. @returns the name of its result */
  op(op: string, inputs: string[], attributes: Record<string, Attribute> = {}, name?: string): string {
    return this.ops(op, inputs, attributes, 1, name)[0]
  }

  /** One of onnxruntime's own operators. */
  contributed(op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    return this.#emit('com.microsoft', op, inputs, attributes, 1)[0]
  }

  /** An operator with `outputs` outputs. @returns their names */
  ops(op: string, inputs: string[], attributes: Record<string, Attribute>, outputs: number, name?: string): string[] {
    return this.#emit('', op, inputs, attributes, outputs, name)
  }

  #emit(domain: string, op: string, inputs: string[], attributes: Record<string, Attribute>, outputs: number, name?: string): string[] {
    const key = name === undefined && !impure.has(op) ? keyOf(domain, op, inputs, attributes, outputs) : undefined
    const made = key === undefined ? undefined : this.#made.get(key)
    if (made !== undefined) return made
    const names =
      outputs === 1
        ? [name ?? this.fresh(op)]
        : Array.from({ length: outputs }, (_, i) => (name === undefined ? this.fresh(op) : `${name}_${i}`))
    this.push({ op, domain, name: names[0], inputs, outputs: names, attributes })
    if (key !== undefined) this.#made.set(key, names)
    return names
  }

  /** Appends a node as it is. */
  push(node: GraphNode): void {
    const types = inferNode(node, this.graph.types)
    this.graph.nodes.push(node)
    node.outputs.forEach((output, i) => {
      if (output !== '') this.graph.types.set(output, types[i])
    })
  }

  /** A name that no value has. */
  fresh(base: string): string {
    let name: string
    do name = `${this.#prefix}${base}_${this.#count++}`
    while (this.graph.types.has(name))
    return name
  }

  type(name: string): ValueType {
    const type = this.graph.types.get(name)
    if (type === undefined) throw new Error(`no value is called '${name}'`)
    return type
  }

  shape(name: string): Dim[] {
    return this.type(name).shape
  }

  constant(tensor: Tensor, name?: string): string {
    const small = tensor.data.length <= 64
    const key =
      small && name === undefined ? `constant ${tensor.type} [${tensor.shape}] ${Array.from(tensor.data as any, bits).join()}` : undefined
    const made = key === undefined ? undefined : this.#made.get(key)
    if (made !== undefined) return made[0]
    const chosen = name ?? this.fresh('constant')
    this.graph.constants.set(chosen, tensor)
    this.graph.types.set(
      chosen,
      constantType(tensor.type, tensor.shape, i => elementAt(tensor, i))
    )
    if (key !== undefined) this.#made.set(key, [chosen])
    return chosen
  }

  /** A one-dimensional int64 constant. */
  ints(values: number[]): string {
    return this.constant(int64s(values))
  }

  int(value: number): string {
    return this.constant(int64s([value], []))
  }

  /** A scalar of the type that gradients have. */
  scalar(value: number, type: DataType = 'float32'): string {
    if (type === 'float64') return this.constant({ type, shape: [], data: Float64Array.of(value) })
    if (type === 'int32') return this.constant({ type, shape: [], data: Int32Array.of(value) })
    if (type === 'int64') return this.int(value)
    return this.constant({ type: 'float32', shape: [], data: Float32Array.of(value) })
  }

  /** A scalar of the element type of `name`. */
  scalarLike(name: string, value: number): string {
    return this.scalar(value, this.type(name).type)
  }

  /** Elements of a small integer value known ahead. */
  known(name: string): Dim[] | undefined {
    return this.type(name).content
  }
}

function bits(value: number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

function keyOf(domain: string, op: string, inputs: string[], attributes: Record<string, Attribute>, outputs: number): string | undefined {
  const parts: string[] = []
  for (const name of Object.keys(attributes).sort()) {
    const value = attributes[name]
    if (typeof value === 'object' && !Array.isArray(value) && ('tensor' in value || 'unknown' in value)) return undefined
    parts.push(`${name}=${JSON.stringify(value)}`)
  }
  return `${domain}.${op}(${JSON.stringify(inputs)}) ${parts.join(' ')} ${outputs}`
}

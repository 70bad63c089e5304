import type { z } from 'zod'
import { InvalidParametersError } from '../../common/index.ts'
import { isStatic } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { floats, int64s } from '../graph/tensors.ts'
import type { Attribute, Dim, Filler, Parameter } from '../graph/types.ts'
import { activate } from './activate.ts'
import type { Activation, ParameterOptions } from './fields.ts'

/** What a layer's builder works with: the graph so far, the layer's name and what it reads. */
export class LayerContext {
  readonly e: Emitter
  /** Of the layer: its result and its parameters are called after it. */
  readonly name: string
  readonly inputs: string[]
  /** What the result goes through at the end. */
  readonly #activation: Activation
  readonly #rates: { lrMult?: number; decayMult?: number }
  /** Of the data set that the model is built for; undefined where it is built for none. */
  readonly #classes: number | undefined

  constructor(init: {
    e: Emitter
    name: string
    inputs: string[]
    activation?: Activation
    rates?: { lrMult?: number; decayMult?: number }
    classes?: number
  }) {
    this.e = init.e
    this.name = init.name
    this.inputs = init.inputs
    this.#activation = init.activation ?? 'identity'
    this.#rates = init.rates ?? {}
    this.#classes = init.classes
  }

  /** The only input. */
  get x(): string {
    if (this.inputs.length !== 1) this.refuse(`reads one value, not ${this.inputs.length}`)
    return this.inputs[0]
  }

  /** Shape of a sample of the only input, known in full. */
  sample(x = this.x): number[] {
    const shape = this.shape(x).slice(1)
    if (!isStatic(shape)) return this.refuse(`needs samples of a known shape, not [${shape.join(', ')}]`)
    return shape
  }

  shape(x = this.x): Dim[] {
    return this.e.shape(x)
  }

  /** An operator on the way, under a name of its own. */
  op(op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    return this.e.op(op, inputs, attributes, this.e.fresh(`${this.name}.${op}`))
  }

  /** The layer's last operator: its activation follows, and the result has the layer's name. */
  result(op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    if (this.#activation === 'identity') return this.e.op(op, inputs, attributes, this.name)
    const linear = this.e.op(op, inputs, attributes, this.e.fresh(`${this.name}.${op}`))
    return activate(this.e, this.#activation, linear, this.name)
  }

  reshape(x: string, shape: number[]): string {
    return this.op('Reshape', [x, this.e.ints(shape)])
  }

  ints(values: number[]): string {
    return this.e.ints(values)
  }

  constant(values: ArrayLike<number>, shape: number[]): string {
    return this.e.constant(floats(values, shape))
  }

  wholes(values: ArrayLike<number>, shape: number[]): string {
    return this.e.constant(int64s(values, shape))
  }

  /** A trained tensor called after the layer. */
  parameter(suffix: string, shape: number[], filler: Filler, options: ParameterOptions = {}): string {
    return this.#place(this.e.graph.parameters, suffix, {
      shape,
      lrMult: (options.lrMult ?? 1) * (this.#rates.lrMult ?? 1),
      decayMult: (options.decayMult ?? 1) * (this.#rates.decayMult ?? 1),
      filler: options.filler ?? filler
    })
  }

  /** A tensor that steps change without a gradient. */
  state(suffix: string, shape: number[], value: number): string {
    return this.#place(this.e.graph.states, suffix, { shape, lrMult: 1, decayMult: 1, filler: { type: 'constant', value } })
  }

  /** Outputs that are given as a number, or as the number of classes of whatever data set the model is built for. */
  outputs(given: number | 'classes'): number {
    if (given !== 'classes') return given
    return this.#classes ?? this.refuse('has as many outputs as there are classes; say how many there are')
  }

  /** @throws InvalidParametersError naming the layer */
  refuse(why: string): never {
    throw new InvalidParametersError(`layer '${this.name}' ${why}`)
  }

  #place(where: Map<string, Parameter>, suffix: string, rest: Omit<Parameter, 'name'>): string {
    const name = `${this.name}.${suffix}`
    const { graph } = this.e
    if (graph.types.has(name)) return this.refuse(`would have a parameter called '${name}', which is there already; rename it`)
    where.set(name, { name, ...rest })
    graph.types.set(name, { type: 'float32', shape: rest.shape })
    return name
  }
}

/** One kind of layer: what may be said of it, and the operators that it stands for. */
export interface Kind<S extends z.ZodObject = z.ZodObject> {
  schema: S
  /** @returns the name of the layer's result */
  build: (c: LayerContext, layer: z.output<S>) => string
}

export function kind<S extends z.ZodObject>(schema: S, build: (c: LayerContext, layer: z.output<S>) => string): Kind<S> {
  return { schema, build }
}

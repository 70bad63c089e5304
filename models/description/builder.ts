import { InvalidParametersError } from '../../common/index.ts'
import type { Dim, Graph } from '../graph/types.ts'
import { Compiler } from './build.ts'
import type { Activation } from './fields.ts'
import type { Layer, LayerOf, LayerType, Model } from './schema.ts'

/** What may be said of a layer of type `T` besides its type and name. */
export type OptionsOf<T extends LayerType> = Omit<LayerOf<T>, 'type' | 'name'>

export type ConvolutionOptions = OptionsOf<'convolution'>
export type InnerProductOptions = OptionsOf<'innerProduct'>
export type PoolOptions = OptionsOf<'maxPool'>

/**
 * Builds a model layer after layer: the same layers, with the same options, that YAML and JSON describe. Each reads what the one before it
 * made, or what its `inputs` name; `from` goes back to an earlier one.
 *
 * @example
 * const graph = layers('net', [1, 28, 28]).convolution('conv1', { outputs: 8, kernel: 5 }).maxPool('pool1', { kernel: 2 })
 *   .innerProduct('ip1', { outputs: 10 }).build('logits')
 */
export class LayerBuilder {
  readonly #compiler: Compiler
  readonly #name: string
  readonly #input: number[]
  readonly #layers: Layer[] = []
  #current: string

  /** @param shape - of one sample */
  constructor(name: string, shape: number[]) {
    this.#compiler = new Compiler(name, shape)
    this.#name = name
    this.#input = shape
    this.#current = this.#compiler.last
  }

  /** Shape of what the last layer makes, the batch first. */
  get shape(): Dim[] {
    return this.#compiler.shape(this.#current)
  }

  /** Name of the last layer. */
  get last(): string {
    return this.#current
  }

  /** The next layer reads `layer`. */
  from(layer: string): this {
    this.#compiler.value(layer)
    this.#current = layer
    return this
  }

  /** A layer of any type. */
  layer<T extends LayerType>(type: T, name: string, options: OptionsOf<T>): this {
    const inputs = options.inputs ?? (this.#current === this.#compiler.last ? undefined : this.#current)
    const layer = { type, name, ...(inputs === undefined ? {} : { inputs }), ...options } as unknown as Layer
    this.#current = this.#compiler.layer(layer)
    this.#layers.push(layer)
    return this
  }

  convolution(name: string, options: ConvolutionOptions): this {
    return this.layer('convolution', name, options)
  }

  maxPool(name: string, options: PoolOptions): this {
    return this.layer('maxPool', name, options)
  }

  averagePool(name: string, options: PoolOptions): this {
    return this.layer('averagePool', name, options)
  }

  globalAveragePool(name: string): this {
    return this.layer('globalAveragePool', name, {})
  }

  innerProduct(name: string, options: InnerProductOptions): this {
    return this.layer('innerProduct', name, options)
  }

  batchNorm(name: string, options: OptionsOf<'batchNorm'> = {}): this {
    return this.layer('batchNorm', name, options)
  }

  layerNorm(name: string, options: OptionsOf<'layerNorm'> = {}): this {
    return this.layer('layerNorm', name, options)
  }

  lrn(name: string, options: OptionsOf<'lrn'> = {}): this {
    return this.layer('lrn', name, options)
  }

  dropout(name: string, options: OptionsOf<'dropout'> = {}): this {
    return this.layer('dropout', name, options)
  }

  add(name: string, options: OptionsOf<'add'>): this {
    return this.layer('add', name, options)
  }

  concat(name: string, options: OptionsOf<'concat'>): this {
    return this.layer('concat', name, options)
  }

  activation(name: string, kind: Activation): this {
    return this.layer(kind, name, {})
  }

  relu(name: string): this {
    return this.activation(name, 'relu')
  }

  /** The description so far. @see Model */
  describe(outputs?: Model['outputs']): Model {
    if (this.#layers.length === 0) throw new InvalidParametersError(`model '${this.#name}' has no layers`)
    return structuredClone({ name: this.#name, input: this.#input, layers: this.#layers, outputs: outputs ?? [this.#current] })
  }

  /** @param output - what the result of the last layer is called; or the outputs, as a description names them */
  build(output: string | NonNullable<Model['outputs']>): Graph {
    if (this.#layers.length === 0) throw new InvalidParametersError(`model '${this.#name}' has no layers`)
    return this.#compiler.finish(typeof output === 'string' ? [{ layer: this.#current, name: output }] : output)
  }
}

/** Starts a model. @see LayerBuilder */
export function layers(name: string, shape: number[]): LayerBuilder {
  return new LayerBuilder(name, shape)
}

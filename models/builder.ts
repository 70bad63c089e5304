import { InvalidParametersError } from '../common/index.ts'
import { isStatic } from './graph/dims.ts'
import { Emitter } from './graph/emitter.ts'
import { sizeOf } from './graph/tensors.ts'
import { type Attribute, createGraph, type Dim, type Filler, type Graph } from './graph/types.ts'

/** First values and rates of one parameter. */
export interface ParameterOptions {
  filler?: Filler
  /** @default 1 */
  lrMult?: number
  /** @default 1 */
  decayMult?: number
}

export interface LayerOptions {
  weight?: ParameterOptions
  /** false: no bias. */
  bias?: ParameterOptions | false
}

export interface ConvolutionOptions extends LayerOptions {
  outputs: number
  /** Side of the kernel, elements; one number for both sides. */
  kernel: number | number[]
  stride?: number
  pad?: number
  dilation?: number
  group?: number
}

export interface PoolOptions {
  kernel: number
  /** @default kernel */
  stride?: number
  pad?: number
  /** Round the number of windows up, as Caffe does. @default true */
  ceil?: boolean
}

export interface InnerProductOptions extends LayerOptions {
  outputs: number
}

export type Activation = 'relu' | 'tanh' | 'sigmoid'

const activations: Record<Activation, string> = { relu: 'Relu', tanh: 'Tanh', sigmoid: 'Sigmoid' }

/**
 * Builds a graph layer after layer; each layer reads what the one before it made.
 *
 * @example
 * const graph = layers('net', [1, 28, 28]).convolution('conv1', { outputs: 8, kernel: 5 }).maxPool('pool1', { kernel: 2 })
 *   .innerProduct('ip1', { outputs: 10 }).build('logits')
 */
export class LayerBuilder {
  readonly #e: Emitter
  #current: string

  /** @param shape - of one sample */
  constructor(name: string, shape: number[], input = 'data') {
    const graph = createGraph(name)
    if (shape.length === 0 || shape.some(d => !Number.isInteger(d) || d < 1)) {
      throw new InvalidParametersError(`a sample of shape [${shape.join(', ')}] has no elements; every dimension must be 1 or more`)
    }
    graph.inputs.push(input)
    graph.types.set(input, { type: 'float32', shape: ['N', ...shape] })
    this.#e = new Emitter(graph)
    this.#current = input
  }

  /** Shape of what the last layer makes, the batch first. */
  get shape(): Dim[] {
    return this.#e.shape(this.#current)
  }

  convolution(name: string, options: ConvolutionOptions): this {
    const { outputs, kernel, stride = 1, pad = 0, dilation = 1, group = 1 } = options
    const spatial = this.#sample().length - 1
    const size = typeof kernel === 'number' ? new Array(spatial).fill(kernel) : kernel
    const weights = this.#parameter(`${name}.weight`, [outputs, this.#sample()[0] / group, ...size], { type: 'xavier' }, options.weight)
    const inputs = [this.#current, weights]
    if (options.bias !== false) inputs.push(this.#parameter(`${name}.bias`, [outputs], { type: 'constant', value: 0 }, options.bias))
    return this.#layer('Conv', name, inputs, {
      kernel_shape: size,
      strides: size.map(() => stride),
      pads: [...size, ...size].map(() => pad),
      dilations: size.map(() => dilation),
      group
    })
  }

  maxPool(name: string, options: PoolOptions): this {
    return this.#layer('MaxPool', name, [this.#current], this.#pool(options))
  }

  /** Padding counts in the divisor, as Caffe's does. */
  averagePool(name: string, options: PoolOptions): this {
    const attributes = this.#pool(options)
    return this.#layer('AveragePool', name, [this.#current], options.pad ? { ...attributes, count_include_pad: 1 } : attributes)
  }

  /** A fully connected layer; a sample of more than one dimension is flattened before it. */
  innerProduct(name: string, options: InnerProductOptions): this {
    if (this.shape.length > 2) this.#current = this.#e.op('Flatten', [this.#current], {}, `${name}.flatten`)
    const { outputs } = options
    const weights = this.#parameter(`${name}.weight`, [outputs, sizeOf(this.#sample())], { type: 'xavier' }, options.weight)
    const inputs = [this.#current, weights]
    if (options.bias !== false) inputs.push(this.#parameter(`${name}.bias`, [outputs], { type: 'constant', value: 0 }, options.bias))
    return this.#layer('Gemm', name, inputs, { transB: 1 })
  }

  activation(name: string, kind: Activation): this {
    if (!Object.hasOwn(activations, kind)) {
      throw new InvalidParametersError(`no activation is called '${kind}'; there are ${Object.keys(activations).join(', ')}`)
    }
    return this.#layer(activations[kind], name, [this.#current], {})
  }

  relu(name: string): this {
    return this.activation(name, 'relu')
  }

  /** @returns the graph, its output being the last layer's result under the name `output` */
  build(output: string): Graph {
    const { graph } = this.#e
    graph.outputs = [this.#e.op('Identity', [this.#current], {}, output)]
    const last = graph.nodes[graph.nodes.length - 2]
    if (last !== undefined && last.outputs[0] === this.#current) {
      // The last layer writes the output itself.
      graph.nodes.pop()
      graph.types.delete(this.#current)
      last.outputs[0] = output
    }
    return graph
  }

  #sample(): number[] {
    const shape = this.shape.slice(1)
    if (!isStatic(shape)) throw new InvalidParametersError(`the shape [${shape.join(', ')}] of a sample is not known`)
    return shape
  }

  #pool({ kernel, stride = kernel, pad = 0, ceil = true }: PoolOptions): Record<string, Attribute> {
    return {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      ...(pad > 0 ? { pads: [pad, pad, pad, pad] } : {}),
      ...(ceil ? { ceil_mode: 1 } : {})
    }
  }

  #layer(op: string, name: string, inputs: string[], attributes: Record<string, Attribute>): this {
    this.#current = this.#e.op(op, inputs, attributes, name)
    return this
  }

  #parameter(name: string, shape: number[], filler: Filler, options: ParameterOptions = {}): string {
    const { graph } = this.#e
    if (graph.types.has(name)) throw new InvalidParametersError(`two parameters are called '${name}'; give their layers names of their own`)
    graph.parameters.set(name, {
      name,
      shape,
      lrMult: options.lrMult ?? 1,
      decayMult: options.decayMult ?? 1,
      filler: options.filler ?? filler
    })
    graph.types.set(name, { type: 'float32', shape })
    return name
  }
}

/** Starts a layered graph. @see LayerBuilder */
export function layers(name: string, shape: number[]): LayerBuilder {
  return new LayerBuilder(name, shape)
}

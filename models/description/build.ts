import { GradmeshError, InvalidParametersError, MalformedError } from '../../common/index.ts'
import { Emitter } from '../graph/emitter.ts'
import { createGraph, type Graph } from '../graph/types.ts'
import { type Kind, LayerContext } from './context.ts'
import type { Activation } from './fields.ts'
import { nearest } from './nearest.ts'
import { kinds, type Layer, type Model } from './schema.ts'
import { inputName, inputShape, speltOut } from './spelt.ts'

/** What a model is built for, where its description leaves that open. */
export interface ModelInput {
  /** Of one sample, without the batch. */
  shape?: number[]
  /** What layers of `classes` outputs have. */
  classes?: number
}

const INPUT = 'data'

/** Puts layers into a graph one by one. */
export class Compiler {
  readonly #e: Emitter
  readonly #values = new Map<string, string>()
  readonly #classes: number | undefined
  #last: string
  #count = 0

  /** @throws InvalidParametersError when no shape is known */
  constructor(name: string, shape: number[] | undefined, options: { input?: string; classes?: number } = {}) {
    const { input = INPUT, classes } = options
    if (shape === undefined) {
      throw new InvalidParametersError(`model '${name}' does not say what samples it takes; give it an input, or data to train on`)
    }
    if (shape.length === 0 || shape.some(d => !Number.isInteger(d) || d < 1)) {
      throw new InvalidParametersError(`a sample of shape [${shape.join(', ')}] has no elements; every dimension must be 1 or more`)
    }
    const graph = createGraph(name)
    graph.inputs.push(input)
    graph.types.set(input, { type: 'float32', shape: ['N', ...shape] })
    this.#e = new Emitter(graph)
    this.#last = input
    this.#values.set(input, input)
    this.#classes = classes
  }

  /** The layer or input that the next layer reads unless it says otherwise. */
  get last(): string {
    return this.#last
  }

  get graph(): Graph {
    return this.#e.graph
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** Shape of what a layer makes, the batch first. */
  shape(name = this.#last) {
    return this.#e.shape(this.value(name))
  }

  /** @returns the layer's name */
  layer(layer: Layer): string {
    this.#count++
    const name = layer.name ?? `${layer.type}${this.#count}`
    if (this.#e.graph.types.has(name)) throw new InvalidParametersError(`two layers or values are called '${name}'; give each its own name`)
    const given = layer.inputs === undefined ? [this.#last] : typeof layer.inputs === 'string' ? [layer.inputs] : layer.inputs
    const own = layer as { activation?: Activation; lrMult?: number; decayMult?: number }
    const context = new LayerContext({
      e: this.#e,
      name,
      inputs: given.map(input => this.value(input, name)),
      ...(own.activation === undefined ? {} : { activation: own.activation }),
      rates: own,
      ...(this.#classes === undefined ? {} : { classes: this.#classes })
    })
    try {
      const result = (kinds[layer.type] as unknown as Kind).build(context, layer)
      this.#values.set(name, result)
      this.#last = name
      return name
    } catch (error) {
      // Shape inference names the operator; a reader of layers looks for the layer.
      if (error instanceof MalformedError)
        throw new InvalidParametersError(`layer '${name}' does not fit its input: ${error.message}`, { cause: error })
      throw error
    }
  }

  /** The graph with its outputs; the first is called `logits` unless it has another name. */
  finish(outputs: NonNullable<Model['outputs']> = [this.#last]): Graph {
    const { graph } = this.#e
    outputs.forEach((given, i) => {
      const { layer, name = i === 0 ? 'logits' : layer, lossWeight } = typeof given === 'string' ? { layer: given } : given
      const value = this.value(layer)
      if (lossWeight !== undefined && i === 0)
        throw new InvalidParametersError('the first output counts in full; give the others their loss weights')
      this.#output(value, name)
      if (i > 0) graph.auxiliary.set(name, lossWeight ?? 1)
    })
    return graph
  }

  value(layer: string, reader?: string): string {
    const value = this.#values.get(layer)
    if (value !== undefined) return value
    const by = reader === undefined ? 'the model gives the result of' : `layer '${reader}' reads`
    throw new InvalidParametersError(`${by} '${layer}', and no layer before it is called that${nearest(layer, this.#values.keys())}`)
  }

  /** Makes `value` an output called `name`: by renaming what nobody else reads, else by a node of its own. */
  #output(value: string, name: string): void {
    const { graph } = this.#e
    if (value === name) {
      graph.outputs.push(name)
      return
    }
    if (graph.types.has(name)) throw new InvalidParametersError(`an output and a layer are both called '${name}'; rename one`)
    const producer = graph.nodes.find(n => n.outputs[0] === value)
    const read = graph.nodes.some(n => n.inputs.includes(value)) || graph.outputs.includes(value)
    if (producer === undefined || read) {
      graph.outputs.push(this.#e.op('Identity', [value], {}, name))
      return
    }
    graph.types.set(name, graph.types.get(value)!)
    graph.types.delete(value)
    producer.outputs[0] = name
    for (const [layer, made] of this.#values) if (made === value) this.#values.set(layer, name)
    graph.outputs.push(name)
  }
}

/**
 * The graph that a description stands for.
 *
 * @param input - what the description leaves open; a shape that contradicts it is refused
 * @throws InvalidParametersError naming the layer
 */
export function buildDescription(model: Model, input: ModelInput = {}, where?: (layer: number) => string): Graph {
  const shape = inputShape(model)
  if (shape !== undefined && input.shape !== undefined && shape.join() !== input.shape.join()) {
    throw new InvalidParametersError(
      `model '${model.name ?? 'model'}' takes samples of shape [${shape.join(', ')}], and the data has [${input.shape.join(', ')}]`
    )
  }
  const compiler = new Compiler(model.name ?? 'model', shape ?? input.shape, {
    input: inputName(model),
    ...(input.classes === undefined ? {} : { classes: input.classes })
  })
  speltOut(model).forEach((layer, i) => {
    try {
      compiler.layer(layer)
    } catch (error) {
      if (where === undefined || !(error instanceof GradmeshError)) throw error
      throw new InvalidParametersError(`${where(i)}: ${error.message}`, { cause: error })
    }
  })
  return compiler.finish(model.outputs)
}

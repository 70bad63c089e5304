import { InvalidParametersError } from '../../../common/index.ts'
import { isStatic } from '../../graph/dims.ts'
import type { Emitter } from '../../graph/emitter.ts'
import { sizeOf } from '../../graph/tensors.ts'
import type { Attribute, Dim, Filler, Graph, Parameter } from '../../graph/types.ts'
import { fillerOf } from '../fillers.ts'
import type { Phase } from '../filter.ts'
import { Message } from '../message.ts'

/** What the layers of one net share while they are converted. */
export interface NetContext {
  e: Emitter
  phase: Phase
  /** Names of parameters and states by layer, in the order of Caffe's blobs. */
  blobs: Map<string, string[]>
  /** Values that states take after a step of training, by state. */
  updates: Map<string, string>
  /** Whether a layer may still have parameters: the forward part of the net. */
  forward: boolean
}

/** What a layer's rule sees: the layer, the values of its bottoms, and an emitter for what it becomes. */
export class LayerContext {
  readonly net: NetContext
  readonly layer: Message
  /** Values of the bottom blobs. */
  readonly bottoms: string[]

  constructor(net: NetContext, layer: Message, bottoms: string[]) {
    this.net = net
    this.layer = layer
    this.bottoms = bottoms
  }

  get e(): Emitter {
    return this.net.e
  }

  get graph(): Graph {
    return this.net.e.graph
  }

  get name(): string {
    return this.layer.string('name')
  }

  get x(): string {
    return this.bottoms[0]
  }

  /** @throws InvalidParametersError naming place and layer */
  refuse(why: string): never {
    const { layer } = this
    throw new InvalidParametersError(`${layer.at}: layer '${this.name}' of type ${layer.string('type')}: ${why}`)
  }

  shape(i = 0): Dim[] {
    return this.e.shape(this.bottoms[i])
  }

  /** Sizes of a bottom's dimensions from `axis` on, which must be known. */
  sizes(from = 1, i = 0): number[] {
    const sizes = this.shape(i).slice(from)
    return isStatic(sizes) ? sizes : this.refuse(`the size [${this.shape(i).join(', ')}] of its bottom '${this.bottoms[i]}' is not known`)
  }

  /** `axis` of the first bottom, counted from the front. */
  axis(axis: number, rank = this.shape().length): number {
    const at = axis < 0 ? axis + rank : axis
    return at >= 0 && at < rank ? at : this.refuse(`axis ${axis} is not in a bottom of ${rank} dimensions`)
  }

  op(op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    return this.e.op(op, inputs, attributes)
  }

  /** The layer's result under its own name. */
  result(op: string, inputs: string[], attributes: Record<string, Attribute> = {}, top = 0): string {
    return this.e.op(op, inputs, attributes, this.valueName(top))
  }

  /** What the value of a top is called: as the blob, and where it is written in place by the layer as well. */
  valueName(top = 0): string {
    const blob = this.layer.strings('top')[top] ?? this.name
    const { types } = this.graph
    if (!types.has(blob) && !reserved.has(blob)) return blob
    const longer = `${blob}/${this.name}`
    return types.has(longer) ? this.e.fresh(longer) : longer
  }

  reshape(value: string, shape: number[]): string {
    return this.op('Reshape', [value, this.e.ints(shape)])
  }

  scalar(value: number): string {
    return this.e.scalar(value)
  }

  /**
   * The parameter that is the layer's `index`th blob, made when it is first asked for; one of a shared name is the other layer's.
   *
   * @param suffix - of its name, where it has none of its own
   * @param filler - message of its first values, or those of a layer that says none
   */
  parameter(index: number, shape: number[], suffix: string, filler: Message | Filler): string {
    const { graph, layer } = this
    if (!this.net.forward) this.refuse('it depends on the labels and cannot have parameters')
    const spec = layer.messages('param')[index]
    const shared = spec?.string('name') ?? ''
    const name = shared === '' ? `${this.name}.${suffix}` : shared
    const own = this.net.blobs.get(this.name) ?? []
    own[index] = name
    this.net.blobs.set(this.name, own)
    const known = graph.parameters.get(name)
    if (known !== undefined && shared === '') this.refuse('another layer of this phase has its name; give each its own')
    if (known !== undefined) return this.#share(known, shape, spec)
    if (graph.types.has(name)) this.refuse(`its parameter '${name}' is called as a blob; give one of them another name`)
    graph.parameters.set(name, {
      name,
      shape,
      lrMult: spec?.number('lr_mult') ?? 1,
      decayMult: spec?.number('decay_mult') ?? 1,
      filler: filler instanceof Message ? fillerOf(filler) : filler
    })
    graph.types.set(name, { type: 'float32', shape })
    return name
  }

  #share(known: Parameter, shape: number[], spec: Message): string {
    const same = known.shape.length === shape.length && known.shape.every((d, i) => d === shape[i])
    if (!same && (spec.string('share_mode') === 'STRICT' || sizeOf(known.shape) !== sizeOf(shape))) {
      this.refuse(`it shares '${known.name}' of shape [${known.shape.join(', ')}] and needs [${shape.join(', ')}]`)
    }
    for (const [field, key] of [
      ['lr_mult', 'lrMult'],
      ['decay_mult', 'decayMult']
    ] as const) {
      if (!spec.has(field)) continue
      // Whoever says a factor says it for all who share; two must agree. 1 is also what nobody having said anything looks like.
      if (known[key] !== 1 && known[key] !== spec.number(field)) this.refuse(`it shares '${known.name}' with another ${field}`)
      known[key] = spec.number(field)
    }
    return same ? known.name : this.reshape(known.name, shape)
  }

  /** A tensor that training changes without a gradient, the layer's `index`th blob; zeros at first. */
  state(index: number, shape: number[], suffix: string): string {
    const name = `${this.name}.${suffix}`
    const own = this.net.blobs.get(this.name) ?? []
    own[index] = name
    this.net.blobs.set(this.name, own)
    if (this.graph.types.has(name)) this.refuse(`'${name}' is there already; give the layer a name of its own`)
    this.graph.states.set(name, { name, shape, lrMult: 0, decayMult: 0, filler: { type: 'constant', value: 0 } })
    this.graph.types.set(name, { type: 'float32', shape })
    return name
  }
}

/** Names that training graphs give to values of their own. */
const reserved = new Set(['labels', 'samples', 'lossSum', 'denominator', 'correct'])

/** Turns a layer into nodes. @returns the value of each top */
export type LayerRule = (c: LayerContext) => string[]

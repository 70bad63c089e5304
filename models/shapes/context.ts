import { MalformedError } from '../../common/index.ts'
import { describe, intAttribute } from '../graph/attributes.ts'
import { broadcastShape } from '../graph/dims.ts'
import type { DataType, Dim, GraphNode, ValueType } from '../graph/types.ts'

/** What a shape rule sees: the node and the types of its inputs. */
export class InferContext {
  readonly node: GraphNode
  readonly inputs: (ValueType | undefined)[]

  constructor(node: GraphNode, inputs: (ValueType | undefined)[]) {
    this.node = node
    this.inputs = inputs
  }

  /** @throws MalformedError naming the node */
  fail(why: string): never {
    throw new MalformedError(`node ${describe(this.node)}: ${why}`)
  }

  input(i: number): ValueType {
    return this.inputs[i] ?? this.fail(`input ${i} is missing`)
  }

  shape(i: number): Dim[] {
    return this.input(i).shape
  }

  /** An input of at least `rank` dimensions. */
  atLeast(i: number, rank: number): Dim[] {
    const shape = this.shape(i)
    if (shape.length < rank) this.fail(`input ${i} has ${shape.length} dimensions and must have at least ${rank}`)
    return shape
  }

  /** Elements of the integer input `i`, where they are known ahead. */
  content(i: number): Dim[] | undefined {
    return this.inputs[i]?.content
  }

  /** Elements of the integer input `i`, which must be known ahead. */
  ints(i: number): number[] {
    const content = this.content(i)
    if (content === undefined || !content.every(c => typeof c === 'number')) {
      this.fail(`input ${i} must be known before the model runs; make it a constant`)
    }
    return content as number[]
  }

  /** `axis` of a tensor of `rank` dimensions, counted from the front. */
  axis(axis: number, rank: number): number {
    const a = axis < 0 ? axis + rank : axis
    if (!(a >= 0 && a < rank)) this.fail(`axis ${axis} is not in a tensor of ${rank} dimensions`)
    return a
  }

  axisAttribute(rank: number, otherwise: number): number {
    return this.axis(intAttribute(this.node, 'axis', otherwise), rank)
  }

  /** Shape of the broadcast of the inputs that are present. */
  broadcast(indices = this.inputs.map((_, i) => i)): Dim[] {
    const shapes = indices.filter(i => this.inputs[i] !== undefined).map(i => this.shape(i))
    return broadcastShape(...shapes) ?? this.fail(`shapes ${shapes.map(s => `[${s.join(', ')}]`).join(' and ')} do not broadcast`)
  }

  /** Inputs that must be of one type. @returns it */
  sameType(indices = this.inputs.map((_, i) => i)): DataType {
    const types = new Set(indices.filter(i => this.inputs[i] !== undefined).map(i => this.input(i).type))
    if (types.size !== 1) this.fail(`inputs must have one element type, not ${[...types].join(' and ')}`)
    return [...types][0]
  }
}

/** Computes the types of a node's outputs, or throws MalformedError. */
export type Infer = (c: InferContext) => ValueType[]

export const like = (c: InferContext): ValueType[] => [{ type: c.input(0).type, shape: c.shape(0) }]

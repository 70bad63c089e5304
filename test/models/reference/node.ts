import type { GraphNode } from '../../../models/graph/types.ts'
import type { Ref } from './tensor.ts'

/** What an operator of the reference sees: read straight from the node, on purpose without the code that is under test. */
export interface Call {
  node: GraphNode
  /** Inputs; undefined where left out. */
  x: (Ref | undefined)[]
  int(name: string, otherwise: number): number
  ints(name: string, otherwise: number[]): number[]
  float(name: string, otherwise: number): number
  text(name: string, otherwise: string): string
  /** Whether the i-th input is of an integer type. */
  isInteger(i: number): boolean
}

/** Computes all outputs of a node. */
export type Operator = (c: Call) => Ref[]

/**
 * Lowering: operators that behave differently in training, or whose gradient is that of the arithmetic they stand for, rewritten into
 * plain operators. Only the training graph is lowered; evaluation and export keep the model as it is.
 */
import { Emitter } from '../graph/emitter.ts'
import { copyGraph, type Graph, type GraphNode } from '../graph/types.ts'
import { lowerBatchNormalization } from './batch-normalization.ts'
import { lowerDropout } from './dropout.ts'
import { lowerGru, lowerLstm } from './recurrent.ts'

/** What lowering hands on to whoever differentiates and feeds the graph. */
export interface Lowered {
  e: Emitter
  /** New value of each state that a step changes, by the state's name. */
  updates: Map<string, string>
}

/** Rewrites one node; undefined leaves it as it is. */
export type Lowering = (lowered: Lowered, node: GraphNode, count: number) => boolean

/** Name of the input that carries one int32 a sample for what is random in training. */
export const SAMPLES = 'samples'

const table: Record<string, Lowering> = {
  BatchNormalization: lowerBatchNormalization,
  Dropout: lowerDropout,
  LSTM: lowerLstm,
  GRU: lowerGru
}

/** A copy of `graph` as it is in training, in an emitter to go on with. */
export function lower(graph: Graph, prefix: string): Lowered {
  const copy = copyGraph(graph)
  const nodes = copy.nodes
  copy.nodes = []
  const lowered: Lowered = { e: new Emitter(copy, prefix), updates: new Map(copy.updates) }
  nodes.forEach((node, i) => {
    const lowering = node.domain === '' ? table[node.op] : undefined
    if (lowering === undefined || !lowering(lowered, node, i)) copy.nodes.push(node)
  })
  return lowered
}

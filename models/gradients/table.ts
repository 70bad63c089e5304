import type { GraphNode } from '../graph/types.ts'
import { activations } from './activations.ts'
import { convolution } from './convolution.ts'
import { elementwise } from './elementwise.ts'
import { linear } from './linear.ts'
import { movement } from './movement.ts'
import { normalization } from './normalization.ts'
import { pooling } from './pooling.ts'
import { reduction } from './reduction.ts'
import { resizing } from './resize.ts'
import type { Rule } from './rule.ts'
import { softmax } from './softmax.ts'

const table = new Map<string, Rule>(
  Object.entries({
    ...elementwise,
    ...activations,
    ...linear,
    ...convolution,
    ...pooling,
    ...softmax,
    ...reduction,
    ...movement,
    ...normalization,
    ...resizing
  })
)

/** The rule of a node's operator, if there is one. */
export function ruleOf(node: GraphNode): Rule | undefined {
  return node.domain === '' || node.domain === 'ai.onnx' ? table.get(node.op) : undefined
}

/** Names of the operators that have a rule. */
export const differentiable: readonly string[] = [...table.keys()].sort()

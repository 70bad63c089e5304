import { sumSquares } from '../../../native/index.ts'
import type { Optimizer, OptimizerLayout } from './optimizer.ts'

/**
 * `optimizer` with the mean gradient's L2 norm, over all parameters, held at `limit`: a larger one is scaled down to it, before any
 * decay. It sees the reduced gradient, so that every rank finds the same norm.
 *
 * @see Pascanu, Mikolov & Bengio 2012; Caffe's `clip_gradients`
 */
export function clipped(optimizer: Optimizer, layout: OptimizerLayout, limit: number): Optimizer {
  return {
    ...optimizer,
    apply(update) {
      const norm = Math.sqrt(sumSquares(update.gradients.subarray(0, layout.total))) * update.scale
      optimizer.apply(norm > limit ? { ...update, scale: update.scale * (limit / norm) } : update)
    }
  }
}

import type { Workload } from './workload.ts'

/** How good the model of a run is at a moment: that is the weighted mean of the live replicas. */
export interface Evaluation {
  /** Virtual ms. */
  time: number
  /** Committed samples. */
  samples: number
  updates: number
  /** Bytes on the wire so far. */
  wire: number
  /** Of the mean model on the test split. */
  loss: number
  accuracy: number
  /** Root of the mean squared distance of the replicas from their mean. */
  consensus: number
  /** Of the worst replica; at the end only. */
  worstAccuracy?: number
}

/** Scores the weighted mean of replicas, how far they are from it, and with `worst` each of them. */
export async function evaluateAll(
  replicas: { weight: number; parameters: Float32Array }[],
  workload: Workload,
  worst: boolean
): Promise<Pick<Evaluation, 'loss' | 'accuracy' | 'consensus' | 'worstAccuracy'>> {
  const { size } = workload
  const total = replicas.reduce((sum, r) => sum + r.weight, 0)
  const mean = new Float64Array(size)
  for (const { weight, parameters } of replicas) {
    const share = total > 0 ? weight / total : 1 / replicas.length
    for (let i = 0; i < size; i++) mean[i] = mean[i]! + share * parameters[i]!
  }
  let squares = 0
  for (const { parameters } of replicas) {
    for (let i = 0; i < size; i++) {
      const d = parameters[i]! - mean[i]!
      squares += d * d
    }
  }
  const score = await workload.evaluate!(Float32Array.from(mean))
  const figures = { ...score, consensus: Math.sqrt(squares / replicas.length) }
  if (!worst) return figures
  let worstAccuracy = score.accuracy
  if (figures.consensus > 0) {
    for (const { parameters } of replicas) worstAccuracy = Math.min(worstAccuracy, (await workload.evaluate!(parameters)).accuracy)
  }
  return { ...figures, worstAccuracy }
}

import type { ArenaSizes, Arenas } from '../exchange/index.ts'

/** Positions [start, end) of an epoch's order. */
export interface SampleSlice {
  epoch: number
  start: number
  end: number
}

/** A model's score on the test split. */
export interface Score {
  /** Mean over the samples. */
  loss: number
  /** In [0, 1]. */
  accuracy: number
}

/** What the simulated trainers train: real memory and gradients, or sizes alone. */
export interface Workload {
  /** Floats of the parameters. */
  readonly size: number
  /** Floats behind the gradients. */
  readonly tail: number
  /** Floats of the optimizer's state. */
  readonly optimizer: number
  /** Training samples of an epoch. */
  readonly samples: number
  /** Real ms spent inside the engine so far. */
  readonly engineMs: number
  /** The work of one more trainer; real ones begin with the parameters of the seed. */
  open(): TrainerWork
  /** Scores parameters on the test split; absent where nothing is computed. */
  evaluate?(parameters: Float32Array): Promise<Score>
  close(): Promise<void>
}

/** One simulated trainer's memory and arithmetic. */
export interface TrainerWork {
  /** Undefined where sizes alone are simulated. */
  readonly arenas: Arenas | undefined
  /** Gives the strategy its scratch; what `state` held is kept where its size stays. */
  resize(sizes: ArenaSizes): void
  /** The gradients of the summed loss over `slice` under the parameters as they are, and the tail behind them. */
  gradients(slice: SampleSlice): Promise<void> | undefined
  /** The rate of the step after `applied` earlier ones. */
  rate(applied: number): number
  /** One optimizer step after `applied` earlier ones, at `scale` times the rate; 0 for none. */
  apply(applied: number, scale: number): void
  /** Sums behind the gradients. */
  figures(): { lossSum: number; denominator: number }
}

/** A workload of sizes: no memory, no arithmetic, losses of 0. */
export function modelledWorkload(init: { size: number; samples: number; tail?: number; optimizer?: number }): Workload {
  const work: TrainerWork = {
    arenas: undefined,
    resize: () => {},
    gradients: () => undefined,
    rate: () => 0,
    apply: () => {},
    figures: () => ({ lossSum: 0, denominator: 0 })
  }
  return {
    size: init.size,
    tail: init.tail ?? 3,
    optimizer: init.optimizer ?? 0,
    samples: init.samples,
    engineMs: 0,
    open: () => work,
    close: async () => {}
  }
}

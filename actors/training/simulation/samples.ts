import type { SampleSlice } from './workload.ts'

/**
 * The samples of an asynchronous run: whoever asks gets the next ones of the order, and what a dead trainer had in hand goes back. It
 * stands for the sample ledger as it is when news of it take no time.
 */
export class SamplePool {
  readonly #samples: number
  readonly #budget: number
  readonly #returned: SampleSlice[] = []
  #next = 0
  /** Samples committed. */
  committed = 0

  /** @param samples - of an epoch  @param budget - of the whole run */
  constructor(samples: number, budget: number) {
    this.#samples = samples
    this.#budget = budget
  }

  get over(): boolean {
    return this.committed >= this.#budget
  }

  take(batch: number): SampleSlice | undefined {
    const returned = this.#returned.pop()
    if (returned !== undefined) return returned
    if (this.#next >= this.#budget) return undefined
    const epoch = Math.floor(this.#next / this.#samples)
    const start = this.#next - epoch * this.#samples
    const end = Math.min(start + batch, this.#samples, start + this.#budget - this.#next)
    this.#next += end - start
    return { epoch, start, end }
  }

  giveBack(slice: SampleSlice): void {
    this.#returned.push(slice)
  }

  commit(slice: SampleSlice): void {
    this.committed += slice.end - slice.start
  }
}

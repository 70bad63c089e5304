/** Buckets of the staleness histogram; the last one holds all that is staler. */
export const STALENESS_BUCKETS = 256

/** Where one trainer's virtual time went, and what it sent. */
export class Accounts {
  /** ms with a gradient being computed. */
  compute = 0
  /** ms without, while a transfer from or to this trainer was under way. */
  exchange = 0
  /** ms with neither: it waits for others. */
  idle = 0
  /** Bytes of transfers and messages as strategies mean them. */
  payload = 0
  /** The same with framing and encryption. */
  wire = 0
  /** Transfers and messages sent. */
  messages = 0
  steps = 0
  /** How often each staleness was reported. */
  readonly staleness = new Float64Array(STALENESS_BUCKETS)
  #since: number
  #computing = false
  #transfers = 0
  #closed = false

  constructor(now: number) {
    this.#since = now
  }

  /** Adds what passed since the last change. */
  settle(now: number): void {
    const passed = now - this.#since
    this.#since = now
    if (this.#closed) return
    if (this.#computing) this.compute += passed
    else if (this.#transfers > 0) this.exchange += passed
    else this.idle += passed
  }

  /** What comes after the run's last sample is nobody's time. */
  close(now: number): void {
    this.settle(now)
    this.#closed = true
  }

  computing(now: number, begins: boolean): void {
    this.settle(now)
    this.#computing = begins
  }

  transfer(now: number, begins: boolean): void {
    this.settle(now)
    this.#transfers = Math.max(0, this.#transfers + (begins ? 1 : -1))
  }

  /** Its transfers are void. */
  clear(now: number): void {
    this.settle(now)
    this.#transfers = 0
    this.#computing = false
  }
}

/** Mean and percentiles of a histogram whose bucket i counts the value i. */
export function histogramFigures(counts: ArrayLike<number>): { count: number; mean: number; p95: number; p99: number; max: number } {
  let count = 0
  let sum = 0
  let max = 0
  for (let i = 0; i < counts.length; i++) {
    count += counts[i]!
    sum += i * counts[i]!
    if (counts[i]! > 0) max = i
  }
  const percentile = (share: number) => {
    let seen = 0
    for (let i = 0; i < counts.length; i++) {
      seen += counts[i]!
      if (seen >= share * count) return i
    }
    return max
  }
  return {
    count,
    mean: count === 0 ? 0 : sum / count,
    p95: count === 0 ? 0 : percentile(0.95),
    p99: count === 0 ? 0 : percentile(0.99),
    max
  }
}

import { AbortedError } from '../../../common/index.ts'
import { Heap } from '../../../mesh/simulation/index.ts'

/** Moments between two looks at the signal. */
const ABORT_EVERY = 4096

const words = new Uint32Array(2)
const float = new Float64Array(words.buffer)

/**
 * Virtual time: one heap of moments ordered by (time, sequence), and a hash over all that happened. A moment may hand back a promise
 * (the engine computes); nothing else happens before it is kept.
 */
export class Timeline {
  /** ms. */
  now = 0
  /** Moments run. */
  events = 0
  readonly #heap = new Heap()
  #sequence = 0
  #high = 0x811c9dc5
  #low = 0x9e3779b9

  /** @param time - ms; one that has passed is now */
  at(time: number, run: () => void | Promise<void>): void {
    this.#heap.push({ time: Math.max(time, this.now), sequence: this.#sequence++, run: run as () => void })
  }

  /** Adds to the hash that `kind` happened to `who` now. */
  trace(kind: number, who: number, detail = 0): void {
    float[0] = this.now
    let h = this.#high
    h = Math.imul(h ^ words[0]!, 0x01000193)
    h = Math.imul(h ^ words[1]!, 0x01000193)
    h = Math.imul(h ^ (kind + who * 16), 0x01000193)
    h = Math.imul(h ^ detail, 0x01000193)
    this.#high = h ^ (h >>> 15)
    this.#low = Math.imul(this.#low ^ h, 0x85ebca6b) + kind
  }

  /** Equal for two runs in which the same things happened at the same times. */
  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0')
  }

  /**
   * Runs moment after moment until `done`, or until nothing is left to happen.
   *
   * @throws AbortedError when `signal` is aborted
   */
  async run(done: () => boolean, signal?: AbortSignal): Promise<void> {
    while (!done()) {
      const next = this.#heap.pop()
      if (next === undefined) return
      this.now = next.time
      this.events++
      const pending = next.run() as void | Promise<void>
      if (pending !== undefined) await pending
      if (this.events % ABORT_EVERY === 0) {
        // other work of the process (a progress display, an interruption) gets its turn
        await new Promise(resolve => setImmediate(resolve))
        if (signal?.aborted) throw new AbortedError('the simulation was interrupted')
      }
    }
  }
}

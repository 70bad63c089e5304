import { hash32 } from '../../common/index.ts'

/**
 * What happened, as a hash over all of it and the last lines of it. Two runs of one seed must give the same hash; the lines are for
 * people.
 */
export class Trace {
  readonly #keep: number
  readonly #lines: string[] = []
  #high = 0
  #low = 0
  #count = 0

  /** @param keep - lines kept for printing */
  constructor(keep = 200) {
    this.#keep = keep
  }

  add(time: number, node: string, what: string): void {
    const line = `${time.toFixed(3)} ${node} ${what}`
    this.#high = hash32(line, this.#high)
    this.#low = hash32(line, this.#low ^ 0x9e3779b9)
    this.#count++
    if (this.#keep === 0) return
    this.#lines.push(line)
    if (this.#lines.length > this.#keep * 2) this.#lines.splice(0, this.#keep)
  }

  get hash(): string {
    return `${this.#count}-${this.#high.toString(16).padStart(8, '0')}${this.#low.toString(16).padStart(8, '0')}`
  }

  /** The last lines, oldest first. */
  get lines(): string[] {
    return this.#lines.slice(-this.#keep)
  }
}

/** A moment of the simulated world. Equal times are taken in the order in which they were added. */
export interface Moment {
  time: number
  sequence: number
  run(): void
}

/** Binary heap of moments, earliest first. */
export class Heap {
  readonly #items: Moment[] = []

  get size(): number {
    return this.#items.length
  }

  peek(): Moment | undefined {
    return this.#items[0]
  }

  push(item: Moment): void {
    const items = this.#items
    let i = items.push(item) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      if (isBefore(items[up]!, item)) break
      items[i] = items[up]!
      i = up
    }
    items[i] = item
  }

  pop(): Moment | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (first === undefined || last === undefined || items.length === 0) return first
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      if (down >= items.length) break
      if (down + 1 < items.length && isBefore(items[down + 1]!, items[down]!)) down++
      if (isBefore(last, items[down]!)) break
      items[i] = items[down]!
      i = down
    }
    items[i] = last
    return first
  }
}

function isBefore(a: Moment, b: Moment): boolean {
  return a.time < b.time || (a.time === b.time && a.sequence < b.sequence)
}

/** A bounded queue with one reader. */
export class Queue<T> implements AsyncIterable<T> {
  readonly #limit: number
  readonly #items: T[] = []
  #waiting: ((result: IteratorResult<T>) => void) | undefined
  #failed: ((error: unknown) => void) | undefined
  #closed = false
  #error: unknown

  constructor(limit: number) {
    this.#limit = limit
  }

  get length(): number {
    return this.#items.length
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @returns false when it is full or closed */
  push(item: T): boolean {
    if (this.#closed) return false
    if (this.#waiting !== undefined) {
      const wake = this.#waiting
      this.#waiting = undefined
      wake({ done: false, value: item })
      return true
    }
    if (this.#items.length >= this.#limit) return false
    this.#items.push(item)
    return true
  }

  /** Ends the reading: at once with an error, else after what is queued unless that is taken. @returns what nobody has read */
  close(error?: unknown): T[] {
    if (this.#closed) return []
    this.#closed = true
    this.#error = error
    if (error !== undefined) this.#failed?.(error)
    else this.#waiting?.({ done: true, value: undefined })
    this.#waiting = undefined
    return this.#items.splice(0)
  }

  /** Lets the reader have what is queued, then end. */
  finish(): void {
    if (this.#items.length === 0) this.close()
    else this.#finishing = true
  }

  #finishing = false

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift()
    if (item !== undefined) {
      if (this.#finishing && this.#items.length === 0) this.close()
      return Promise.resolve({ done: false, value: item })
    }
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#closed) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiting = resolve
      this.#failed = reject
    })
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: () => this.next(),
      return: async () => {
        this.close()
        return { done: true, value: undefined }
      }
    }
  }
}

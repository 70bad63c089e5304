import { InvalidParametersError } from '../common/index.ts'
import { sampleSize } from './splits.ts'
import type { Split } from './types.ts'

/** Where a batch is written: room for its floats and labels, or more. */
export interface BatchBuffers {
  data: Float32Array
  labels: Int32Array
}

/** The samples at positions `start` … `end` − 1 of an order; `data` is n·c·h·w floats, `labels` n classes (n·positions of a text), n = end − start. */
export interface Batch extends BatchBuffers {
  start: number
  end: number
}

/** Reads batches, one ahead of its use where it is told to. */
export interface BatchReader {
  /**
   * The batch at positions `start` … `end` − 1 of `order`. The one that was read ahead if it is this; else it is read now.
   *
   * @param into - buffers to write to; else ones that were given back, else new ones
   */
  read(order: Uint32Array, start: number, end: number, into?: BatchBuffers): Batch
  /** Reads that batch in a later turn of the event loop, in place of any other that was read ahead and not fetched. */
  ahead(order: Uint32Array, start: number, end: number, into?: BatchBuffers): void
  /** Gives a batch's buffers back for use in later batches; those that were transferred to a worker are taken when it sends them back. */
  release(buffers: BatchBuffers): void
  /** Forgets what was to be read ahead. */
  close(): void
}

/** Buffers kept for reuse: one in use by the worker, one read ahead. */
const MAX_SPARE = 2

/**
 * @param shape - of one sample, `[c, h, w]`
 * @param positions - labels of one sample
 */
export function createBatchReader(split: Split, shape: number[], positions = 1): BatchReader {
  return new Reader(split, sampleSize(shape), positions)
}

interface Ahead {
  order: Uint32Array
  start: number
  end: number
  into: BatchBuffers | undefined
  batch: Batch | undefined
  timer: NodeJS.Immediate | undefined
}

class Reader implements BatchReader {
  readonly #split: Split
  readonly #size: number
  readonly #positions: number
  readonly #spare: BatchBuffers[] = []
  #ahead: Ahead | undefined

  constructor(split: Split, size: number, positions: number) {
    this.#split = split
    this.#size = size
    this.#positions = positions
  }

  read(order: Uint32Array, start: number, end: number, into?: BatchBuffers): Batch {
    const ahead = this.#ahead
    if (ahead === undefined || ahead.order !== order || ahead.start !== start || ahead.end !== end)
      return this.#fill(order, start, end, into)
    this.#ahead = undefined
    clearImmediate(ahead.timer)
    return ahead.batch ?? this.#fill(order, start, end, into ?? ahead.into)
  }

  ahead(order: Uint32Array, start: number, end: number, into?: BatchBuffers): void {
    this.close()
    const ahead: Ahead = { order, start, end, into, batch: undefined, timer: undefined }
    ahead.timer = setImmediate(() => {
      try {
        ahead.batch = this.#fill(order, start, end, into)
      } catch {
        // the same call of read() will say it to someone who listens
      }
    })
    this.#ahead = ahead
  }

  release({ data, labels }: BatchBuffers): void {
    // a transferred buffer has no bytes left
    if (this.#spare.length >= MAX_SPARE || data.buffer.byteLength === 0 || labels.buffer.byteLength === 0) return
    this.#spare.push({ data: new Float32Array(data.buffer), labels: new Int32Array(labels.buffer) })
  }

  close(): void {
    const ahead = this.#ahead
    this.#ahead = undefined
    clearImmediate(ahead?.timer)
    if (ahead?.batch !== undefined && ahead.into === undefined) this.release(ahead.batch)
  }

  #fill(order: Uint32Array, start: number, end: number, into?: BatchBuffers): Batch {
    if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= order.length)) {
      throw new InvalidParametersError(`a batch lies in positions 0 to ${order.length} of its order, not ${start} to ${end}`)
    }
    const n = end - start
    const { data, labels } = into ?? this.#buffers(n)
    this.#split.read(order.subarray(start, end), data, labels)
    return { start, end, data: data.subarray(0, n * this.#size), labels: labels.subarray(0, n * this.#positions) }
  }

  #buffers(n: number): BatchBuffers {
    const i = this.#spare.findIndex(({ data, labels }) => data.length >= n * this.#size && labels.length >= n * this.#positions)
    if (i >= 0) return this.#spare.splice(i, 1)[0]!
    return { data: new Float32Array(n * this.#size), labels: new Int32Array(n * this.#positions) }
  }
}

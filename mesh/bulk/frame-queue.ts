import { OverloadedError } from '../../common/index.ts'
import { MAX_QUEUED_CONTROL_BYTES, MAX_QUEUED_MESSAGE_BYTES, MAX_QUEUED_MESSAGES } from './limits.ts'

/** Small frames are joined to one write of about this size. */
const BATCH_BYTES = 64 * 1024

/** Frames that wait to leave, control frames before messages; bounded. */
export class FrameQueue {
  readonly #peer: string
  #control: Uint8Array[] = []
  #controlBytes = 0
  #messages: Uint8Array[] = []
  #messageBytes = 0

  constructor(peer: string) {
    this.#peer = peer
  }

  get empty(): boolean {
    return this.#control.length === 0 && this.#messages.length === 0
  }

  /** @throws OverloadedError when the peer reads nothing: it is to be cut off */
  control(frame: Uint8Array): void {
    this.#control.push(frame)
    this.#controlBytes += frame.length
    if (this.#controlBytes > MAX_QUEUED_CONTROL_BYTES) {
      throw new OverloadedError(`bulk: ${this.#peer} does not read; ${this.#controlBytes} bytes of answers to it wait`)
    }
  }

  /** @throws OverloadedError when the queue is full */
  message(frame: Uint8Array): void {
    const bytes = this.#messageBytes + frame.length
    if (this.#messages.length >= MAX_QUEUED_MESSAGES || bytes > MAX_QUEUED_MESSAGE_BYTES) {
      throw new OverloadedError(`bulk: ${this.#messages.length} messages (${this.#messageBytes} bytes) to ${this.#peer} wait; slow down`)
    }
    this.#messages.push(frame)
    this.#messageBytes = bytes
  }

  /** Frames that are to leave before all others. */
  first(frames: Uint8Array[]): void {
    this.#control.unshift(...frames)
    for (const frame of frames) this.#controlBytes += frame.length
  }

  /** Hand frames on one by one, for as long as `take` takes them. */
  drain(take: (frame: Uint8Array) => boolean): void {
    this.#controlBytes -= drainTo(this.#control, take)
    if (this.#control.length === 0) this.#messageBytes -= drainTo(this.#messages, take)
  }

  /** Control frames, then messages, joined. */
  batch(): Uint8Array | undefined {
    const taken: Uint8Array[] = []
    let bytes = 0
    this.drain(frame => {
      if (bytes > 0 && bytes + frame.length > BATCH_BYTES + 1024) return false
      bytes += frame.length
      taken.push(frame)
      return true
    })
    return taken.length < 2 ? taken[0] : Buffer.concat(taken, bytes)
  }

  clear(): void {
    this.#control = []
    this.#messages = []
    this.#controlBytes = this.#messageBytes = 0
  }
}

/** @returns the bytes of the frames taken */
function drainTo(queue: Uint8Array[], take: (frame: Uint8Array) => boolean): number {
  let count = 0
  let bytes = 0
  while (count < queue.length && take(queue[count])) bytes += queue[count++].length
  queue.splice(0, count)
  return bytes
}

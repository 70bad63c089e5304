import { OverloadedError } from '../../common/index.ts'
import { Queue } from './queue.ts'

/** Events that may wait for one subscriber. */
const MAX_BEHIND = 256
/** Subscribers of one actor. */
const MAX_SUBSCRIBERS = 4096

/** Who listens to an activation. A subscriber that does not read is cut off; the actor never waits. */
export class Subscriptions {
  readonly #name: string
  readonly #queues = new Map<string, Set<Queue<Uint8Array>>>()
  size = 0

  constructor(name: string) {
    this.#name = name
  }

  /** @throws OverloadedError when there are too many */
  add(event: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    if (this.size >= MAX_SUBSCRIBERS) throw new OverloadedError(`${MAX_SUBSCRIBERS} subscribers listen to ${this.#name} already`)
    const queue = new Queue<Uint8Array>(MAX_BEHIND)
    const queues = this.#queues.get(event) ?? new Set()
    this.#queues.set(event, queues.add(queue))
    this.size++
    const remove = () => {
      if (!queues.delete(queue)) return
      this.size--
      queue.close()
    }
    if (signal.aborted) remove()
    else signal.addEventListener('abort', remove, { once: true })
    return queue
  }

  publish(event: string, value: Uint8Array): void {
    for (const queue of this.#queues.get(event) ?? []) {
      if (queue.push(value)) continue
      this.#queues.get(event)!.delete(queue)
      this.size--
      queue.close(new OverloadedError(`${MAX_BEHIND} events of ${this.#name} wait for this subscriber: read faster, then subscribe again`))
    }
  }

  close(error: Error): void {
    for (const queues of this.#queues.values()) for (const queue of queues) queue.close(error)
    this.#queues.clear()
    this.size = 0
  }
}

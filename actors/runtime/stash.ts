import type { Logger } from '../../common/index.ts'
import { decodeState, encodeState, type KeptState } from './kept-state.ts'

/** Actors that may sleep on one node, and bytes of their states. */
const MAX_ACTORS = 1_000_000
const MAX_BYTES = 512 * 1024 * 1024

/** States of soft actors that this node passivated, until they wake here. They end with the node. */
export class Stash {
  readonly #logger: Logger
  readonly #states = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  get size(): number {
    return this.#states.size
  }

  names(): string[] {
    return [...this.#states.keys()]
  }

  put(name: string, state: KeptState): void {
    const bytes = encodeState(state)
    this.#remove(name)
    this.#states.set(name, bytes)
    this.#bytes += bytes.byteLength
    while (this.#states.size > MAX_ACTORS || this.#bytes > MAX_BYTES) {
      const oldest = this.#states.keys().next().value as string
      this.#logger.warn(`the state of ${oldest} is dropped: too many soft actors sleep on this node`)
      this.#remove(oldest)
    }
  }

  take(name: string): KeptState | undefined {
    const bytes = this.#states.get(name)
    if (bytes === undefined) return undefined
    this.#remove(name)
    return decodeState(bytes)
  }

  #remove(name: string): void {
    this.#bytes -= this.#states.get(name)?.byteLength ?? 0
    this.#states.delete(name)
  }
}

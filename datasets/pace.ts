import { setImmediate } from 'node:timers/promises'
import { AbortedError } from '../common/index.ts'

/** Longest stretch of work between two turns of the event loop, milliseconds; a node's delay must stay under 20 at p99. */
const SLICE_MS = 4

/** Throws `AbortedError` once `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new AbortedError(`${what} was aborted`, { cause: signal.reason })
}

/** Keeps long work from holding up the event loop: ask `due()` between small pieces of it, and `await rest()` when it says so. */
export interface Pace {
  /** The slice is used up. */
  due(): boolean
  /** Lets the event loop turn once. @throws AbortedError when the signal was aborted meanwhile */
  rest(): Promise<void>
}

/** @param what - names the work in the error when it is aborted */
export function createPace(what: string, signal?: AbortSignal): Pace {
  let started = performance.now()
  throwIfAborted(signal, what)
  return {
    due: () => performance.now() - started >= SLICE_MS,
    async rest() {
      await setImmediate()
      throwIfAborted(signal, what)
      started = performance.now()
    }
  }
}

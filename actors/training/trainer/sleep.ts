import type { Clock } from '../../../common/index.ts'

/** Waits for `delay` ms, or less when `signal` is aborted. */
export function sleep(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.setTimer(delay, done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

/** Time, as drivers see it. The simulation has its own. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Runs `callback` once after `delay` milliseconds. @returns a function that cancels it */
  setTimer(delay: number, callback: () => void): () => void
}

/** The machine's own clock. Timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(delay, callback) {
    const timer = setTimeout(callback, delay)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

/** Waits `delay` milliseconds. @throws the signal's reason as soon as it is aborted */
export function pause(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(delay, end)
    function end() {
      cancel()
      signal.removeEventListener('abort', end)
      if (signal.aborted) reject(signal.reason)
      else resolve()
    }
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}

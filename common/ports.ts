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

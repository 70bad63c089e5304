/** One turn of running and standing still, ms. */
const TURN = 100

/**
 * Makes a process of this user `factor` times as slow: it is stopped and continued in turns, and runs a `factor`th of each.
 *
 * @returns what lets it run freely again
 */
export function throttle(pid: number, factor: number): () => void {
  let ended = false
  let timer: NodeJS.Timeout
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    try {
      process.kill(pid, name)
      return true
    } catch {
      // it has ended, and needs no more of this
      return false
    }
  }
  const run = () => {
    if (ended || !signal('SIGCONT')) return
    timer = setTimeout(stop, TURN / factor)
  }
  const stop = () => {
    if (ended || !signal('SIGSTOP')) return
    timer = setTimeout(run, TURN - TURN / factor)
  }
  run()
  return () => {
    ended = true
    clearTimeout(timer)
    signal('SIGCONT')
  }
}

/** Between two looks at what waits, ms: deadlines are kept this exactly. */
const INTERVAL = 20

/** What waits for answers that may come too late. */
export interface Waiting {
  /** Ends what has waited too long. @returns whether anything still waits */
  sweep(now: number): boolean
}

const watched = new Set<Waiting>()
let timer: NodeJS.Timeout | undefined

/** Calls `sweep` until nothing waits: one timer for all, since a timer a call would cost more than the call. */
export function watch(waiting: Waiting): void {
  watched.add(waiting)
  timer ??= setInterval(sweep, INTERVAL)
}

function sweep(): void {
  const now = performance.now()
  for (const waiting of watched) if (!waiting.sweep(now)) watched.delete(waiting)
  if (watched.size > 0) return
  clearInterval(timer)
  timer = undefined
}

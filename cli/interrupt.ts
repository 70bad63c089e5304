import { AbortedError } from '../common/index.ts'
import type { World } from './context.ts'

/**
 * Runs `work` under the user's wish to end: the first one calls `onFirst`, the second one aborts `signal` and rejects at once,
 * whatever `work` is waiting for.
 */
export async function interruptible<T>(
  world: Pick<World, 'onInterrupt'>,
  onFirst: (abort: () => void) => void,
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const controller = new AbortController()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => {
    controller.abort()
    reject(new AbortedError('interrupted'))
  }
  let times = 0
  const undo = world.onInterrupt(() => {
    times++
    if (times === 1) onFirst(abort)
    else abort()
  })
  const done = work(controller.signal)
  // Whichever loses the race has nobody left to tell.
  done.catch(() => {})
  aborted.catch(() => {})
  try {
    return await Promise.race([done, aborted])
  } finally {
    undo()
  }
}

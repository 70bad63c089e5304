import type { CancelTimer, Env, SetTimer, TimerEvent } from '../../common/index.ts'

export interface RestartPolicy {
  /** Restarts allowed within `window`; one more and the actor is given up. @default 5 */
  intensity: number
  /** Milliseconds over which restarts are counted. @default 60000 */
  window: number
  /** First wait before a restart, milliseconds; doubles with each restart in the window. @default 200 */
  backoff: number
}

export const defaultRestart: RestartPolicy = { intensity: 5, window: 60_000, backoff: 200 }

/** Supervision of one actor process. */
export interface SupervisionState {
  policy: RestartPolicy
  phase: 'running' | 'waiting' | 'stopped' | 'failed'
  /** Times of the restarts that still count. */
  restarts: number[]
}

export type SupervisionEvent = { type: 'exited'; reason: string } | { type: 'stop' } | TimerEvent

export type SupervisionEffect = SetTimer | CancelTimer | { type: 'start' } | { type: 'kill' } | { type: 'giveUp'; reason: string }

export function createSupervision(policy: RestartPolicy = defaultRestart): SupervisionState {
  return { policy, phase: 'running', restarts: [] }
}

/** Restarts a process that ended by itself, later each time, and gives up past the policy's intensity (Erlang/OTP's rule). */
export function supervisionStep(s: SupervisionState, event: SupervisionEvent, env: Env): SupervisionEffect[] {
  switch (event.type) {
    case 'exited': {
      if (s.phase !== 'running') return []
      s.restarts = s.restarts.filter(t => env.now - t < s.policy.window)
      if (s.restarts.length >= s.policy.intensity) {
        s.phase = 'failed'
        return [{ type: 'giveUp', reason: `${event.reason}, ${s.restarts.length} restarts within ${s.policy.window / 1000} s` }]
      }
      const delay = s.policy.backoff * 2 ** s.restarts.length
      s.restarts.push(env.now)
      s.phase = 'waiting'
      return [{ type: 'setTimer', id: 'restart', delay }]
    }
    case 'timer':
      if (s.phase !== 'waiting') return []
      s.phase = 'running'
      return [{ type: 'start' }]
    case 'stop': {
      const running = s.phase === 'running'
      s.phase = 'stopped'
      return running ? [{ type: 'cancelTimer', id: 'restart' }, { type: 'kill' }] : [{ type: 'cancelTimer', id: 'restart' }]
    }
  }
}

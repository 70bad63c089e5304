import type { Rng } from './random.ts'

/** All that a protocol core may know of the outside. */
export interface Env {
  /** Monotonic time of this node, milliseconds. */
  now: number
  random: Rng
}

/** Ask for a `timer` event with the same id at `now + delay`; setting an id again replaces it. */
export interface SetTimer {
  type: 'setTimer'
  id: string
  /** Milliseconds from now. */
  delay: number
}

export interface CancelTimer {
  type: 'cancelTimer'
  id: string
}

/** Send a message to a peer; delivery is not guaranteed. */
export interface Send<M> {
  type: 'send'
  to: string
  message: M
}

/** Make `value` durable under `key`; the core gets a `persisted` event with the same id once it is. */
export interface Persist<V> {
  type: 'persist'
  id: string
  key: string
  value: V
}

/** A timer that a core set has fired. */
export interface TimerEvent {
  type: 'timer'
  id: string
}

/**
 * A protocol core: a state machine without I/O. It may change `state` in place; nobody else does. Drivers carry the effects out
 * in order and bring their results back as events.
 */
export type Step<S, Event, Effect> = (state: S, event: Event, env: Env) => Effect[]

import { AsyncLocalStorage } from 'node:async_hooks'
import type { TraceHeaders } from './trace.ts'

/** Addresses that one chain of calls may pass through. */
export const MAX_CHAIN = 64

/** What the turn that is under way hands on to the calls it makes. */
export interface TurnScope {
  /** `name/key` of the actor whose turn it is. */
  actor: string
  /** Of a fenced actor; 0 of a soft one. */
  epoch: number
  /** Addresses in the middle of a turn of this chain, the outermost first, this actor the last. */
  chain: readonly string[]
  /** `performance.now()` after which nobody waits for this turn. */
  deadline: number
  trace: TraceHeaders | undefined
  /** The turn is over: what it has left behind (timers, listeners, processes) acts for nobody. */
  ended: boolean
}

const storage = new AsyncLocalStorage<TurnScope>()

/** The turn that the code which asks belongs to. */
export function currentTurn(): TurnScope | undefined {
  const scope = storage.getStore()
  return scope?.ended === false ? scope : undefined
}

export function inTurn<T>(scope: TurnScope, run: () => T): T {
  return storage.run(scope, run)
}

/** Runs what belongs to no turn, though one has brought it about. */
export function outsideTurns<T>(run: () => T): T {
  return storage.exit(run)
}

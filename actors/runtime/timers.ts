import { OverloadedError } from '../../common/index.ts'
import type { Effect } from './context.ts'
import type { KeptState, Patch } from './kept-state.ts'
import { decodeValue, encodeValue } from './values.ts'

/** Timers of one actor. */
const MAX_TIMERS = 256
/** Longest wait that the platform's timers take, ms. */
const MAX_WAIT = 2 ** 31 - 1
/** Fields of a kept state whose names begin so are timers. */
const PREFIX = 't'

interface Timer {
  /** Milliseconds since 1970. */
  due: number
  method: string
  argument: Uint8Array
}

/** The timers of one activation, kept among the fields of its state. */
export class Timers {
  readonly #fire: (name: string, method: string, argument: Uint8Array) => void
  readonly #timers = new Map<string, Timer>()
  readonly #changed = new Set<string>()
  #version = 1
  #wait: NodeJS.Timeout | undefined

  constructor(fire: (name: string, method: string, argument: Uint8Array) => void) {
    this.#fire = fire
  }

  /** Parts what is kept into state and timers. */
  split(kept: KeptState | undefined): [KeptState | undefined, Map<string, Uint8Array>] {
    if (kept === undefined) return [undefined, new Map()]
    this.#version = kept.version
    const entries = [...kept.fields]
    const state = new Map(entries.filter(([name]) => !name.startsWith(PREFIX)))
    return [{ version: kept.version, fields: state }, new Map(entries.filter(([name]) => name.startsWith(PREFIX)))]
  }

  begin(fields: Map<string, Uint8Array>): void {
    for (const [name, bytes] of fields) this.#timers.set(name.slice(PREFIX.length), decodeValue(bytes, 'timer') as Timer)
    this.#arm()
  }

  /** @throws OverloadedError when there are too many */
  change(effect: Extract<Effect, { type: 'schedule' | 'unschedule' }>): void {
    const { name } = effect
    if (effect.type === 'unschedule') this.#timers.delete(name)
    else {
      if (this.#timers.size >= MAX_TIMERS && !this.#timers.has(name)) throw new OverloadedError(`an actor has at most ${MAX_TIMERS} timers`)
      this.#timers.set(name, { due: Date.now() + effect.after, method: effect.method, argument: effect.argument })
    }
    this.#changed.add(name)
    this.#arm()
  }

  /** What changed, as fields of the kept state. */
  patch(): Patch | undefined {
    if (this.#changed.size === 0) return undefined
    const patch: Patch = { version: this.#version, set: [], del: [] }
    for (const name of this.#changed) {
      const timer = this.#timers.get(name)
      if (timer === undefined) patch.del.push(PREFIX + name)
      else patch.set.push([PREFIX + name, encodeValue(timer, 'timer')])
    }
    this.#changed.clear()
    return patch
  }

  close(): void {
    clearTimeout(this.#wait)
    this.#timers.clear()
  }

  #arm(): void {
    clearTimeout(this.#wait)
    const next = Math.min(...[...this.#timers.values()].map(t => t.due))
    if (!Number.isFinite(next)) return
    this.#wait = setTimeout(() => this.#due(), Math.min(MAX_WAIT, Math.max(0, next - Date.now())))
    this.#wait.unref()
  }

  /** The timer goes with the first turn's change: it fires again if that is not kept. */
  #due(): void {
    const now = Date.now()
    for (const [name, { due, method, argument }] of this.#timers) {
      if (due > now) continue
      this.#timers.delete(name)
      this.#changed.add(name)
      this.#fire(name, method, argument)
    }
    this.#arm()
  }
}

/** When the next timer of a kept state is due, milliseconds since 1970; undefined when it has none. */
export function nextTimer(fields: Iterable<[string, Uint8Array]>): number | undefined {
  let next: number | undefined
  for (const [name, bytes] of fields) {
    if (!name.startsWith(PREFIX)) continue
    const { due } = decodeValue(bytes, 'timer') as Timer
    if (next === undefined || due < next) next = due
  }
  return next
}

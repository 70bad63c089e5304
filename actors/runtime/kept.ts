import type { KeptState, Patch } from './kept-state.ts'
import { decodeValue, encodeValue } from './values.ts'

export type { KeptState, Patch } from './kept-state.ts'

/** Largest kept state, bytes; what is larger belongs into several actors, or into files. */
export const MAX_STATE = 32 * 1024 * 1024

/**
 * The kept state of one activation, field by field as it was kept last: what a turn changed is found by comparing bytes, so that
 * handlers may change the state in place.
 */
export class Kept {
  readonly #version: number
  /** Names of the fields that are kept in another version, or undefined once all are written in this one. */
  #foreign: string[] | undefined
  #fields = new Map<string, Uint8Array>()

  /** @param state - what the activation begins with, in the present version */
  constructor(version: number, kept: KeptState | undefined, state: unknown) {
    this.#version = version
    this.#foreign = kept?.version === version ? undefined : [...(kept?.fields.keys() ?? [])]
    this.#fields = this.#foreign === undefined ? new Map(kept!.fields) : split(state)
  }

  /** The state as the last turn left it. */
  read(): unknown {
    return join(this.#fields)
  }

  /** What `state` has changed. @throws InvalidParametersError when it holds what cannot be kept, TooLargeError */
  change(state: unknown): Patch | undefined {
    const now = split(state)
    let set: [string, Uint8Array][] = []
    for (const [name, bytes] of now) {
      const before = this.#fields.get(name)
      if (before === undefined || Buffer.compare(before, bytes) !== 0) set.push([name, bytes])
    }
    let del = [...this.#fields.keys()].filter(name => !now.has(name))
    if (set.length === 0 && del.length === 0) return undefined
    this.#fields = now
    if (this.#foreign !== undefined) {
      set = [...now]
      del = this.#foreign.filter(name => !now.has(name))
      this.#foreign = undefined
    }
    return { version: this.#version, set, del }
  }

  whole(state: unknown): KeptState {
    return { version: this.#version, fields: split(state) }
  }
}

/** The value of a kept state. */
export function readKept(kept: KeptState): { version: number; value: unknown } {
  return { version: kept.version, value: join(kept.fields) }
}

/** A plain object is kept field by field (`s` + name), anything else as one (`v`). */
function split(state: unknown): Map<string, Uint8Array> {
  const plain = typeof state === 'object' && state !== null && !Array.isArray(state) && !(state instanceof Uint8Array)
  if (!plain) return new Map([['v', encodeValue(state, 'state', MAX_STATE)]])
  const fields = new Map<string, Uint8Array>()
  for (const [name, value] of Object.entries(state as object)) {
    if (value !== undefined) fields.set(`s${name}`, encodeValue(value, `state's field ${name}`, MAX_STATE))
  }
  return fields
}

function join(fields: Map<string, Uint8Array>): unknown {
  const whole = fields.get('v')
  if (whole !== undefined) return decodeValue(whole, 'kept state')
  const state: Record<string, unknown> = {}
  for (const [name, bytes] of fields) {
    Object.defineProperty(state, name.slice(1), {
      value: decodeValue(bytes, `kept field ${name.slice(1)}`),
      enumerable: true,
      writable: true,
      configurable: true
    })
  }
  return state
}

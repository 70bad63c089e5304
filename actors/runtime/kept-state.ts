import { MalformedError } from '../../common/index.ts'
import { decodeValue, encodeValue } from './values.ts'

/** A state as it is kept: each field of the object in CBOR. */
export interface KeptState {
  /** Version of the definition's schema. */
  version: number
  fields: Map<string, Uint8Array>
}

/** What one or several turns changed. */
export interface Patch {
  version: number
  set: [string, Uint8Array][]
  del: string[]
}

/** Changes `state` in place. */
export function applyPatch(state: KeptState, patch: Patch): void {
  state.version = patch.version
  for (const name of patch.del) state.fields.delete(name)
  for (const [name, bytes] of patch.set) state.fields.set(name, bytes)
}

/** One patch that does what the two do one after the other. */
export function mergePatches(first: Patch | undefined, second: Patch): Patch {
  if (first === undefined) return second
  const set = new Map(first.set)
  const del = new Set(first.del)
  for (const name of second.del) {
    set.delete(name)
    del.add(name)
  }
  for (const [name, bytes] of second.set) {
    set.set(name, bytes)
    del.delete(name)
  }
  return { version: second.version, set: [...set], del: [...del] }
}

export function encodePatch(patch: Patch): Uint8Array {
  return encodeValue([patch.version, patch.set, patch.del], 'change of state', Number.POSITIVE_INFINITY)
}

/** @throws MalformedError */
export function decodePatch(bytes: Uint8Array): Patch {
  const value = decodeValue(bytes, 'change of state')
  if (!Array.isArray(value) || !Number.isSafeInteger(value[0]) || !isPairs(value[1]) || !isTexts(value[2])) {
    throw new MalformedError('a change of state is no list of a version, fields and names')
  }
  return { version: value[0], set: value[1], del: value[2] }
}

export function encodeState(state: KeptState): Uint8Array {
  return encodePatch({ version: state.version, set: [...state.fields], del: [] })
}

/** @throws MalformedError */
export function decodeState(bytes: Uint8Array): KeptState {
  const { version, set } = decodePatch(bytes)
  return { version, fields: new Map(set) }
}

function isPairs(value: unknown): value is [string, Uint8Array][] {
  return Array.isArray(value) && value.every(p => Array.isArray(p) && typeof p[0] === 'string' && p[1] instanceof Uint8Array)
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(x => typeof x === 'string')
}

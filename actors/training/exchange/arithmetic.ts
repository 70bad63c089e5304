import { add, blend, combine } from '../../../native/index.ts'
import type { Arena, Range, StrategyEffect } from './strategy.ts'

/** The effects that only compute on arenas. */
export type ArithmeticEffect = Extract<StrategyEffect, { type: 'reduce' | 'copy' | 'blend' | 'combine' }>

/** The float32 memory behind each arena's name. */
export type Arenas = Record<Arena, Float32Array>

/** Whether `effect` is one that {@link carryOut} takes. */
export function isArithmetic(effect: StrategyEffect): effect is ArithmeticEffect {
  return effect.type === 'reduce' || effect.type === 'copy' || effect.type === 'blend' || effect.type === 'combine'
}

/** The floats of `range`, a view. @throws RangeError when it is not inside its arena: the caller's mistake */
export function view(arenas: Arenas, range: Range): Float32Array {
  const arena = arenas[range.arena]
  const end = range.offset + range.length
  if (!(range.offset >= 0 && range.length >= 0 && end <= arena.length)) {
    throw new RangeError(`${range.arena}[${range.offset}, ${end}) lies outside its ${arena.length} floats`)
  }
  return arena.subarray(range.offset, end)
}

/** Carries an arithmetic effect out: one pass, element by element in ascending order, so that the bits never depend on the machine. */
export function carryOut(effect: ArithmeticEffect, arenas: Arenas): void {
  const into = view(arenas, effect.into)
  const from = view(arenas, effect.from)
  if (into.length !== from.length) throw new RangeError(`${effect.type} of ${from.length} floats into ${into.length}`)
  switch (effect.type) {
    case 'copy':
      into.set(from)
      return
    case 'reduce':
      add(into, from)
      return
    case 'blend':
      blend(into, from, effect.factor)
      return
    case 'combine':
      combine(into, from, effect.alpha, effect.beta)
  }
}

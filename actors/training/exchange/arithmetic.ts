import { add, blend, combine } from '../../../native/index.ts'
import { aggregationNamed } from './aggregation.ts'
import { codecNamed } from './codecs.ts'
import type { Arena, Range, StrategyEffect } from './strategy.ts'

/** The effects that only compute on arenas. */
export type ArithmeticEffect = Extract<
  StrategyEffect,
  { type: 'reduce' | 'copy' | 'blend' | 'combine' | 'fill' | 'offset' | 'multiply' | 'divide' | 'root' | 'encode' | 'decode' | 'aggregate' }
>

/** The float32 memory behind each arena's name. */
export type Arenas = Record<Arena, Float32Array>

/** Whether `effect` is one that {@link carryOut} takes. */
export function isArithmetic(effect: StrategyEffect): effect is ArithmeticEffect {
  return arithmetic.has(effect.type)
}

const arithmetic: ReadonlySet<string> = new Set<ArithmeticEffect['type']>([
  'reduce',
  'copy',
  'blend',
  'combine',
  'fill',
  'offset',
  'multiply',
  'divide',
  'root',
  'encode',
  'decode',
  'aggregate'
])

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
  if (effect.type === 'fill') {
    into.fill(effect.value)
    return
  }
  if (effect.type === 'offset') {
    const value = Math.fround(effect.value)
    for (let i = 0; i < into.length; i++) into[i] = into[i]! + value
    return
  }
  const from = view(arenas, effect.from)
  switch (effect.type) {
    case 'encode': {
      const codec = codecNamed(effect.codec)
      if (effect.residual === undefined) {
        codec.encode(from, into, effect.seed)
        return
      }
      const residual = view(arenas, effect.residual)
      add(residual, from)
      codec.encode(residual, into, effect.seed)
      const sent = new Float32Array(residual.length)
      codec.decode(into, sent)
      for (let i = 0; i < residual.length; i++) residual[i] = residual[i]! - sent[i]!
      return
    }
    case 'decode': {
      const before = into.slice()
      if (!codecNamed(effect.codec).decode(from, into)) into.set(before)
      return
    }
    case 'aggregate': {
      const vectors = Array.from({ length: from.length / Math.max(1, into.length) }, (_, r) =>
        from.subarray(r * into.length, (r + 1) * into.length)
      )
      aggregationNamed(effect.rule).combine(vectors, into)
      return
    }
  }
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
      return
    case 'root':
      for (let i = 0; i < into.length; i++) into[i] = Math.sqrt(Math.fround(Math.max(0, from[i]!) + effect.epsilon))
      return
    case 'multiply':
    case 'divide': {
      const by = view(arenas, effect.by)
      if (by.length !== into.length && by.length !== 1) throw new RangeError(`${effect.type} of ${into.length} floats by ${by.length}`)
      // read before the loop, since `by` may lie where the result goes
      const one = by.length === 1 ? by[0]! : undefined
      const multiply = effect.type === 'multiply'
      for (let i = 0; i < into.length; i++) {
        const b = one ?? by[i]!
        into[i] = multiply ? from[i]! * b : b === 0 ? 0 : from[i]! / b
      }
    }
  }
}

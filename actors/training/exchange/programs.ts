import { InvalidParametersError } from '../../../common/index.ts'

/**
 * What one rank does with one slice of an allreduce, in order: `reduce` adds a peer's partial sum to the own, `place` overwrites the
 * own with a peer's whole sum, `send` hands on what is there. Peers are ranks.
 */
export type Action =
  | { kind: 'reduce'; peer: number }
  | { kind: 'place'; peer: number }
  | { kind: 'send'; peer: number; phase: 'reduce' | 'place' }

/** An algorithm of allreduce, as the program that rank `rank` of `world` runs on slice `slice` of `world`. */
export interface Algorithm {
  name: string
  program(slice: number, rank: number, world: number): Action[]
  /** Slices in the order in which a rank is to send them first. */
  order(rank: number, world: number): number[]
}

const mod = (a: number, n: number) => ((a % n) + n) % n

/**
 * Ring: slice j starts at rank j+1 and goes round; every rank adds its own, rank j is last and holds the sum, added in the order
 * j+1, j+2, …, j (mod p). It then goes round once more. 2(p−1) steps; every rank sends 2(p−1)/p·n floats where p divides n.
 *
 * @see Patarasuk & Yuan 2009, bandwidth-optimal all-reduce
 */
export const ring: Algorithm = {
  name: 'ring',
  program(slice, rank, world) {
    if (world === 1) return []
    const left = mod(rank - 1, world)
    const right = mod(rank + 1, world)
    const hop = mod(rank - slice - 1, world)
    const actions: Action[] = []
    if (hop > 0) actions.push({ kind: 'reduce', peer: left })
    if (rank === slice) {
      actions.push({ kind: 'send', peer: right, phase: 'place' })
      return actions
    }
    actions.push({ kind: 'send', peer: right, phase: 'reduce' }, { kind: 'place', peer: left })
    if (right !== slice) actions.push({ kind: 'send', peer: right, phase: 'place' })
    return actions
  },
  order: (rank, world) => Array.from({ length: world }, (_, hop) => mod(rank - 1 - hop, world))
}

/**
 * Recursive halving, then doubling: with the partner at each bit of the rank, from the highest down, exchange halves of what one still
 * holds, until each holds one slice; then back. 2·log₂p steps and the ring's bytes; p a power of two.
 *
 * The sum of slice j is a tree over the bits: the halves of the group that differ in the highest bit are added first.
 *
 * @see Thakur, Rabenseifner & Gropp 2005, Rabenseifner's algorithm
 */
export const halvingDoubling: Algorithm = {
  name: 'halving-doubling',
  program(slice, rank, world) {
    const differ = rank ^ slice
    const actions: Action[] = []
    let bit = world >> 1
    for (; bit > 0 && (differ & bit) === 0; bit >>= 1) actions.push({ kind: 'reduce', peer: rank ^ bit })
    let up = 1
    if (bit > 0) {
      actions.push({ kind: 'send', peer: rank ^ bit, phase: 'reduce' }, { kind: 'place', peer: rank ^ bit })
      up = bit << 1
    }
    for (; up < world; up <<= 1) actions.push({ kind: 'send', peer: rank ^ up, phase: 'place' })
    return actions
  },
  order: (rank, world) => Array.from({ length: world }, (_, i) => rank ^ (world - 1 - i))
}

/** What a job may name as `algorithm`. */
export const algorithmNames: readonly string[] = [ring.name, halvingDoubling.name]

/**
 * The algorithm called `name`, as far as `world` allows it: halving-doubling needs a power of two, and is the ring elsewhere.
 *
 * @throws InvalidParametersError that lists the known names
 */
export function algorithmNamed(name: string, world: number): Algorithm {
  if (name === ring.name) return ring
  if (name === halvingDoubling.name) return (world & (world - 1)) === 0 ? halvingDoubling : ring
  throw new InvalidParametersError(`no allreduce algorithm is called '${name.slice(0, 100)}'; choose one of ${algorithmNames.join(', ')}`)
}

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

/**
 * Recursive doubling, for what is small: with the partner at each bit of the rank, from the lowest up, swap what one has and add.
 * log₂p steps of all n floats; p a power of two. Addition commutes, so both of a pair have the same bits: a tree over the bits, the ranks that
 * differ in the lowest bit added first.
 *
 * @see Thakur, Rabenseifner & Gropp 2005
 */
export const recursiveDoubling: Algorithm = {
  name: 'recursive-doubling',
  program(_slice, rank, world) {
    const actions: Action[] = []
    for (let bit = 1; bit < world; bit <<= 1) {
      actions.push({ kind: 'send', peer: rank ^ bit, phase: 'reduce' }, { kind: 'reduce', peer: rank ^ bit })
    }
    return actions
  },
  order: (_rank, world) => Array.from({ length: world }, (_, slice) => slice)
}

/**
 * Inside before across: the first rank of each node adds up its node's ranks in their order, the first ranks sum over a ring, and each
 * hands the whole to its node. Only one rank a node sends over the network, what a ring of as many ranks as nodes sends.
 *
 * @param nodes - of each rank
 */
export function hierarchical(nodes: readonly string[]): Algorithm {
  const firsts = nodes.flatMap((node, rank) => (nodes.indexOf(node) === rank ? [rank] : []))
  return {
    name: 'hierarchical',
    program(slice, rank) {
      const leader = nodes.indexOf(nodes[rank]!)
      if (leader !== rank) {
        return [
          { kind: 'send', peer: leader, phase: 'reduce' },
          { kind: 'place', peer: leader }
        ]
      }
      const others = nodes.flatMap((node, r) => (node === nodes[rank] && r !== rank ? [r] : []))
      const across = ring.program(slice % firsts.length, firsts.indexOf(rank), firsts.length)
      return [
        ...others.map((peer): Action => ({ kind: 'reduce', peer })),
        ...across.map((action): Action => ({ ...action, peer: firsts[action.peer]! })),
        ...others.map((peer): Action => ({ kind: 'send', peer, phase: 'place' }))
      ]
    },
    order: (_rank, world) => Array.from({ length: world }, (_, slice) => slice)
  }
}

/** Up to so many floats a sum is a matter of steps, not of bytes. */
const SMALL = 4096

/** What a job may name as `algorithm`. */
export const algorithmNames: readonly string[] = [ring.name, halvingDoubling.name, recursiveDoubling.name, 'hierarchical', 'auto']

/** What the choice of an algorithm may depend on: the same on all ranks. */
export interface Reduction {
  /** Of each rank; a rank whose node is not known stands alone. */
  nodes: readonly (string | undefined)[]
  /** Floats. */
  length: number
}

/** @returns the number of ranks and their nodes, of a group's members */
export function reductionOf(members: readonly { node?: string }[], length: number): Reduction {
  return { nodes: members.map(m => m.node), length }
}

/**
 * The algorithm called `name`, as far as the group allows it: the two over bits need a power of two, and are the ring elsewhere; so is
 * `hierarchical` where no node has two ranks. `auto`: hierarchical where nodes have several ranks and there are several nodes;
 * recursive doubling up to 4,096 floats; else halving-doubling.
 *
 * @throws InvalidParametersError that lists the known names
 */
export function algorithmNamed(name: string, { nodes, length }: Reduction): Algorithm {
  const world = nodes.length
  const binary = (world & (world - 1)) === 0
  const named = nodes.map((node, rank) => node ?? `rank ${rank}`)
  const distinct = new Set(named).size
  if (name === ring.name) return ring
  if (name === halvingDoubling.name) return binary ? halvingDoubling : ring
  if (name === recursiveDoubling.name) return binary ? recursiveDoubling : ring
  if (name === 'hierarchical') return distinct < world ? hierarchical(named) : ring
  if (name === 'auto') {
    if (distinct > 1 && distinct < world) return hierarchical(named)
    return binary ? (length <= SMALL ? recursiveDoubling : halvingDoubling) : ring
  }
  throw new InvalidParametersError(`no allreduce algorithm is called '${name.slice(0, 100)}'; choose one of ${algorithmNames.join(', ')}`)
}

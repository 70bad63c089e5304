import { hash32, mix32 } from './random.ts'

/**
 * Highest-random-weight (rendezvous) order of `names` for `key`: a pure function of the two, so that equal views give equal
 * owners, and removing a name moves only what it owned.
 *
 * @param weight - relative share of each name, above 0; 1 for all by default (weighted after Schindelhauer & Schomaker 2005)
 * @returns the names, owner first; ties are broken by name
 * @see Thaler & Ravishankar 1998
 */
export function rendezvousOrder(key: string, names: Iterable<string>, weight: (name: string) => number = () => 1): string[] {
  const keyHash = hash32(key, 0x5bd1e995)
  const scored = Array.from(names, name => ({ name, score: score(keyHash, name, weight(name)) }))
  scored.sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  return scored.map(s => s.name)
}

/** The first name of {@link rendezvousOrder}, or undefined when there is none. */
export function rendezvousOwner(key: string, names: Iterable<string>, weight?: (name: string) => number): string | undefined {
  return rendezvousOrder(key, names, weight)[0]
}

function score(keyHash: number, name: string, weight: number): number {
  const high = mix32(hash32(name, keyHash) ^ keyHash)
  const low = hash32(name, ~keyHash)
  const uniform = (high + (low + 1) / 4294967297) / 4294967296
  return -weight / Math.log(uniform)
}

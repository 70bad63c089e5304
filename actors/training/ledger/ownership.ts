import { rendezvousOwner } from '../../../common/index.ts'
import { type Ledger, nextUncommitted } from './ledger.ts'

/**
 * Who owns which range while the view stays: the first trainer of the view in rendezvous order on (job, epoch, range), worked out
 * when first asked for and kept.
 */
export interface Ownership {
  /** Live trainers, sorted. */
  readonly view: readonly string[]
  /** By epoch and range: 1 + index in the view, 0 for not yet worked out. */
  readonly owners: Map<number, Uint16Array>
}

export function ownership(view: Iterable<string>): Ownership {
  return { view: [...new Set(view)].sort(), owners: new Map() }
}

/** The owner of a range; undefined where nobody lives. */
export function ownerOf({ view, owners }: Ownership, ledger: Ledger, epoch: number, range: number): string | undefined {
  let known = owners.get(epoch)
  if (known === undefined) {
    for (const old of owners.keys()) if (old < ledger.low) owners.delete(old)
    known = new Uint16Array(ledger.ranges)
    owners.set(epoch, known)
  }
  if (known[range] === 0) {
    const owner = rendezvousOwner(`${ledger.spec.job}/${epoch}/${range}`, view)
    if (owner === undefined) return undefined
    known[range] = view.indexOf(owner) + 1
  }
  return view[known[range] - 1]
}

/** Uncommitted ranges of an epoch that `free` lets through, ascending. */
export function* openRanges(ledger: Ledger, epoch: number, free: (range: number) => boolean): Generator<number> {
  for (let range = nextUncommitted(ledger, epoch, 0); range < ledger.ranges; range = nextUncommitted(ledger, epoch, range + 1)) {
    if (free(range)) yield range
  }
}

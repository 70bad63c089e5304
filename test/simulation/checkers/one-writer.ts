import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** Whoever writes in an epoch is the only one that ever does. */
export class OneWriter implements Checker {
  readonly name = 'at most one writer an epoch'
  readonly #writers = new Map<number, string>()

  observe({ kind, details }: Observation): void {
    if (kind !== 'wrote') return
    const { epoch, owner } = details as { epoch: number; owner: string }
    const known = this.#writers.get(epoch)
    if (known !== undefined && known !== owner) throw new Violation(this, `${known} and ${owner} in epoch ${epoch}`)
    this.#writers.set(epoch, owner)
  }
}

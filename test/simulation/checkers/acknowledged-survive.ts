import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** Every later owner finds what was acknowledged before it, as long as fewer than a quorum of copies are gone. */
export class AcknowledgedSurvive implements Checker {
  readonly name = 'acknowledged writes survive fewer than a quorum of crashes'
  readonly #acknowledged = new Map<string, number>()
  /** What the newest owner found, by epoch: what an older one is told late must be in it, too. */
  readonly #found = new Map<number, Set<string>>()

  observe({ kind, details }: Observation): void {
    if (kind === 'acked') {
      const { epoch, value } = details as { epoch: number; value: string }
      this.#acknowledged.set(value, epoch)
      for (const [later, values] of this.#found) {
        if (later > epoch && !values.has(value)) throw new Violation(this, `${value} of epoch ${epoch} is not in epoch ${later}`)
      }
    }
    if (kind !== 'recovered') return
    const { epoch, values } = details as { epoch: number; values: string[] }
    const found = new Set(values)
    for (const [value, before] of this.#acknowledged) {
      if (before < epoch && !found.has(value)) throw new Violation(this, `${value} of epoch ${before} is not in epoch ${epoch}`)
    }
    this.#found.set(epoch, found)
  }
}

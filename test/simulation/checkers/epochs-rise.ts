import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** A copy that is on disk with an epoch never goes back to an older one, in this life of its node or a later. */
export class EpochsRise implements Checker {
  readonly name = 'epochs never decrease'
  readonly #copies = new Map<string, { fence: number; epoch: number }>()

  observe({ kind, node, details }: Observation): void {
    if (kind !== 'copy') return
    const { fence, epoch } = details as { fence: number; epoch: number }
    const known = this.#copies.get(node)
    if (known !== undefined && (fence < known.fence || epoch < known.epoch)) {
      throw new Violation(this, `${node} had epoch ${known.epoch} and fence ${known.fence}, and has ${epoch} and ${fence}`)
    }
    this.#copies.set(node, { fence, epoch })
  }
}

import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** Every register has one decided value, for all nodes and all their lives, and somebody chose it. */
export class OneDecision implements Checker {
  readonly name = 'one decided value a register'
  readonly #decided = new Map<string, { value: string; node: string }>()
  readonly #chosen = new Map<string, Set<string>>()

  observe({ node, kind, details }: Observation): void {
    const { key, value } = details as { key: string; value?: string }
    if (kind === 'choose') this.#chosen.set(key, (this.#chosen.get(key) ?? new Set()).add(value!))
    if ((kind !== 'decided' && kind !== 'done') || value === undefined) return
    const before = this.#decided.get(key)
    if (before === undefined) this.#decided.set(key, { value, node })
    else if (before.value !== value) throw new Violation(this, `${key} is ${before.value} for ${before.node} and ${value} for ${node}`)
    if (!this.#chosen.get(key)?.has(value)) throw new Violation(this, `${key} is ${value} for ${node}, which nobody chose`)
  }
}

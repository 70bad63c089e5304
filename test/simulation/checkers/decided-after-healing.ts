import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** Proposals and questions of nodes that live on end once the faults do. */
export class DecidedAfterHealing implements Checker {
  readonly name = 'proposals end after healing'
  readonly #open = new Map<string, { node: string; key: string }>()

  observe({ node, kind, details }: Observation): void {
    const { id, key } = details as { id: string; key: string }
    if (kind === 'propose' || kind === 'learn') this.#open.set(`${node} ${id}`, { node, key })
    if (kind === 'done' || kind === 'failed') this.#open.delete(`${node} ${id}`)
    if (kind === 'crash') for (const [name, open] of this.#open) if (open.node === details['node']) this.#open.delete(name)
  }

  end(): void {
    const [open] = this.#open.values()
    if (open !== undefined) throw new Violation(this, `${this.#open.size} still run, one of them of ${open.node} on ${open.key}`)
  }
}

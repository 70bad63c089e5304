import type { Observation } from '../../../mesh/simulation/index.ts'

/** Whom each node holds for alive, rebuilt from the changes it told its application. */
export class Views {
  /** By node, then by peer: when this opinion was formed. */
  readonly #views = new Map<string, Set<string>>()

  observe({ node, kind, details }: Observation): void {
    if (kind === 'start') this.#views.set(details['node'] as string, new Set())
    if (kind !== 'member') return
    const { change, peer } = details as { change: string; peer: string }
    const view = this.#views.get(node)!
    if (change === 'dead' || change === 'left' || change === 'forgotten') view.delete(peer)
    else view.add(peer)
  }

  /** Peers that `node` holds for alive, itself not among them. */
  of(node: string): ReadonlySet<string> {
    return this.#views.get(node) ?? new Set()
  }
}

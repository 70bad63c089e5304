import type { Observation, World } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** Nobody that runs is declared dead, whatever stalls there are. (For scenarios whose links stay whole.) */
export class NoFalseDeath implements Checker {
  readonly name = 'no member that lives is declared dead'
  readonly #frozen = new Set<string>()

  observe({ node, kind, details }: Observation, world: World): void {
    const fault = kind === 'fault' ? (details['type'] as string) : ''
    if (fault === 'freeze') this.#frozen.add(details['node'] as string)
    if (fault === 'thaw') this.#frozen.delete(details['node'] as string)
    if (kind !== 'member' || details['change'] !== 'dead' || this.#frozen.has(node)) return
    const { peer, epoch } = details as { peer: string; epoch: number }
    const target = world.node(peer)
    if (target.up && target.life === epoch && !this.#frozen.has(peer)) {
      throw new Violation(this, `${node} declares ${peer} dead, which runs${target.frozen > 0 ? ' (it only stalls)' : ''}`)
    }
  }
}

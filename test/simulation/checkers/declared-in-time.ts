import type { Observation, World } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'
import { Views } from './views.ts'

/**
 * Within `bound` ms of a crash or freeze that lasts, every node that runs holds the member for dead. (For scenarios whose links stay
 * whole.)
 */
export class DeclaredInTime implements Checker {
  readonly name = 'crashed members are declared within the bound'
  /** How long each declaration took, ms, for statistics. */
  readonly times: number[] = []
  readonly #bound: number
  readonly #views = new Views()
  readonly #gone = new Map<string, number>()

  constructor(bound: number) {
    this.#bound = bound
  }

  observe(observation: Observation, world: World): void {
    this.#views.observe(observation)
    const { kind, details, node } = observation
    const fault = kind === 'fault' ? (details['type'] as string) : ''
    if (fault === 'crash' || fault === 'freeze') {
      const victim = details['node'] as string
      const since = world.now
      this.#gone.set(victim, since)
      world.after(this.#bound, () => this.#check(victim, since, world))
    }
    if (fault === 'restart' || fault === 'thaw') this.#gone.delete(details['node'] as string)
    if (kind === 'member' && details['change'] === 'dead') {
      const since = this.#gone.get(details['peer'] as string)
      if (since !== undefined && !this.#gone.has(node)) this.times.push(world.now - since)
    }
  }

  #check(victim: string, since: number, world: World): void {
    if (this.#gone.get(victim) !== since) return
    for (const [name, node] of world.nodes) {
      if (!node.up || this.#gone.has(name) || !this.#views.of(name).has(victim)) continue
      throw new Violation(this, `${name} holds ${victim} for alive ${this.#bound} ms after it went`)
    }
  }
}

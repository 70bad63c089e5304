import type { Observation, World } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'
import { Views } from './views.ts'

/** Some time after all faults ended, every node that runs holds exactly those that run for alive. */
export class Recovered implements Checker {
  readonly name = 'live members find each other after healing'
  readonly #views = new Views()
  readonly #left = new Set<string>()

  observe(observation: Observation): void {
    this.#views.observe(observation)
    if (observation.kind === 'member' && observation.details['change'] === 'left') this.#left.add(observation.details['peer'] as string)
    if (observation.kind === 'start') this.#left.delete(observation.details['node'] as string)
  }

  end(world: World): void {
    const running = [...world.nodes.values()].filter(n => n.up && !this.#left.has(n.name)).map(n => n.name)
    for (const name of running) {
      const view = this.#views.of(name)
      const missing = running.filter(other => other !== name && !view.has(other))
      if (missing.length > 0) throw new Violation(this, `${name} does not see ${missing.join(', ')}`)
      const surplus = [...view].filter(other => !running.includes(other))
      if (surplus.length > 0) throw new Violation(this, `${name} still sees ${surplus.join(', ')}`)
    }
  }
}

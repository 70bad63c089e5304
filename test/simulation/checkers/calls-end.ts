import type { Observation, World } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** Every call ends once, in a reply, an error or its deadline, unless its caller crashes. */
export class CallsEnd implements Checker {
  readonly name = 'every call ends in a reply, an error or its deadline'
  readonly #open = new Map<string, { node: string; life: number }>()
  readonly #ended = new Set<string>()

  observe({ kind, details }: Observation): void {
    const { node, life, id } = details as { node: string; life: number; id: number }
    const call = `${node}/${life} ${id}`
    if (kind === 'called') this.#open.set(call, { node, life })
    if (kind !== 'ended') return
    if (this.#ended.has(call)) throw new Violation(this, `${call} ended twice`)
    this.#ended.add(call)
    this.#open.delete(call)
  }

  end(world: World): void {
    for (const [call, { node, life }] of this.#open) {
      if (world.node(node).up && world.node(node).life === life) throw new Violation(this, `${call} has not ended`)
    }
  }
}

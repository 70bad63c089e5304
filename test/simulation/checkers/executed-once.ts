import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** No activation executes one request twice. */
export class ExecutedOnce implements Checker {
  readonly name = 'no request id executed twice in an activation'
  readonly #executed = new Set<string>()

  observe({ kind, details }: Observation): void {
    if (kind !== 'executed') return
    const { activation, request } = details as { activation: string; request: string }
    const key = `${activation} ${request}`
    if (this.#executed.has(key)) throw new Violation(this, `${request} in ${activation}`)
    this.#executed.add(key)
  }
}

import type { Observation } from '../../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checker.ts'

/** What one caller asks of one activation is executed in the order of its numbers. */
export class PairOrder implements Checker {
  readonly name = 'calls of one caller to one actor are executed in order'
  readonly #last = new Map<string, number>()

  observe({ kind, details }: Observation): void {
    if (kind !== 'executed') return
    const { activation, caller, sequence } = details as { activation: string; caller: string; sequence: number }
    const pair = `${caller} > ${activation}`
    const last = this.#last.get(pair) ?? 0
    if (sequence < last) throw new Violation(this, `${pair}: ${sequence} after ${last}`)
    this.#last.set(pair, sequence)
  }
}

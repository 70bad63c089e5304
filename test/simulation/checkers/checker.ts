import type { Observer, World } from '../../../mesh/simulation/index.ts'

/** One thing that must hold. `observe` and `sent` are called as it happens, `end` once all faults are undone and time has passed. */
export interface Checker extends Observer {
  readonly name: string
  end?(world: World): void
}

/** What must hold did not. */
export class Violation extends Error {
  override name = 'Violation'
  readonly checker: string

  constructor(checker: Checker, message: string) {
    super(`${checker.name}: ${message}`)
    this.checker = checker.name
  }
}

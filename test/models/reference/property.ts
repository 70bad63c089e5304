import fc from 'fast-check'
import type { Test } from 'tap'
import { createRng, type Rng } from '../../../common/index.ts'

/**
 * A property over random cases: `fn` gets a generator that depends on the case only. Prints the seed; GRADMESH_TEST_SEED repeats one.
 */
export function property(t: Test, claim: string, runs: number, fn: (rng: Rng, seed: number) => Promise<void>): void {
  t.test(claim, async t => {
    const seed = Number(process.env['GRADMESH_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    t.comment('seed', seed)
    const details = await fc.check(
      fc.asyncProperty(fc.nat(2 ** 30), s => fn(createRng(s), s)),
      { numRuns: runs, seed, endOnFailure: true }
    )
    if (details.failed) {
      throw new Error(`seed ${seed}, case ${details.counterexample?.[0]}: ${(details.errorInstance as Error).message}`, {
        cause: details.errorInstance
      })
    }
    t.pass(claim)
  })
}

/** One of `choices`. */
export function pick<T>(rng: Rng, choices: readonly T[]): T {
  return choices[rng.int(choices.length)]
}

/** An integer in [low, high]. */
export function between(rng: Rng, low: number, high: number): number {
  return low + rng.int(high - low + 1)
}

/** `rank` sizes in [1, most]. */
export function sizes(rng: Rng, rank: number, most = 4): number[] {
  return Array.from({ length: rank }, () => between(rng, 1, most))
}

/** A shape that broadcasts into `shape`: leading dimensions dropped, others made 1, at random. */
export function narrowed(rng: Rng, shape: number[]): number[] {
  return shape.slice(rng.int(shape.length + 1)).map(d => (rng.int(3) === 0 ? 1 : d))
}

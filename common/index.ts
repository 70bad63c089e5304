/**
 * @packageDocumentation
 *
 * What every room stands on: the closed set of errors, the seeded generator, rendezvous order, the types of protocol cores, the
 * logger interface and the limits. No I/O.
 *
 * @example
 * import { createRng, rendezvousOwner, InvalidParametersError } from './common/index.ts'
 * const rng = createRng(7)
 * if (rng.int(6) > 5) throw new InvalidParametersError('a die has six faces')
 * console.log(rendezvousOwner('job-1', ['node-a', 'node-b', 'node-c']))
 */
export * from './core.ts'
export * from './errors.ts'
export * from './limits.ts'
export * from './logger.ts'
export * from './ports.ts'
export * from './random.ts'
export * from './rendezvous.ts'

/**
 * @packageDocumentation
 *
 * Exchange strategies: how the trainers of a job share what they learn. Each is a pure core behind {@link ExchangeStrategy}: told of
 * local gradients, landed transfers, messages and group changes, it answers with transfers between named ranges of arenas, arithmetic
 * on them, and when to apply and to compute. One file an algorithm, and a registry by name.
 *
 * @example
 * import { strategyNamed } from './actors/training/exchange/index.ts'
 * import { createRng } from './common/index.ts'
 * const strategy = strategyNamed('allreduce')
 * const state = strategy.create({})
 * const group = { job: 'j', generation: 1, self: 'a', members: [{ trainer: 'a' }], rank: 0, size: 10, tail: 3, optimizer: 0 }
 * const env = { now: 0, random: createRng(1) }
 * console.log(strategy.step(state, { type: 'group', group, step: 0 }, env)) // [{ type: 'compute', generation: 1, step: 1 }]
 * console.log(strategy.step(state, { type: 'gradients', generation: 1, step: 1, samples: 1, rate: 1 }, env)) // apply 1, compute 2
 */
export * from './arithmetic.ts'
export * from './registry.ts'
export * from './strategy.ts'

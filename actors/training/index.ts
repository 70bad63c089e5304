/**
 * @packageDocumentation
 *
 * Training on the mesh: jobs, trainers and evaluators as actors, exchange strategies, optimizers, checkpoints, and the node that
 * runs them.
 *
 * @example
 * const node = await startEmbedded({ trainers: 2 })
 * const { job } = await node.submit({
 *   model: 'lenet', data: 'digits', strategy: 'allreduce', trainers: 2, epochs: 1, batch: 32, lr: 0.02,
 *   optimizer: { name: 'sgd', momentum: 0.9 }, schedule: { policy: 'fixed' }, seed: 1, onSplit: 'wait', wait: false,
 *   logEvery: 10, scaleLr: false
 * })
 * for await (const event of node.follow(job)) console.log(event)
 * await node.close()
 */
export { type ExchangeStrategy, strategies, strategyNamed } from './exchange/index.ts'
export { checkSpec } from './job/records.ts'
export { checkModel, modelFileName, modelNotes, modelSettings, sourceOf } from './model/index.ts'
export { startEmbedded, startNode } from './node/start.ts'
export { version } from './node/version.ts'
export * from './service-types.ts'
export { readSafetensors, writeSafetensors } from './trainer/safetensors.ts'

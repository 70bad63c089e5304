/**
 * @packageDocumentation
 *
 * gradmesh: a serverless-style actor runtime on a peer-to-peer mesh, for training neural networks with no driver.
 *
 * @example
 * import { actor, join } from 'gradmesh'
 *
 * const Counter = actor('counter', {
 *   create: () => ({ n: 0 }),
 *   calls: { add: ({ state }, by: number) => (state.n += by) }
 * })
 * const mesh = await join({ stateDir: '/tmp/my-node' })
 * mesh.register(Counter)
 * console.log(await mesh.at(Counter, 'a').call('add', 2))
 * await mesh.close()
 */
export {
  type ActorType,
  actor,
  type CallTable,
  call,
  type Definition,
  event,
  type Handle,
  type Handlers,
  processActor,
  type StandardSchema,
  serve
} from './actors/runtime/index.ts'
export {
  type JobEvent,
  type JobSpec,
  type JobStatus,
  type NodeService,
  type NodeStatus,
  type RunningNode,
  type StartEmbeddedOptions,
  type StartNodeOptions,
  startEmbedded as embed,
  startNode as join,
  strategies,
  version
} from './actors/training/index.ts'
export * from './common/errors.ts'
export { datasetNames, openDataset } from './datasets/index.ts'
export { buildModel, exportModel, initialise, modelNames, trainingGraph } from './models/index.ts'

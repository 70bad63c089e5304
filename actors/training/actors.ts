import type { ActorType } from '../runtime/index.ts'
import type { JobCalls } from './job/definition.ts'
import type { NodeCalls } from './node/definition.ts'

/** How others address a job's actor. Its behaviour is registered by the node. */
export const Job: ActorType<JobCalls> = { name: 'job' }

/** How others address a node's own actor. */
export const Node: ActorType<NodeCalls> = { name: 'node' }

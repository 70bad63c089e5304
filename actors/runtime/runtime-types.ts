import type { Logger } from '../../common/index.ts'
import type { Agreement, KeyValue, Mesh } from '../../mesh/index.ts'

/** What the runtime needs of the mesh below it. */
export type RuntimeMesh = Pick<
  Mesh,
  | 'peer'
  | 'alive'
  | 'members'
  | 'onMembers'
  | 'capabilities'
  | 'handle'
  | 'handleStream'
  | 'onNotify'
  | 'request'
  | 'stream'
  | 'notify'
  | 'records'
  | 'publishCapabilities'
> & { readonly agreement: Agreement }

export interface RuntimeInit {
  mesh: RuntimeMesh
  logger: Logger
  /** Where this node keeps its copies of actors' states. */
  store: KeyValue
  /** Bytes that actors with `needs.memory` may set aside on this node. @default what is free now */
  memory?: number
}

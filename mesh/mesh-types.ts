import type { Logger } from '../common/index.ts'
import type { Agreement } from './agreement/index.ts'
import type { Capabilities, Device, Fabric } from './capabilities/index.ts'
import type { Control } from './control/index.ts'
import type { Host } from './host.ts'
import type { Member, MemberChange, Membership, MembershipSettings } from './membership/index.ts'
import type { Records } from './records/index.ts'
import type { StandingSource } from './standing.ts'
import type { State } from './state/index.ts'

/** What {@link startMesh} takes. */
export interface MeshInit {
  /** The node's state folder. The mesh does not close it. */
  state: State
  /** Multiaddrs to listen on. @default TCP on a free port of every interface */
  listen?: string[]
  /** Multiaddrs of members to dial, and to dial again as long as they are not connected. */
  peers?: string[]
  /** A token like `gm1…`; an empty text for none. @default the environment's GRADMESH_INVITE */
  invite?: string
  /** Path of a shared key file. */
  keyFile?: string
  /** Look for nodes on the local network. @default true unless every listening address is loopback */
  mdns?: boolean
  labels?: Record<string, string>
  devices?: Device[]
  /** @default TCP only */
  fabrics?: Fabric[]
  logger?: Logger
  membership?: Partial<MembershipSettings>
  /**
   * Called before the first other member can reach us: the place to register handlers, so that no early request finds none. Only
   * `handle`, `handleStream`, `onNotify`, `records` and `agreement` are of use in it.
   */
  prepare?: (mesh: Mesh) => void | Promise<void>
  /** Wall clock, ms. @default Date.now */
  wallClock?: () => number
}

/** A node's place in a mesh, and its way to all the other members. */
export interface Mesh extends Pick<Control, 'handle' | 'handleStream' | 'onNotify' | 'request' | 'stream' | 'notify'> {
  /** Our peer id. */
  readonly peer: string
  /** The mesh's name: a hash of its founding public key. */
  readonly name: string
  /** By what we belong to it. */
  readonly source: StandingSource
  readonly host: Host
  readonly membership: Membership
  readonly agreement: Agreement
  readonly records: Records
  /** What the user should know, one line each; grows. */
  readonly warnings: readonly string[]
  /** Resolves when this node was removed from the mesh (its id was revoked), with the reason. */
  readonly removed: Promise<Error>
  /** Multiaddrs with our peer id. */
  addresses(): string[]
  /** All that are known, ourselves included, dead and left ones until they are forgotten. */
  members(): Member[]
  /** Peers believed alive, ourselves included; sorted. */
  alive(): string[]
  /** Peers with a connection to us. */
  connected(): string[]
  /** @returns unsubscribes */
  onMembers(callback: (change: MemberChange) => void): () => void
  /** What `peer` says it has; undefined when that is not known, or no longer. */
  capabilities(peer: string): Capabilities | undefined
  /** Changes what we say of ourselves. */
  publishCapabilities(update: Partial<Omit<Capabilities, 'peer'>>): void
  /** @returns unsubscribes */
  onCapabilities(callback: (capabilities: Capabilities) => void): () => void
  /** A token that lets its bearer join, through any member. @param options.ttl - ms until it expires, a day by default */
  invite(options?: { ttl?: number }): string
  /** A certificate for a trainer process of this node; `savedAuthority` takes it together with the mesh's name. */
  certifyTrainer(peer: string): Uint8Array
  /** `peer` counts as no member from now on, on every node. */
  revoke(peer: string): void
  /** Leaves for good: tells the others, signed, forgets the saved membership, stops. */
  leave(options?: { signal?: AbortSignal }): Promise<void>
  /** Stops speaking. The membership stays saved, and the others will find this node silent. */
  stop(): Promise<void>
}

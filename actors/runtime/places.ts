import { OverloadedError } from '../../common/index.ts'
import type { Kind } from './activations.ts'
import { type Address, formatAddress } from './address.ts'
import { type Candidate, placementOrder } from './placement.ts'
import type { RuntimeMesh } from './runtime-types.ts'

/** A node that is about to leave says so in its labels, and placement passes it over. */
const DRAINING = 'gradmesh.draining'

export interface PlacesInit {
  mesh: RuntimeMesh
  kind(actor: string): Kind | undefined
  /** Who owns a fenced actor, if that node lives. */
  ownerOf(name: string): string | undefined
}

/** Where actors live, as this node sees the mesh. */
export class Places {
  readonly #init: PlacesInit
  /** This node is about to leave. */
  draining = false

  constructor(init: PlacesInit) {
    this.#init = init
  }

  /** From now on no node places actors here. */
  drain(): void {
    this.draining = true
    const { mesh } = this.#init
    const labels = mesh.capabilities(mesh.peer)?.labels ?? {}
    mesh.publishCapabilities({ labels: { ...labels, [DRAINING]: 'true' } })
  }

  /** Where an actor lives, or would. @throws OverloadedError when no member can take it */
  where(target: Address, kind: Kind | undefined, choice: number): string {
    const owner = this.#init.ownerOf(formatAddress(target))
    if (owner !== undefined && choice === 0 && (owner !== this.#init.mesh.peer || !this.draining)) return owner
    const order = this.order(target, kind)
    const node = order[choice]
    if (node !== undefined) return node
    const needs = kind?.definition.needs
    if (needs === undefined && order.length === 0) return this.#init.mesh.peer
    throw new OverloadedError(`no node of this mesh can take ${formatAddress(target)} now: it needs ${JSON.stringify(needs ?? {})}`)
  }

  /** Who may take an actor, the first choice first. */
  order(target: Address, kind: Kind | undefined): string[] {
    const { placement } = kind?.definition ?? {}
    let near: string | undefined
    if (typeof placement === 'object') {
      const other = placement.near(target.key)
      near =
        this.#init.ownerOf(formatAddress(other)) ?? placementOrder(other, this.#init.kind(other.actor)?.definition, this.candidates())[0]
    }
    return placementOrder(target, kind?.definition, this.candidates(), near)
  }

  /** Members that stay. */
  candidates(): Candidate[] {
    const mesh = this.#init.mesh
    const all = mesh.alive().map(peer => ({ peer, capabilities: mesh.capabilities(peer) }))
    const staying = all.filter(c => (c.peer === mesh.peer ? !this.draining : c.capabilities?.labels[DRAINING] === undefined))
    return staying.length > 0 ? staying : all
  }
}

import { rendezvousOrder } from '../../common/index.ts'
import type { Capabilities } from '../../mesh/index.ts'
import { type Address, formatAddress } from './address.ts'
import type { AnyDefinition, Needs } from './definition.ts'

/** A member as placement sees it: itself and what it says it has, when that is known. */
export interface Candidate {
  peer: string
  capabilities: Capabilities | undefined
}

/**
 * Who may run an actor, the first choice first: a pure function of the view, so that equal views give equal owners.
 *
 * @param near - the owner of the actor that it wants to be near to
 */
export function placementOrder(
  target: Address,
  definition: Pick<AnyDefinition, 'needs' | 'placement'> | undefined,
  members: readonly Candidate[],
  near?: string
): string[] {
  const { needs, placement = 'spread' } = definition ?? {}
  const fit = needs === undefined ? members : members.filter(m => meets(m.capabilities, needs))
  const weights = new Map(fit.map(m => [m.peer, weightOf(m.capabilities, needs)]))
  const key = placement === 'pack' ? `${target.actor}/` : formatAddress(target)
  const order = rendezvousOrder(key, weights.keys(), peer => weights.get(peer)!)
  if (near === undefined || !order.includes(near)) return order
  return [near, ...order.filter(peer => peer !== near)]
}

/** Whether a node says that it has what is needed, held or not. Memory is its own ledger's to judge. */
export function meets(capabilities: Capabilities | undefined, needs: Needs): boolean {
  const { devices, labels } = needs
  if (devices === undefined && labels === undefined) return true
  if (capabilities === undefined) return false
  if (devices !== undefined && capabilities.devices.filter(d => d.kind === devices.kind).length < (devices.count ?? 1)) return false
  return Object.entries(labels ?? {}).every(([name, value]) => capabilities.labels[name] === value)
}

/** A node's share of actors: how many of them its devices could hold, else one. */
function weightOf(capabilities: Capabilities | undefined, needs: Needs | undefined): number {
  const devices = needs?.devices
  if (devices === undefined || capabilities === undefined) return 1
  return Math.max(1, Math.floor(capabilities.devices.filter(d => d.kind === devices.kind).length / (devices.count ?? 1)))
}

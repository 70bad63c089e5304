/**
 * @packageDocumentation
 *
 * Membership: who is in the mesh, as this node sees it. Failure detection by probing after SWIM (Das 2002) with Lifeguard's
 * health-aware suspicion (Dadgar 2018); views spread as gossip on the probes, and are compared whole with a random member now and
 * then. No node is special. A member that was declared dead by mistake, or behind a partition, refutes and is back.
 *
 * On defaults a killed or frozen node is declared by everybody 1.2 to 1.7 s after, and a node that stalls for a second is not.
 *
 * @example
 * import { createRng, systemClock } from '../../common/index.ts'
 * import { createMembership } from './index.ts'
 * const nodes = new Map()
 * for (const self of ['a', 'b', 'c']) {
 *   const send = (to, bytes) => setImmediate(() => nodes.get(to)?.receive(self, bytes))
 *   nodes.set(self, createMembership({ self, ports: { clock: systemClock, random: createRng(self), send } }))
 * }
 * for (const node of nodes.values()) node.start()
 * nodes.get('b').join(['a'])
 * nodes.get('c').join(['a'])
 * nodes.get('a').onChange(({ change, member }) => console.log(change, member.peer)) // joined b, joined c
 */
import { Membership, type MembershipOptions } from './membership.ts'

export { leaveBytes, type Member, type MemberChange, type Membership, type MembershipOptions, type MembershipPorts } from './membership.ts'
export { MAX_MEMBERSHIP_MESSAGE, type MemberState } from './record.ts'
export { defaultSettings as defaultMembershipSettings, type MembershipSettings } from './settings.ts'
export type { Change } from './state.ts'

/** Protocol id of membership messages; each is one length-prefixed frame of at most MAX_MEMBERSHIP_MESSAGE bytes. */
export const MEMBERSHIP_PROTOCOL = '/gradmesh/membership/1.0.0'

/** A membership that does nothing until `start()`. */
export function createMembership(options: MembershipOptions): Membership {
  return new Membership(options)
}

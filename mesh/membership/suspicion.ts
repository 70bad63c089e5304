import type { MembershipSettings } from './settings.ts'

/**
 * How long a suspicion lasts from its start, ms: the longest while nobody else suspects, down to the shortest when `expected`
 * others do: `max − (max − min) · log(c + 1) / log(k + 1)`. A node that alone finds a member silent is more likely the sick one.
 *
 * @param confirmations - c, members other than this node that suspect it too
 * @param size - members of the mesh, dead ones not counted
 * @see Dadgar 2018, Lifeguard, section IV-B
 */
export function suspicionTimeout(confirmations: number, size: number, settings: MembershipSettings): number {
  const min = settings.suspicionMin * Math.max(1, Math.log10(size))
  const expected = Math.min(settings.confirmations, size - 2)
  // with two members nobody is left to confirm
  if (expected <= 0) return min
  const max = min * settings.suspicionFactor
  const share = Math.min(1, Math.log(confirmations + 1) / Math.log(expected + 1))
  return max - (max - min) * share
}

/** How many times a node passes one record on: ⌈λ · log10(n + 1)⌉ reaches everybody with high probability. @see Das 2002 */
export function retransmitLimit(size: number, settings: MembershipSettings): number {
  return Math.max(1, Math.ceil(settings.retransmit * Math.log10(size + 1)))
}

import { InvalidParametersError } from '../../common/index.ts'

/**
 * Every setting of the failure detector, with the formula it enters. On the defaults a node that is killed or frozen is declared
 * within `1.5 · period + probeTimeout + suspicionMin` = 1.7 s in a mesh of up to ten nodes, on average 1.35 s, and a node may stand
 * still for `probeTimeout + suspicionMin` = 1.25 s unharmed. (Simulated, every node stalling for 50 to 300 ms each second: five nodes
 * p50 1.35 s, p99 1.64 s; nobody declared falsely in hours with further stalls of 700 or 1000 ms.)
 */
export interface MembershipSettings {
  /** Time between rounds of probes, ms. @default 300 */
  period: number
  /** Members probed in a round; so a node sends at most `2 · probes / period` messages per ms, at any size of the mesh. @default 4 */
  probes: number
  /** A member that was heard within this share of a period is not probed in this round. @default 0.5 */
  freshness: number
  /** Wait for an ack before other members are asked to probe, ms; × (1 + health / 2). @default 250 */
  directTimeout: number
  /** Wait from the ping to the suspicion, ms; × (1 + health / 2). @default 500 */
  probeTimeout: number
  /** Members asked to probe one that did not answer. @default 3 */
  relays: number
  /** Shortest suspicion, ms, reached when `confirmations` others suspect too; × max(1, log10(n)). @default 750 */
  suspicionMin: number
  /** Longest suspicion as a multiple of the shortest, used when nobody else suspects. @default 2.5 */
  suspicionFactor: number
  /** Others whose suspicion shortens it to the shortest; at most n − 2. @default 3 */
  confirmations: number
  /** Highest local health score (0 is well): raised by refutations and missing nacks, lowered by answered probes. @default 2 */
  healthMax: number
  /** A wake-up later than this is a stall of this node, ms; nothing that fell due in it is judged before inputs were read. @default 60 */
  stallSlack: number
  /** Share of a stall's length for which judgement is put off, within [stallHoldMin, stallHoldMax] ms. @default 0.5 */
  stallHold: number
  /** @default 100 */
  stallHoldMin: number
  /** @default 2000 */
  stallHoldMax: number
  /** A record is passed on ⌈retransmit · log10(n + 1)⌉ times by each node. @default 4 */
  retransmit: number
  /** Records that ride on one message. @default 12 */
  piggyback: number
  /** Members that urgent news (suspicion, death, refutation, leave) goes to at once. @default 4 */
  fanout: number
  /** Time between comparisons of the whole view with a random member, ms. @default 5000 */
  syncInterval: number
  /** Time between tries to reach one random dead member again, ms. @default 1000 */
  reconnectInterval: number
  /** A dead or left member is forgotten after this, ms. @default 1800000 */
  forgetAfter: number
  /** Members this view may hold; the oldest dead make room, then newcomers are not taken. @default MAX_MEMBERS */
  maxMembers: number
}

export const defaultSettings: Readonly<MembershipSettings> = {
  period: 300,
  probes: 4,
  freshness: 0.5,
  directTimeout: 250,
  probeTimeout: 500,
  relays: 3,
  suspicionMin: 750,
  suspicionFactor: 2.5,
  confirmations: 3,
  healthMax: 2,
  stallSlack: 60,
  stallHold: 0.5,
  stallHoldMin: 100,
  stallHoldMax: 2000,
  retransmit: 4,
  piggyback: 12,
  fanout: 4,
  syncInterval: 5000,
  reconnectInterval: 1000,
  forgetAfter: 30 * 60_000,
  maxMembers: 10_000
}

const mayBeZero = new Set(['healthMax', 'relays', 'freshness'])

/** @throws InvalidParametersError when a setting is not a positive number, or the two timeouts are out of order */
export function resolveSettings(given: Partial<MembershipSettings> = {}): MembershipSettings {
  const settings = { ...defaultSettings, ...dropUndefined(given) }
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value !== 'number' || !(value >= 0) || (value === 0 && !mayBeZero.has(name))) {
      throw new InvalidParametersError(`membership setting ${name} is ${value}: give a positive number`)
    }
  }
  if (settings.probeTimeout < settings.directTimeout) {
    throw new InvalidParametersError(
      `membership setting probeTimeout (${settings.probeTimeout} ms) is below directTimeout (${settings.directTimeout} ms): raise it`
    )
  }
  return settings
}

function dropUndefined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined)) as T
}

import type { CancelTimer, Rng, Send, SetTimer, TimerEvent } from '../../common/index.ts'
import { hash32 } from '../../common/index.ts'
import { Broadcasts } from './broadcasts.ts'
import { type MemberRecord, type MemberState, noBytes } from './record.ts'
import type { MembershipSettings } from './settings.ts'

/** A membership message in memory. `epoch` and `incarnation` are the sender's. */
export type MembershipMessage = { epoch: number; incarnation: number; records: MemberRecord[] } & (
  | { kind: 'ping'; probe: number }
  /** `target` is set when a relay passes on that the target answered. */
  | { kind: 'ack'; probe: number; target: string }
  /** Ping `target` for me. */
  | { kind: 'ask'; probe: number; target: string }
  /** The relay is well, the target did not answer it yet. */
  | { kind: 'nack'; probe: number; target: string }
  | { kind: 'news' }
  | { kind: 'digest'; digest: number }
  /** Part of a whole view; `reply` on the last part asks for the receiver's. */
  | { kind: 'state'; reply: boolean }
)

/** What happened to a member. A restart shows as `dead` of the old life, then `joined`. */
export type Change = 'joined' | 'alive' | 'suspect' | 'dead' | 'left' | 'updated' | 'forgotten'

export interface Notify {
  type: 'notify'
  change: Change
  member: MemberRecord
}

/** Try to get a connection to a member that is held for dead; whatever it sends then lets it refute. */
export interface Reconnect {
  type: 'reconnect'
  peer: string
  addresses: string[]
}

export type MembershipEffect = Send<MembershipMessage> | SetTimer | CancelTimer | Notify | Reconnect

export type MembershipEvent =
  | TimerEvent
  | { type: 'start' }
  | { type: 'message'; from: string; message: MembershipMessage }
  /** Speak to these peers until one of them answers. */
  | { type: 'join'; peers: string[] }
  /** The connection to the peer closed: look at once whether it lives. */
  | { type: 'hint'; peer: string }
  | { type: 'addresses'; addresses: string[] }
  | { type: 'leave'; proof: Uint8Array }

/** A member as this node holds it. */
export interface MemberEntry extends MemberRecord {
  /** When `state` was entered. */
  since: number
  suspicion?: Suspicion
  /** When anything came from it last. */
  heard: number
  /** For a dead one: when to try to reach it again. */
  nextTry: number
}

export interface Suspicion {
  start: number
  /** All who suspect it, this node included if it does. */
  by: Set<string>
  due: number
  defers: number
}

/** A ping of this node that waits for its ack. */
export interface Probe {
  id: number
  peer: string
  directDue: number
  verdictDue: number
  /** Relays asked; 0 until the direct timeout. */
  asked: number
  nacks: number
  defers: number
}

/** A ping sent for another member. */
export interface AskedProbe {
  origin: string
  originProbe: number
  target: string
  nackDue: number
  forgetDue: number
  nacked: boolean
}

export interface MembershipState {
  settings: MembershipSettings
  self: MemberRecord
  members: Map<string, MemberEntry>
  /** Members alive or suspect, in the order of this cycle's probes; may hold names that are so no more. */
  order: string[]
  cursor: number
  /** Members alive or suspect, without this node. */
  liveCount: number
  /** Sum over the live members and this node of a hash of (peer, epoch, incarnation), mod 2³². */
  digest: number
  probes: Map<number, Probe>
  probing: Map<string, number>
  asked: Map<number, AskedProbe>
  suspects: Set<string>
  dead: Set<string>
  /** Peers to speak to until somebody answers. */
  joining: Map<string, { nextTry: number; tries: number }>
  broadcasts: Broadcasts
  nextProbe: number
  health: number
  nextRound: number
  nextSync: number
  nextReconnect: number
  nextForget: number
  /** When the wake timer is due; Infinity while not running. */
  wakeAt: number
  running: boolean
}

export interface MembershipInit {
  self: string
  /** Life of this process; must be above that of earlier lives (milliseconds since 1970 will do). */
  epoch: number
  addresses?: string[]
  version?: Uint8Array
  settings: MembershipSettings
}

export function createMembershipState(init: MembershipInit): MembershipState {
  const self: MemberRecord = {
    peer: init.self,
    epoch: init.epoch,
    incarnation: 0,
    state: 'alive',
    addresses: init.addresses ?? [],
    version: init.version ?? noBytes,
    by: '',
    proof: noBytes
  }
  return {
    settings: init.settings,
    self,
    members: new Map(),
    order: [],
    cursor: 0,
    liveCount: 0,
    digest: lifeHash(self),
    probes: new Map(),
    probing: new Map(),
    asked: new Map(),
    suspects: new Set(),
    dead: new Set(),
    joining: new Map(),
    broadcasts: new Broadcasts(),
    nextProbe: 1,
    health: 0,
    nextRound: Number.POSITIVE_INFINITY,
    nextSync: Number.POSITIVE_INFINITY,
    nextReconnect: Number.POSITIVE_INFINITY,
    nextForget: Number.POSITIVE_INFINITY,
    wakeAt: Number.POSITIVE_INFINITY,
    running: false
  }
}

export function isLive(state: MemberState): boolean {
  return state === 'alive' || state === 'suspect'
}

/** Size of the mesh as this node sees it, itself included. */
export function meshSize(s: MembershipState): number {
  return s.liveCount + 1
}

/** The part of a member's entry that travels; suspicion and death leave out what does not change. */
export function recordOf(m: MemberRecord, whole: boolean): MemberRecord {
  const bare = !whole && (m.state === 'suspect' || m.state === 'dead')
  return {
    peer: m.peer,
    epoch: m.epoch,
    incarnation: m.incarnation,
    state: m.state,
    addresses: bare ? [] : m.addresses,
    version: bare ? noBytes : m.version,
    by: m.by,
    proof: m.proof
  }
}

export function lifeHash(m: { peer: string; epoch: number; incarnation: number }): number {
  return hash32(m.peer, hash32(`${m.epoch}/${m.incarnation}`))
}

/** Runs `change` on a member or on this node's own record and keeps digest and counts right. */
export function changing(s: MembershipState, m: MemberRecord, change: () => void): void {
  if (isLive(m.state)) s.digest = (s.digest - lifeHash(m)) >>> 0
  const before = isLive(m.state)
  change()
  const after = isLive(m.state)
  if (after) s.digest = (s.digest + lifeHash(m)) >>> 0
  if (m !== s.self) s.liveCount += Number(after) - Number(before)
}

/** Up to `count` different live members other than `skip`, chosen at random in time independent of the mesh's size. */
export function pickLive(s: MembershipState, count: number, random: Rng, skip: (peer: string) => boolean): string[] {
  const picked = new Set<string>()
  const { order } = s
  if (order.length === 0) return []
  if (order.length <= count * 4) {
    // few: walk all from a random place
    const from = random.int(order.length)
    for (let i = 0; i < order.length && picked.size < count; i++) {
      const peer = order[(from + i) % order.length]!
      if (isPickable(s, peer, skip)) picked.add(peer)
    }
    return [...picked]
  }
  for (let tries = 0; tries < count * 8 && picked.size < count; tries++) {
    const peer = order[random.int(order.length)]!
    if (isPickable(s, peer, skip)) picked.add(peer)
  }
  return [...picked]
}

function isPickable(s: MembershipState, peer: string, skip: (peer: string) => boolean): boolean {
  const m = s.members.get(peer)
  return m !== undefined && isLive(m.state) && !skip(peer)
}

import { type Env, shuffle } from '../../common/index.ts'
import { send, suspect } from './merge-core.ts'
import type { MemberRecord } from './record.ts'
import { type AskedProbe, isLive, type MembershipEffect, type MembershipState, meshSize, type Probe, pickLive, recordOf } from './state.ts'
import { retransmitLimit } from './suspicion.ts'

/** Pings that this node carries out for others at one time. */
const MAX_ASKED = 256

/** Timeouts grow with this node's own ill health: whoever finds many silent is likely the slow one. @see Dadgar 2018, IV-A */
function stretched(s: MembershipState, timeout: number): number {
  return timeout * (1 + s.health / 2)
}

/** Pings the next members of the cycle; a cycle is a random order of all, so that each is reached within n / probes rounds. */
export function probeRound(s: MembershipState, env: Env, out: MembershipEffect[]): void {
  let looked = 0
  let sent = 0
  const bound = s.order.length
  while (sent < s.settings.probes && looked < bound) {
    if (s.cursor >= s.order.length) startCycle(s, env)
    const peer = s.order[s.cursor]
    if (peer === undefined) return
    s.cursor++
    looked++
    const m = s.members.get(peer)
    if (m === undefined || !isLive(m.state) || s.probing.has(peer)) continue
    // of two that probe each other one is enough: its ping shows the other that it lives
    if (m.state === 'alive' && env.now - m.heard < s.settings.period * s.settings.freshness) continue
    startProbe(s, peer, env, out)
    sent++
  }
}

function startCycle(s: MembershipState, env: Env): void {
  s.order = s.order.filter(peer => {
    const m = s.members.get(peer)
    return m !== undefined && isLive(m.state)
  })
  shuffle(s.order, env.random)
  s.cursor = 0
}

export function startProbe(s: MembershipState, peer: string, env: Env, out: MembershipEffect[]): Probe {
  const id = nextProbeId(s)
  const probe: Probe = {
    id,
    peer,
    directDue: env.now + stretched(s, s.settings.directTimeout),
    verdictDue: env.now + stretched(s, s.settings.probeTimeout),
    asked: 0,
    nacks: 0,
    defers: 0
  }
  s.probes.set(id, probe)
  s.probing.set(peer, id)
  send(s, peer, { kind: 'ping', probe: id, records: riders(s, peer) }, out)
  return probe
}

function nextProbeId(s: MembershipState): number {
  const id = s.nextProbe
  s.nextProbe = (s.nextProbe % 0xffffffff) + 1
  return id
}

/** The records that ride on a message to `to`: first what it should refute, then news. */
export function riders(s: MembershipState, to: string): MemberRecord[] {
  const records: MemberRecord[] = []
  const about = s.members.get(to)
  if (about !== undefined && (about.state === 'suspect' || about.state === 'dead')) records.push(recordOf(about, false))
  const news = s.broadcasts.take(s.settings.piggyback - records.length, retransmitLimit(meshSize(s), s.settings), to)
  records.push(...news)
  return records
}

/** The connection to `peer` closed: probe it at once, directly and through others; that proves nothing by itself. */
export function onHint(s: MembershipState, peer: string, env: Env, out: MembershipEffect[]): void {
  const m = s.members.get(peer)
  if (m === undefined || !isLive(m.state)) return
  const id = s.probing.get(peer)
  const probe = id === undefined ? startProbe(s, peer, env, out) : s.probes.get(id)!
  if (probe.asked === 0) askRelays(s, probe, env, out)
}

export function askRelays(s: MembershipState, probe: Probe, env: Env, out: MembershipEffect[]): void {
  probe.directDue = Number.POSITIVE_INFINITY
  const relays = pickLive(s, s.settings.relays, env.random, peer => peer === probe.peer)
  probe.asked = relays.length
  for (const relay of relays) send(s, relay, { kind: 'ask', probe: probe.id, target: probe.peer, records: riders(s, relay) }, out)
}

/** Nobody heard from the target in time. */
export function onVerdict(s: MembershipState, probe: Probe, env: Env, out: MembershipEffect[]): void {
  endProbe(s, probe)
  // relays that say nothing at all hint that this node is the deaf one
  if (probe.asked > 0 && probe.nacks < probe.asked) s.health = Math.min(s.settings.healthMax, s.health + 1)
  const m = s.members.get(probe.peer)
  if (m !== undefined && isLive(m.state)) suspect(s, m, s.self.peer, env, out)
}

export function endProbe(s: MembershipState, probe: Probe): void {
  s.probes.delete(probe.id)
  if (s.probing.get(probe.peer) === probe.id) s.probing.delete(probe.peer)
}

export function onAck(s: MembershipState, from: string, probeId: number, target: string, env: Env, out: MembershipEffect[]): void {
  const asked = s.asked.get(probeId)
  if (asked !== undefined && asked.target === from) {
    s.asked.delete(probeId)
    send(s, asked.origin, { kind: 'ack', probe: asked.originProbe, target: asked.target, records: riders(s, asked.origin) }, out)
    return
  }
  const probe = s.probes.get(probeId)
  if (probe === undefined || probe.peer !== (target === '' ? from : target)) return
  endProbe(s, probe)
  if (probe.asked === 0) s.health = Math.max(0, s.health - 1)
  void env
}

export function onAsk(s: MembershipState, origin: string, originProbe: number, target: string, env: Env, out: MembershipEffect[]): void {
  if (s.asked.size >= MAX_ASKED || target === s.self.peer || !s.members.has(target)) return
  const id = nextProbeId(s)
  const asked: AskedProbe = {
    origin,
    originProbe,
    target,
    nackDue: env.now + (s.settings.probeTimeout - s.settings.directTimeout) * 0.7,
    forgetDue: env.now + s.settings.probeTimeout * 2,
    nacked: false
  }
  s.asked.set(id, asked)
  send(s, target, { kind: 'ping', probe: id, records: riders(s, target) }, out)
}

export function onNack(s: MembershipState, probeId: number, target: string): void {
  const probe = s.probes.get(probeId)
  if (probe !== undefined && probe.peer === target) probe.nacks++
}

import type { Env } from '../../common/index.ts'
import { declareDead, forget, merge, notify, outlive, send, spread } from './merge-core.ts'
import { askRelays, onAck, onAsk, onHint, onNack, onVerdict, probeRound, riders } from './probing-core.ts'
import { compareLife } from './record.ts'
import {
  changing,
  isLive,
  type MembershipEffect,
  type MembershipEvent,
  type MembershipMessage,
  type MembershipState,
  recordOf
} from './state.ts'
import { joinRound, onDigest, onJoin, sendDigest, sendState, syncRound } from './sync-core.ts'

/** The one timer of this core. */
const WAKE = 'wake'
/** Stalls in a row that may put one judgement off. */
const MAX_DEFERS = 2
/** Longest pause between tries to reach a dead member, ms. */
const RECONNECT_MAX = 15_000
/** Time between looks for members to forget, ms. */
const FORGET_INTERVAL = 10_000

/**
 * Membership as a pure core: SWIM's probing and gossip with Lifeguard's health-aware suspicion. All time comes from `env.now`, all
 * chance from `env.random`.
 *
 * @see Das, Gupta, Motivala 2002 (SWIM); Dadgar, Phillips, Currey 2018 (Lifeguard)
 */
export function membershipStep(s: MembershipState, event: MembershipEvent, env: Env): MembershipEffect[] {
  const out: MembershipEffect[] = []
  if (event.type === 'start') start(s, env)
  if (!s.running) return out
  const late = env.now - s.wakeAt
  if (late > s.settings.stallSlack) onStall(s, late, env)
  switch (event.type) {
    case 'start':
      break
    case 'timer':
      if (event.id === WAKE) onWake(s, env, out)
      break
    case 'message':
      if (event.from !== s.self.peer) onMessage(s, event.from, event.message, env, out)
      break
    case 'join':
      onJoin(s, event.peers, env, out)
      break
    case 'hint':
      onHint(s, event.peer, env, out)
      break
    case 'addresses':
      s.self.addresses = event.addresses
      outlive(s, s.self)
      spread(s, s.self, env, out)
      break
    case 'leave':
      leave(s, event.proof, env, out)
      return out
  }
  setWake(s, event, env, out)
  return out
}

function start(s: MembershipState, env: Env): void {
  const { settings } = s
  s.running = true
  s.nextRound = env.now + settings.period * env.random.float()
  s.nextSync = env.now + settings.syncInterval * (0.5 + env.random.float())
  s.nextReconnect = env.now + settings.reconnectInterval * env.random.float()
  s.nextForget = env.now + FORGET_INTERVAL
  s.wakeAt = env.now
}

/**
 * This node itself did not run for `late` ms: answers may lie unread. What falls due before they can have been read is put off, so
 * that a stalled node does not judge others by its own deafness.
 */
function onStall(s: MembershipState, late: number, env: Env): void {
  const { settings } = s
  // whoever stands still for so long is no good judge for a while
  if (late > settings.probeTimeout) s.health = settings.healthMax
  const until = env.now + Math.min(settings.stallHoldMax, Math.max(settings.stallHoldMin, late * settings.stallHold))
  for (const probe of s.probes.values()) {
    if (probe.verdictDue < until && probe.defers < MAX_DEFERS) {
      probe.defers++
      probe.verdictDue = until
    }
  }
  for (const peer of s.suspects) {
    const suspicion = s.members.get(peer)!.suspicion!
    if (suspicion.due < until && suspicion.defers < MAX_DEFERS) {
      suspicion.defers++
      suspicion.due = until
    }
  }
}

function onWake(s: MembershipState, env: Env, out: MembershipEffect[]): void {
  const { now } = env
  for (const probe of s.probes.values()) {
    if (probe.verdictDue <= now) onVerdict(s, probe, env, out)
    else if (probe.directDue <= now) askRelays(s, probe, env, out)
  }
  for (const [id, asked] of s.asked) {
    if (asked.forgetDue <= now) s.asked.delete(id)
    else if (asked.nackDue <= now && !asked.nacked) {
      asked.nacked = true
      send(s, asked.origin, { kind: 'nack', probe: asked.originProbe, target: asked.target, records: [] }, out)
    }
  }
  for (const peer of s.suspects) {
    const m = s.members.get(peer)!
    if (m.suspicion!.due <= now) {
      declareDead(s, m, m, env, out)
      spread(s, m, env, out)
    }
  }
  if (s.nextRound <= now) {
    probeRound(s, env, out)
    s.nextRound = Math.max(s.nextRound + s.settings.period, now + s.settings.period / 2)
  }
  if (s.nextSync <= now) {
    syncRound(s, env, out)
    s.nextSync = now + s.settings.syncInterval * (0.5 + env.random.float())
  }
  if (s.nextReconnect <= now) {
    reconnectRound(s, env, out)
    s.nextReconnect = now + s.settings.reconnectInterval
  }
  if (s.nextForget <= now) {
    for (const m of s.members.values()) {
      if (!isLive(m.state) && now - m.since > s.settings.forgetAfter) forget(s, m, out)
    }
    s.nextForget = now + FORGET_INTERVAL
  }
  if (s.joining.size > 0) joinRound(s, env, out)
}

/** Tries one dead member: it may have been cut off with us, or us with it. Who is dead for long is tried more seldom. */
function reconnectRound(s: MembershipState, env: Env, out: MembershipEffect[]): void {
  const due = Array.from(s.dead, peer => s.members.get(peer)!).filter(m => m.nextTry <= env.now)
  if (due.length === 0) return
  const m = due[env.random.int(due.length)]!
  const { reconnectInterval } = s.settings
  m.nextTry = env.now + Math.max(reconnectInterval, Math.min(RECONNECT_MAX, (env.now - m.since) / 10))
  out.push({ type: 'reconnect', peer: m.peer, addresses: m.addresses })
  send(s, m.peer, { kind: 'ping', probe: 0, records: [recordOf(m, false), recordOf(s.self, true)] }, out)
}

function onMessage(s: MembershipState, from: string, message: MembershipMessage, env: Env, out: MembershipEffect[]): void {
  const known = s.members.get(from)
  // who left is not heard any more in that life
  if (known?.state === 'left' && message.epoch <= known.epoch) return
  if (known !== undefined) known.heard = env.now
  const whole = message.kind === 'state'
  for (const record of message.records) merge(s, record, from, whole || record.peer === from, env, out)
  answerTheDead(s, from, message, out)
  switch (message.kind) {
    case 'ping':
      send(s, from, { kind: 'ack', probe: message.probe, target: '', records: riders(s, from) }, out)
      // it may know us by another name's words only: let it compare
      if (!s.members.has(from)) sendDigest(s, from, out)
      break
    case 'ack':
      onAck(s, from, message.probe, message.target, env, out)
      break
    case 'ask':
      onAsk(s, from, message.probe, message.target, env, out)
      break
    case 'nack':
      onNack(s, message.probe, message.target)
      break
    case 'digest':
      onDigest(s, from, message.digest, out)
      break
    case 'state':
      s.joining.delete(from)
      if (message.reply) sendState(s, from, false, out)
      break
    case 'news':
      break
  }
}

/**
 * A sender that is held for suspect or dead is told, so that it can refute; if its life is past that, it is asked for its record. The
 * life on every message only shows that there is a newer record: what is believed comes with the record, whole.
 */
function answerTheDead(s: MembershipState, from: string, message: MembershipMessage, out: MembershipEffect[]): void {
  const m = s.members.get(from)
  if (m === undefined) return
  const order = compareLife(message, m)
  if (order > 0 && (m.state !== 'alive' || message.epoch !== m.epoch)) sendDigest(s, from, out)
  // (a ping's ack carries it anyway)
  else if (order === 0 && m.state !== 'alive' && message.kind !== 'ping')
    send(s, from, { kind: 'news', records: [recordOf(m, false)] }, out)
}

function leave(s: MembershipState, proof: Uint8Array, env: Env, out: MembershipEffect[]): void {
  changing(s, s.self, () => {
    s.self.state = 'left'
    s.self.proof = proof
  })
  spread(s, s.self, env, out)
  notify(out, 'left', s.self)
  s.running = false
  s.wakeAt = Number.POSITIVE_INFINITY
  out.push({ type: 'cancelTimer', id: WAKE })
}

function setWake(s: MembershipState, event: MembershipEvent, env: Env, out: MembershipEffect[]): void {
  let next = Math.min(s.nextRound, s.nextSync, s.nextReconnect, s.nextForget)
  for (const probe of s.probes.values()) next = Math.min(next, probe.directDue, probe.verdictDue)
  for (const asked of s.asked.values()) next = Math.min(next, asked.nacked ? asked.forgetDue : asked.nackDue)
  for (const peer of s.suspects) next = Math.min(next, s.members.get(peer)!.suspicion!.due)
  for (const entry of s.joining.values()) next = Math.min(next, entry.nextTry)
  // whole milliseconds, as timers of event loops have them
  next = env.now + Math.max(1, Math.ceil(next - env.now))
  const fired = event.type === 'timer' || event.type === 'start'
  if (fired || Math.abs(next - s.wakeAt) >= 1) {
    s.wakeAt = next
    out.push({ type: 'setTimer', id: WAKE, delay: next - env.now })
  }
}

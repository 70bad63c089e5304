import type { Env } from '../../common/index.ts'
import { compareLife, MAX_EPOCH, MAX_INCARNATION, type MemberRecord, noBytes } from './record.ts'
import {
  type Change,
  changing,
  isLive,
  type MemberEntry,
  type MembershipEffect,
  type MembershipState,
  meshSize,
  pickLive,
  recordOf
} from './state.ts'
import { suspicionTimeout } from './suspicion.ts'

/**
 * Takes in one statement about a member. Later moments of a member's life win; of one moment, left beats dead beats suspect beats
 * alive. Only the member itself brings forth a later moment, so that it alone can refute.
 *
 * @param whole - from a comparison of views: carries addresses, so unknown members are taken in, and death found there only makes
 *   a suspect, who can refute it (it may be old: both halves of a healed partition hold the other for dead)
 */
export function merge(s: MembershipState, record: MemberRecord, from: string, whole: boolean, env: Env, out: MembershipEffect[]): void {
  if (record.peer === s.self.peer) {
    hearOfSelf(s, record, from, env, out)
    return
  }
  const m = s.members.get(record.peer)
  if (m === undefined) {
    if (record.state === 'alive' || (whole && record.state === 'suspect')) takeIn(s, record, env, out)
    return
  }
  switch (record.state) {
    case 'alive':
      if (compareLife(record, m) > 0) hearAlive(s, m, record, env, out)
      break
    case 'suspect':
      hearSuspect(s, m, record, record.by || from, env, out)
      break
    case 'dead':
      if (whole && isLive(m.state)) hearSuspect(s, m, record, from, env, out)
      else if (compareLife(record, m) >= 0 && isLive(m.state)) declareDead(s, m, record, env, out)
      break
    case 'left':
      if (record.epoch >= m.epoch && m.state !== 'left') hearLeft(s, m, record, env, out)
      break
  }
}

/** Somebody says something of this node that is not so, or knows a later life of it: say better. */
function hearOfSelf(s: MembershipState, record: MemberRecord, from: string, env: Env, out: MembershipEffect[]): void {
  const { self } = s
  if (self.state === 'left') return
  const order = compareLife(record, self)
  if (order < 0 || (order === 0 && record.state === 'alive')) return
  if (record.state === 'left' && record.epoch < self.epoch) return
  // (an earlier life with a clock that ran ahead of ours, or words nobody should say of us)
  if (record.epoch > self.epoch || record.state === 'left') outlive(s, { epoch: record.epoch, incarnation: MAX_INCARNATION })
  else outlive(s, record)
  if (record.state !== 'alive') s.health = Math.min(s.settings.healthMax, s.health + 1)
  spread(s, self, env, out)
  send(s, from, { kind: 'news', records: [recordOf(self, true)] }, out)
}

/** This node's next moment of life after `moment`. */
export function outlive(s: MembershipState, moment: { epoch: number; incarnation: number }): void {
  const { self } = s
  changing(s, self, () => {
    const spent = moment.incarnation >= MAX_INCARNATION
    self.epoch = spent ? Math.min(MAX_EPOCH, moment.epoch + 1) : moment.epoch
    self.incarnation = spent ? 0 : moment.incarnation + 1
  })
}

function takeIn(s: MembershipState, record: MemberRecord, env: Env, out: MembershipEffect[]): void {
  if (s.members.size + 1 >= s.settings.maxMembers && !makeRoom(s, out)) return
  const m: MemberEntry = {
    ...recordOf(record, true),
    state: 'dead',
    by: '',
    proof: noBytes,
    since: env.now,
    heard: Number.NEGATIVE_INFINITY,
    nextTry: 0
  }
  s.members.set(m.peer, m)
  changing(s, m, () => {
    m.state = 'alive'
  })
  enlist(s, m.peer, env)
  s.broadcasts.add(recordOf(m, true))
  notify(out, 'joined', m)
  if (record.state === 'suspect') hearSuspect(s, m, record, record.by, env, out)
}

/** A place at random in the rest of this cycle's probes. */
function enlist(s: MembershipState, peer: string, env: Env): void {
  const at = s.cursor + env.random.int(s.order.length - s.cursor + 1)
  s.order.push(peer)
  const last = s.order.length - 1
  s.order[last] = s.order[at]!
  s.order[at] = peer
}

function makeRoom(s: MembershipState, out: MembershipEffect[]): boolean {
  let oldest: MemberEntry | undefined
  for (const m of s.members.values()) {
    if (!isLive(m.state) && (oldest === undefined || m.since < oldest.since)) oldest = m
  }
  if (oldest === undefined) return false
  forget(s, oldest, out)
  return true
}

export function forget(s: MembershipState, m: MemberEntry, out: MembershipEffect[]): void {
  s.members.delete(m.peer)
  s.dead.delete(m.peer)
  s.broadcasts.drop(m.peer)
  notify(out, 'forgotten', m)
}

/** `record` is later than what is held. */
function hearAlive(s: MembershipState, m: MemberEntry, record: MemberRecord, env: Env, out: MembershipEffect[]): void {
  // whoever left stays away for that life
  if (m.state === 'left' && record.epoch === m.epoch) return
  const before = m.state
  const restarted = record.epoch !== m.epoch
  if (restarted && isLive(before)) {
    enter(s, m, 'dead', env)
    notify(out, 'dead', m)
  }
  const moved = !sameAddresses(m.addresses, record.addresses) || !sameBytes(m.version, record.version)
  const wasLive = isLive(m.state)
  changing(s, m, () => {
    m.epoch = record.epoch
    m.incarnation = record.incarnation
    m.addresses = record.addresses
    m.version = record.version
    m.proof = noBytes
  })
  enter(s, m, 'alive', env)
  if (!wasLive && !s.order.includes(m.peer)) enlist(s, m.peer, env)
  s.broadcasts.add(recordOf(m, true))
  if (restarted || before === 'left') notify(out, 'joined', m)
  else if (before !== 'alive') notify(out, 'alive', m)
  else if (moved) notify(out, 'updated', m)
}

function hearSuspect(s: MembershipState, m: MemberEntry, record: MemberRecord, by: string, env: Env, out: MembershipEffect[]): void {
  const order = compareLife(record, m)
  if (order < 0 || (order === 0 && !isLive(m.state)) || m.state === 'left') return
  // somebody saw it alive at a later moment than this node
  if (order > 0) hearAlive(s, m, { ...record, addresses: m.addresses, version: m.version }, env, out)
  suspect(s, m, by, env, out)
}

/**
 * `by` suspects the member, at the moment of life held here. @returns false when that was known already
 */
export function suspect(s: MembershipState, m: MemberEntry, by: string, env: Env, out: MembershipEffect[]): boolean {
  const fresh = m.suspicion === undefined
  if (!fresh && (m.suspicion!.by.has(by) || m.suspicion!.by.size > s.settings.confirmations)) return false
  if (fresh) {
    enter(s, m, 'suspect', env)
    m.suspicion = { start: env.now, by: new Set(), due: 0, defers: 0 }
    s.suspects.add(m.peer)
  }
  const suspicion = m.suspicion!
  suspicion.by.add(by)
  m.by = by
  const due = suspicion.start + suspicionTimeout(suspicion.by.size - 1, meshSize(s), s.settings)
  // what a stall put off stays put off
  suspicion.due = suspicion.defers > 0 ? Math.max(suspicion.due, due) : due
  if (by === s.self.peer) spread(s, m, env, out)
  else s.broadcasts.add(recordOf(m, false))
  if (fresh) notify(out, 'suspect', m)
  return true
}

export function declareDead(
  s: MembershipState,
  m: MemberEntry,
  life: { epoch: number; incarnation: number },
  env: Env,
  out: MembershipEffect[]
): void {
  changing(s, m, () => {
    m.epoch = life.epoch
    m.incarnation = life.incarnation
  })
  enter(s, m, 'dead', env)
  s.broadcasts.add(recordOf(m, false))
  notify(out, 'dead', m)
}

function hearLeft(s: MembershipState, m: MemberEntry, record: MemberRecord, env: Env, out: MembershipEffect[]): void {
  changing(s, m, () => {
    m.epoch = record.epoch
    m.incarnation = Math.max(m.incarnation, record.incarnation)
    m.proof = record.proof
  })
  enter(s, m, 'left', env)
  s.broadcasts.add(recordOf(m, true))
  notify(out, 'left', m)
}

function enter(s: MembershipState, m: MemberEntry, state: MemberEntry['state'], env: Env): void {
  changing(s, m, () => {
    m.state = state
  })
  m.since = env.now
  if (state !== 'suspect') {
    delete m.suspicion
    m.by = ''
    s.suspects.delete(m.peer)
  }
  if (state === 'dead') {
    s.dead.add(m.peer)
    m.nextTry = env.now + s.settings.reconnectInterval
  } else s.dead.delete(m.peer)
  if (!isLive(state)) {
    const probe = s.probing.get(m.peer)
    if (probe !== undefined) s.probes.delete(probe)
    s.probing.delete(m.peer)
  }
}

/** Urgent news: rides on the next messages as all news does, and goes to a few members at once (and to whom it is about). */
export function spread(s: MembershipState, about: MemberRecord, env: Env, out: MembershipEffect[]): void {
  s.broadcasts.add(recordOf(about, false))
  const record = recordOf(about, false)
  const to = pickLive(s, s.settings.fanout, env.random, peer => peer === about.peer)
  if (about.state === 'suspect') to.push(about.peer)
  for (const peer of to) send(s, peer, { kind: 'news', records: [record] }, out)
}

/** The sender's own moment of life goes on every message. */
export function send(s: MembershipState, to: string, part: MessagePart, out: MembershipEffect[]): void {
  const { epoch, incarnation } = s.self
  out.push({ type: 'send', to, message: { ...part, epoch, incarnation } })
}

type WithoutSender<M> = M extends unknown ? Omit<M, 'epoch' | 'incarnation'> : never
export type MessagePart = WithoutSender<import('./state.ts').MembershipMessage>

export function notify(out: MembershipEffect[], change: Change, m: MemberRecord): void {
  out.push({ type: 'notify', change, member: recordOf(m, true) })
}

function sameAddresses(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

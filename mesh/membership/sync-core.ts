import type { Env } from '../../common/index.ts'
import { send } from './merge-core.ts'
import { MAX_RECORDS_PER_MESSAGE } from './record.ts'
import { type MembershipEffect, type MembershipState, pickLive, recordOf } from './state.ts'

/** Times a peer given to join is spoken to before it is given up. */
const JOIN_TRIES = 60
/** Time between them, ms. */
const JOIN_INTERVAL = 1000
/** Peers to join that are kept at one time. */
const MAX_JOINING = 256

/**
 * Compares views with a random member: a hash of who is alive first, and the whole views only when they differ. So in quiet times
 * the cost is one small message, at any size of the mesh.
 */
export function syncRound(s: MembershipState, env: Env, out: MembershipEffect[]): void {
  for (const peer of pickLive(s, 1, env.random, () => false)) sendDigest(s, peer, out)
}

export function sendDigest(s: MembershipState, to: string, out: MembershipEffect[]): void {
  send(s, to, { kind: 'digest', digest: s.digest, records: [recordOf(s.self, true)] }, out)
}

export function onDigest(s: MembershipState, from: string, digest: number, out: MembershipEffect[]): void {
  if (digest !== s.digest) sendState(s, from, true, out)
}

/** The whole view in parts, each of which can be merged alone. */
export function sendState(s: MembershipState, to: string, reply: boolean, out: MembershipEffect[]): void {
  let records = [recordOf(s.self, true)]
  for (const m of s.members.values()) {
    records.push(recordOf(m, true))
    if (records.length === MAX_RECORDS_PER_MESSAGE) {
      send(s, to, { kind: 'state', reply: false, records }, out)
      records = []
    }
  }
  if (records.length > 0 || reply) send(s, to, { kind: 'state', reply, records }, out)
}

export function onJoin(s: MembershipState, peers: string[], env: Env, out: MembershipEffect[]): void {
  for (const peer of peers) {
    if (peer === s.self.peer) continue
    if (!s.joining.has(peer) && s.joining.size >= MAX_JOINING) continue
    s.joining.set(peer, { nextTry: env.now, tries: 0 })
  }
  joinRound(s, env, out)
}

/** Speaks to those given to join that did not answer yet. */
export function joinRound(s: MembershipState, env: Env, out: MembershipEffect[]): void {
  for (const [peer, entry] of s.joining) {
    if (entry.nextTry > env.now) continue
    if (entry.tries >= JOIN_TRIES) {
      s.joining.delete(peer)
      continue
    }
    entry.tries++
    entry.nextTry = env.now + JOIN_INTERVAL
    sendState(s, peer, true, out)
  }
}

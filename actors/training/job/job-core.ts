import { type Env, rendezvousOrder } from '../../../common/index.ts'
import type { GroupMember, GroupRecord, JobRecord, Progress } from './records.ts'

/** A trainer without news for this long is taken for lost, ms; a dead process or node is known much sooner. */
export const ENROLMENT_TTL = 6000
/** A process that was asked to start has this long to enrol, ms. */
const START_TTL = 30_000
/** Newcomers are gathered this long before a generation is proposed for them, ms. */
const SETTLE = 300
/** A fresh activation listens this long for trainers that already run before it starts others, ms. */
const LISTEN = 1500
/** A slot whose owner refused is asked again after this long, ms; one that cannot serve the job much later. */
const REFUSED_TTL = 2000
const UNFIT_TTL = 60_000
/** A channel breaks when its other end dies, too: that is soon known better, and needs one generation instead of two, ms. */
const COMPLAINT_PATIENCE = 2000
/** Between two attempts that found no majority, ms. */
const RETRY = 1000

export interface Slot {
  node: string
  device: string
  /** Whether its owner says that nobody holds it; a hint. */
  free: boolean
}

export interface Enrolment {
  member: GroupMember
  generation: number
  progress: Progress
  ready: boolean
  seen: number
  since: number
}

/** One job, as the node that watches over it sees it. Soft: it is rebuilt from enrolments and the register. */
export interface JobState {
  record: JobRecord
  synchronous: boolean
  /** Until then this activation only listens, unless all of the group have enrolled. */
  listenUntil: number
  phase: 'waiting' | 'starting' | 'running' | 'paused'
  message: string
  group: GroupRecord | undefined
  /** Of an asynchronous job: the trainers that began it together. */
  initial: string[] | undefined
  trainers: Map<string, Enrolment>
  /** Slots asked to start, by name, with the time. */
  starting: Map<string, number>
  /** Slots that were refused, with the time from which they may be asked again. */
  refused: Map<string, number>
  slots: Slot[]
  alive: string[]
  proposing: boolean
  notBefore: number
  /** The first word of a broken channel inside a generation. */
  complaint: { generation: number; at: number } | undefined
}

export type JobEvent =
  | { type: 'enrolled'; member: GroupMember; generation: number; progress: Progress; ready: boolean }
  | { type: 'gone'; trainer: string }
  | { type: 'complained'; generation: number }
  | { type: 'view'; alive: string[]; slots: Slot[] }
  /** A node would not start a trainer; `unfit`: it never can, its data or devices are not what the job needs. */
  | { type: 'refused'; slot: string; reason: string; unfit: boolean }
  | { type: 'decided'; group: GroupRecord }
  /** A record that was decided came to be known here. */
  | { type: 'learned'; group: GroupRecord }
  | { type: 'undecided'; missing: string[]; message: string }
  | { type: 'tick' }

export type JobEffect =
  | { type: 'start'; node: string; slot: string; device: string }
  | { type: 'dismiss'; node: string; slot: string }
  | { type: 'propose'; generation: number; voters: string[]; members: GroupMember[]; reason: string }
  | { type: 'fail'; message: string }
  | { type: 'phase'; phase: JobState['phase']; message: string; missing: string[] }

/** @param fresh - the job was submitted a moment ago: no trainer of it can run yet, so none is listened for */
export function createJob(record: JobRecord, synchronous: boolean, fresh: boolean, env: Env): JobState {
  return {
    record,
    synchronous,
    listenUntil: fresh ? env.now : env.now + LISTEN,
    phase: 'starting',
    message: '',
    group: undefined,
    initial: undefined,
    trainers: new Map(),
    starting: new Map(),
    refused: new Map(),
    slots: [],
    alive: [],
    proposing: false,
    notBefore: 0,
    complaint: undefined
  }
}

export function slotName(slot: { node: string; device: string }): string {
  return `${slot.node}/${slot.device}`
}

/**
 * Watches over one job: asks for trainers where slots are free, and proposes a generation whenever the trainers that live are not
 * those of the group. It decides nothing by itself: owners of slots admit or refuse, voters decide generations.
 */
export function jobStep(s: JobState, event: JobEvent, env: Env): JobEffect[] {
  switch (event.type) {
    case 'enrolled': {
      const known = s.trainers.get(event.member.trainer)
      s.starting.delete(event.member.slot)
      // A restarted process in the same slot replaces its predecessor.
      for (const [trainer, e] of s.trainers) {
        if (e.member.slot === event.member.slot && trainer !== event.member.trainer) s.trainers.delete(trainer)
      }
      s.trainers.set(event.member.trainer, {
        member: event.member,
        generation: event.generation,
        progress: event.progress,
        ready: event.ready,
        seen: env.now,
        since: known?.ready === true ? known.since : env.now
      })
      return event.ready && known?.ready !== true ? think(s, env) : []
    }
    case 'gone':
      if (!s.trainers.delete(event.trainer)) return []
      return think(s, env)
    case 'complained':
      if (s.group?.generation === event.generation && s.complaint?.generation !== event.generation) {
        s.complaint = { generation: event.generation, at: env.now }
      }
      return think(s, env)
    case 'view':
      s.alive = event.alive
      s.slots = event.slots
      return think(s, env)
    case 'refused':
      s.starting.delete(event.slot)
      for (const [trainer, e] of s.trainers) if (e.member.slot === event.slot) s.trainers.delete(trainer)
      s.refused.set(event.slot, env.now + (event.unfit ? UNFIT_TTL : REFUSED_TTL))
      if (
        event.unfit &&
        s.group === undefined &&
        s.initial === undefined &&
        s.trainers.size + s.starting.size === 0 &&
        free(s).length === 0
      ) {
        return [{ type: 'fail', message: event.reason }]
      }
      return []
    case 'decided':
      s.proposing = false
      learn(s, event.group)
      return enter(s, 'running', '', [])
    case 'learned':
      learn(s, event.group)
      return []
    case 'undecided':
      s.proposing = false
      s.notBefore = env.now + RETRY
      return enter(s, 'paused', event.message, event.missing)
    case 'tick':
      return think(s, env)
  }
}

function learn(s: JobState, group: GroupRecord): void {
  if (s.group === undefined || group.generation > s.group.generation) s.group = group
}

function enter(s: JobState, phase: JobState['phase'], message: string, missing: string[]): JobEffect[] {
  if (s.phase === phase && s.message === message) return []
  s.phase = phase
  s.message = message
  return [{ type: 'phase', phase, message, missing }]
}

function lives(s: JobState, e: Enrolment, now: number): boolean {
  return s.alive.includes(e.member.node) && now - e.seen < ENROLMENT_TTL
}

function think(s: JobState, env: Env): JobEffect[] {
  for (const [trainer, e] of s.trainers) if (!lives(s, e, env.now)) s.trainers.delete(trainer)
  for (const [slot, since] of s.starting) {
    const lives = s.alive.some(node => slot.startsWith(`${node}/`))
    if (!lives || env.now - since > START_TTL) s.starting.delete(slot)
  }
  for (const [slot, until] of s.refused) if (env.now > until) s.refused.delete(slot)
  // Votes and enrolments of what ran before this activation come first; only then is anything missing.
  const all = s.group?.members.every(m => s.trainers.has(m.trainer)) ?? false
  if (env.now < s.listenUntil && !all) return []
  const effects = staff(s, env)
  effects.push(...(s.synchronous ? regroup(s, env) : begin(s, env)))
  return effects
}

/** Trainers the job wants, given the slots there are. */
function wanted(s: JobState): number {
  const { trainers } = s.record.spec
  if (trainers !== 'all') return trainers
  const used = new Set([...s.trainers.values()].map(e => e.member.slot))
  return Math.max(
    1,
    s.slots.filter(slot => s.alive.includes(slot.node) && (slot.free || used.has(slotName(slot)))).length + s.starting.size
  )
}

/** Slots that a trainer could be started on. */
function free(s: JobState): Slot[] {
  const used = new Set([...s.trainers.values()].map(e => e.member.slot))
  return s.slots.filter(slot => {
    const name = slotName(slot)
    return slot.free && s.alive.includes(slot.node) && !used.has(name) && !s.starting.has(name) && !s.refused.has(name)
  })
}

/** Starts trainers where some are missing, dismisses those beyond what the job asks for. */
function staff(s: JobState, env: Env): JobEffect[] {
  const effects: JobEffect[] = []
  const used = new Set([...s.trainers.values()].map(e => e.member.slot))
  for (const slot of s.starting.keys()) used.add(slot)
  const { trainers } = s.record.spec
  let missing = trainers === 'all' ? Number.POSITIVE_INFINITY : trainers - used.size
  const candidates = s.slots.filter(
    slot => slot.free && s.alive.includes(slot.node) && !used.has(slotName(slot)) && !s.refused.has(slotName(slot))
  )
  const byName = new Map(candidates.map(slot => [slotName(slot), slot]))
  for (const name of rendezvousOrder(`${s.record.job}/slots`, byName.keys())) {
    if (missing <= 0) break
    missing--
    const slot = byName.get(name)!
    s.starting.set(name, env.now)
    effects.push({ type: 'start', node: slot.node, slot: name, device: slot.device })
  }
  if (trainers !== 'all') {
    const grouped = new Set(s.group?.members.map(m => m.trainer))
    const extra = [...s.trainers.values()].filter(e => !grouped.has(e.member.trainer))
    let surplus = s.trainers.size - trainers
    for (const e of extra) if (surplus-- > 0) effects.push({ type: 'dismiss', node: e.member.node, slot: e.member.slot })
    if (s.trainers.size + s.starting.size < trainers && s.group === undefined && s.initial === undefined) {
      const have = s.trainers.size + s.starting.size
      effects.push(...enter(s, 'waiting', `waits for ${trainers - have} more of ${trainers} trainers: no free device on the mesh`, []))
    }
  }
  return effects
}

/** Whether everybody the job starts with is there. */
function complete(s: JobState, env: Env): boolean {
  const ready = [...s.trainers.values()].filter(e => e.ready)
  if (s.record.spec.trainers !== 'all') return ready.length >= s.record.spec.trainers
  const settled = ready.length > 0 && ready.every(e => env.now - e.since >= SETTLE)
  return settled && s.starting.size === 0 && ready.length === s.trainers.size && ready.length >= wanted(s)
}

/** Proposes the next generation of a synchronous job when its members are not the trainers that live. */
function regroup(s: JobState, env: Env): JobEffect[] {
  if (s.proposing || env.now < s.notBefore) return []
  const ready = [...s.trainers.values()].filter(e => e.ready)
  if (s.group === undefined) {
    if (!complete(s, env)) return []
    return propose(
      s,
      ready.slice(0, limit(s)).map(e => e.member),
      s.record.voters,
      'start'
    )
  }
  const group = s.group
  const current = new Set(group.members.map(m => m.trainer))
  const lost = group.members.filter(m => !s.trainers.has(m.trainer))
  const kept = group.members.filter(m => s.trainers.has(m.trainer))
  const room = limit(s) - kept.length
  const fresh = ready.filter(e => !current.has(e.member.trainer)).slice(0, Math.max(0, room))
  const settled = fresh.length > 0 && fresh.every(e => env.now - e.since >= SETTLE)
  const members = [...kept, ...(settled || (kept.length === 0 && fresh.length > 0) ? fresh.map(e => e.member) : [])]
  const changed = lost.length > 0 || members.length > kept.length
  const broken = s.complaint?.generation === group.generation && env.now - s.complaint.at >= COMPLAINT_PATIENCE
  if (!changed && !broken) return s.phase === 'paused' || s.phase === 'starting' ? enter(s, 'running', '', []) : []
  if (members.length === 0) {
    return enter(s, 'paused', `every trainer of generation ${group.generation} is gone; waits for a free device`, [
      ...new Set(lost.map(m => m.node))
    ])
  }
  const reasons = [
    lost.length > 0 ? `lost ${lost.length}` : '',
    members.length > kept.length ? `joined ${members.length - kept.length}` : '',
    !changed ? 'a channel broke' : ''
  ]
  return propose(s, members, group.voters, reasons.filter(r => r !== '').join(', '))
}

function limit(s: JobState): number {
  return s.record.spec.trainers === 'all' ? Number.POSITIVE_INFINITY : s.record.spec.trainers
}

function propose(s: JobState, members: GroupMember[], voters: string[], reason: string): JobEffect[] {
  s.proposing = true
  return [{ type: 'propose', generation: (s.group?.generation ?? 0) + 1, voters, members, reason }]
}

/** Lets an asynchronous job begin once its first trainers are there; later ones join by themselves. */
function begin(s: JobState, env: Env): JobEffect[] {
  const running = [...s.trainers.values()].filter(e => e.generation > 0)
  // When all that held a state are gone, those that live begin anew from the last checkpoint.
  const lost = running.length === 0 && s.initial?.every(t => !s.trainers.has(t))
  if (s.initial !== undefined && !lost) return enter(s, 'running', '', [])
  if (running.length > 0) {
    // Another activation let it begin: those that are not at it yet join.
    s.initial = []
    return enter(s, 'running', '', [])
  }
  if (!complete(s, env)) return []
  s.initial = [...s.trainers.values()]
    .filter(e => e.ready)
    .slice(0, limit(s))
    .map(e => e.member.trainer)
    .sort()
  return enter(s, 'running', '', [])
}

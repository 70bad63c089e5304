/** Who writes an actor's state: decided in the register of its epoch. */
export interface EpochRecord {
  epoch: number
  /** Peer id; '' when the owner gave it up. */
  owner: string
  /** The life of the owner's process: after a restart it is somebody else. */
  life: string
  /** Keep the state of this epoch, and decide on the next. */
  voters: string[]
  /** A majority of these holds all that was safe before this epoch; empty when there was nothing. */
  sources: string[]
  /** The actor has a loop of its own: it is woken when its owner is gone. */
  runs: boolean
}

/** What the owner of an epoch asks of a replica. `round` numbers its questions. */
export type ReplicaRequest = { name: string; epoch: number; round: number } & (
  | { kind: 'append'; after: number; entries: Uint8Array[] }
  /** The whole state at `seq`: a snapshot and the changes since. */
  | { kind: 'install'; seq: number; base: Uint8Array; log: Uint8Array[] }
  | { kind: 'read' }
)

export type ReplicaReply = { name: string; epoch: number; round: number } & (
  | { kind: 'stored'; seq: number }
  /** A later epoch may write: `fence` is the lowest that may. */
  | { kind: 'fenced'; fence: number }
  /** It lacks what comes before: the whole is needed. */
  | { kind: 'gap' }
  | { kind: 'state'; held: Position; base: Uint8Array; log: Uint8Array[] }
)

/** How far a copy has come. Later epochs are later, whatever their sequence numbers. */
export interface Position {
  epoch: number
  seq: number
}

/** One node's copy of one actor's state. */
export interface ReplicaState {
  /** The lowest epoch that may still write. */
  fence: number
  held: Position
  base: Uint8Array
  log: Uint8Array[]
}

export type ReplicaEvent =
  | { type: 'request'; from: string; request: ReplicaRequest }
  /** A promise is about to be given for the register of `epoch`: nothing older may write from now on. */
  | { type: 'promise'; id: string; epoch: number }
  | { type: 'persisted'; id: number }

/** What to write, in order. */
export type ReplicaChange =
  | { type: 'fence'; fence: number }
  | { type: 'append'; fence: number; held: Position; entries: Uint8Array[] }
  | { type: 'install'; fence: number; held: Position; base: Uint8Array; log: Uint8Array[] }

export type ReplicaEffect =
  | { type: 'persist'; id: number; change: ReplicaChange }
  | { type: 'reply'; to: string; reply: ReplicaReply }
  | { type: 'promised'; id: string; held: Position }
  /** A newer epoch has begun, or has been decided: the promise is not given. */
  | { type: 'refused'; id: string; fence: number }

/** All copies of one node that wait for its disk. */
export interface ReplicaWaiting {
  next: number
  after: Map<number, ReplicaEffect[]>
}

const nothing = new Uint8Array(0)

export function createReplica(): ReplicaState {
  return { fence: 0, held: { epoch: 0, seq: 0 }, base: nothing, log: [] }
}

export function laterThan(a: Position, b: Position): boolean {
  return a.epoch !== b.epoch ? a.epoch > b.epoch : a.seq > b.seq
}

/**
 * One copy of one actor's state. It takes changes of the newest epoch it knows and refuses all older ones; what it says it has is on
 * disk. A promise for an epoch's register closes it for every epoch before.
 */
export function replicaStep(s: ReplicaState, w: ReplicaWaiting, event: ReplicaEvent): ReplicaEffect[] {
  switch (event.type) {
    case 'persisted': {
      const then = w.after.get(event.id) ?? []
      w.after.delete(event.id)
      return then
    }
    case 'promise':
      if (event.epoch < s.fence || event.epoch <= s.held.epoch) return [{ type: 'refused', id: event.id, fence: s.fence }]
      s.fence = event.epoch
      return persist(w, { type: 'fence', fence: s.fence }, { type: 'promised', id: event.id, held: { ...s.held } })
    case 'request':
      return onRequest(s, w, event.from, event.request)
  }
}

function onRequest(s: ReplicaState, w: ReplicaWaiting, from: string, request: ReplicaRequest): ReplicaEffect[] {
  const { name, epoch, round } = request
  const reply = (rest: DistributiveOmit<ReplicaReply, 'name' | 'epoch' | 'round'>): ReplicaEffect => ({
    type: 'reply',
    to: from,
    reply: { name, epoch, round, ...rest } as ReplicaReply
  })
  if (epoch < s.fence) return [reply({ kind: 'fenced', fence: s.fence })]
  const raised = epoch > s.fence
  s.fence = epoch
  switch (request.kind) {
    case 'read': {
      const state = reply({ kind: 'state', held: { ...s.held }, base: s.base, log: [...s.log] })
      return raised ? persist(w, { type: 'fence', fence: s.fence }, state) : [state]
    }
    case 'append': {
      const { after, entries } = request
      if (s.held.epoch !== epoch || after > s.held.seq) {
        const gap = reply({ kind: 'gap' })
        return raised ? persist(w, { type: 'fence', fence: s.fence }, gap) : [gap]
      }
      const fresh = entries.slice(s.held.seq - after)
      if (fresh.length === 0) return persist(w, undefined, reply({ kind: 'stored', seq: s.held.seq }))
      s.log.push(...fresh)
      s.held = { epoch, seq: s.held.seq + fresh.length }
      const change: ReplicaChange = { type: 'append', fence: s.fence, held: { ...s.held }, entries: fresh }
      return persist(w, change, reply({ kind: 'stored', seq: s.held.seq }))
    }
    case 'install': {
      const { seq, base, log } = request
      // An old copy of an install must not take back what came after it.
      if (s.held.epoch === epoch && s.held.seq >= seq) return persist(w, undefined, reply({ kind: 'stored', seq: s.held.seq }))
      s.base = base
      s.log = [...log]
      s.held = { epoch, seq }
      const change: ReplicaChange = { type: 'install', fence: s.fence, held: { ...s.held }, base, log: [...log] }
      return persist(w, change, reply({ kind: 'stored', seq }))
    }
  }
}

/** Says `then` once the change, and all before it, is on disk. */
function persist(w: ReplicaWaiting, change: ReplicaChange | undefined, then: ReplicaEffect): ReplicaEffect[] {
  const id = w.next++
  if (change === undefined) {
    // Nothing new, but what it speaks of may still be on its way to the disk.
    const last = [...w.after.keys()].at(-1)
    if (last === undefined) return [then]
    w.after.get(last)!.push(then)
    return []
  }
  w.after.set(id, [then])
  return [{ type: 'persist', id, change }]
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

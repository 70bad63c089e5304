import { MAX_MAILBOX } from '../../common/index.ts'

/** Callers whose order and replies one activation remembers. */
export const MAX_CALLERS = 1024
/** Replies that one activation keeps for callers that ask again. */
export const MAX_REPLIES = 512

/** Bytes of those replies together. */
export const MAX_REPLY_BYTES = 8 * 1024 * 1024

/** What a mailbox knows of one caller. */
interface Caller {
  /** Highest sequence number taken. */
  last: number
}

/** What waits for an actor's attention, what it is at, and what it remembers of those who call. */
export interface MailboxState {
  limit: number
  waiting: number[]
  /** Turns that may be under way at once: 1, or more for an actor that said it is reentrant. */
  turns: number
  /** Ids of the messages whose turn it is. */
  current: Set<number>
  closed: boolean
  /** In the order in which they were last heard. */
  callers: Map<string, Caller>
  /** The message that first carried a request id; answered ones are kept while there is room. */
  requests: Map<string, { id: number; bytes: number }>
  /** Requests answered, oldest first. */
  answered: string[]
  /** Bytes of the replies kept. */
  bytes: number
  /** Request of each message that is under way. */
  requestOf: Map<number, string>
}

/** A call with the caller's number of it: numbers of one caller rise, a request keeps its id when it is sent again. */
export interface Numbered {
  caller: string
  sequence: number
  request: string
  /** Sent before; the first copy may have arrived. */
  again: boolean
}

export type MailboxEvent =
  | { type: 'arrived'; id: number; numbered?: Numbered }
  /** A turn is over; its reply has so many bytes. */
  | { type: 'finished'; id: number; bytes?: number }
  /** The caller gave up; a message that waits is dropped, one in its turn goes on. */
  | { type: 'cancelled'; id: number }
  /** The activation ends: nothing that waits will be executed. */
  | { type: 'closed' }

/** `overtaken`: a later call of that caller was taken before. `forgotten`: it may have been executed, its reply is gone. */
export type RefusalReason = 'overloaded' | 'closed' | 'overtaken' | 'forgotten'

export type MailboxEffect =
  | { type: 'turn'; id: number }
  | { type: 'refuse'; id: number; reason: RefusalReason }
  /** The message is a copy of `first`: it gets that one's reply, now or when there is one. */
  | { type: 'same'; id: number; first: number }
  /** The reply to this message need not be kept any more. */
  | { type: 'forget'; id: number }

export function createMailbox(limit = MAX_MAILBOX, turns = 1): MailboxState {
  return {
    limit,
    waiting: [],
    turns,
    current: new Set(),
    closed: false,
    callers: new Map(),
    requests: new Map(),
    answered: [],
    bytes: 0,
    requestOf: new Map()
  }
}

/**
 * One actor's mailbox: bounded, first in first out, one turn at a time unless the actor is reentrant. Calls of one caller are taken in
 * the order of their numbers or refused, and a request that comes twice is executed once.
 */
export function mailboxStep(s: MailboxState, event: MailboxEvent): MailboxEffect[] {
  switch (event.type) {
    case 'arrived':
      return arrived(s, event.id, event.numbered)
    case 'finished': {
      if (!s.current.delete(event.id)) return []
      const out: MailboxEffect[] = []
      settle(s, event.id, event.bytes ?? 0, out)
      next(s, out)
      return out
    }
    case 'cancelled': {
      const i = s.waiting.indexOf(event.id)
      if (i < 0) return []
      s.waiting.splice(i, 1)
      const out: MailboxEffect[] = []
      settle(s, event.id, 0, out)
      return out
    }
    case 'closed': {
      s.closed = true
      const refused = s.waiting
      s.waiting = []
      return refused.map(id => ({ type: 'refuse', id, reason: 'closed' }))
    }
  }
}

function arrived(s: MailboxState, id: number, numbered: Numbered | undefined): MailboxEffect[] {
  if (s.closed) return [{ type: 'refuse', id, reason: 'closed' }]
  if (numbered !== undefined) {
    const first = s.requests.get(numbered.request)
    if (first !== undefined) return [{ type: 'same', id, first: first.id }]
    const known = s.callers.get(numbered.caller)
    if (numbered.again && (known === undefined || numbered.sequence <= known.last)) return [{ type: 'refuse', id, reason: 'forgotten' }]
    if (known !== undefined && numbered.sequence <= known.last) return [{ type: 'refuse', id, reason: 'overtaken' }]
  }
  const out: MailboxEffect[] = []
  const room = s.current.size < s.turns
  if (!room && s.waiting.length >= s.limit) return [{ type: 'refuse', id, reason: 'overloaded' }]
  if (numbered !== undefined) remember(s, id, numbered)
  if (room) {
    s.current.add(id)
    out.push({ type: 'turn', id })
  } else s.waiting.push(id)
  return out
}

function remember(s: MailboxState, id: number, { caller, sequence, request }: Numbered): void {
  // Re-inserted, so that the first of the map is the one not heard for longest.
  s.callers.delete(caller)
  s.callers.set(caller, { last: sequence })
  if (s.callers.size > MAX_CALLERS) s.callers.delete(s.callers.keys().next().value as string)
  s.requests.set(request, { id, bytes: 0 })
  s.requestOf.set(id, request)
}

function settle(s: MailboxState, id: number, bytes: number, out: MailboxEffect[]): void {
  const request = s.requestOf.get(id)
  if (request === undefined) return
  s.requestOf.delete(id)
  s.requests.get(request)!.bytes = bytes
  s.bytes += bytes
  s.answered.push(request)
  while (s.answered.length > MAX_REPLIES || (s.bytes > MAX_REPLY_BYTES && s.answered.length > 1)) {
    const oldest = s.answered.shift() as string
    const known = s.requests.get(oldest)!
    out.push({ type: 'forget', id: known.id })
    s.bytes -= known.bytes
    s.requests.delete(oldest)
  }
}

function next(s: MailboxState, out: MailboxEffect[]): void {
  const id = s.waiting.shift()
  if (id === undefined) return
  s.current.add(id)
  out.push({ type: 'turn', id })
}

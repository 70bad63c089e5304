import { MAX_MAILBOX } from '../../common/index.ts'

/** What waits for an actor's attention and what it is at. */
export interface MailboxState {
  limit: number
  waiting: string[]
  /** Turns that may be under way at once: 1, or more for an actor that said it is reentrant. */
  turns: number
  /** Ids of the messages whose turn it is. */
  current: Set<string>
  closed: boolean
}

export type MailboxEvent =
  | { type: 'arrived'; id: string }
  | { type: 'finished'; id: string }
  /** The caller gave up; a message that waits is dropped, one in its turn goes on. */
  | { type: 'cancelled'; id: string }
  /** The activation ends: nothing that waits will be executed. */
  | { type: 'closed' }

export type MailboxEffect = { type: 'turn'; id: string } | { type: 'refuse'; id: string; reason: 'overloaded' | 'closed' }

export function createMailbox(limit = MAX_MAILBOX, turns = 1): MailboxState {
  return { limit, waiting: [], turns, current: new Set(), closed: false }
}

/** One actor's mailbox: bounded, first in first out, one turn at a time unless the actor is reentrant. */
export function mailboxStep(s: MailboxState, event: MailboxEvent): MailboxEffect[] {
  switch (event.type) {
    case 'arrived':
      if (s.closed) return [{ type: 'refuse', id: event.id, reason: 'closed' }]
      if (s.current.size < s.turns) {
        s.current.add(event.id)
        return [{ type: 'turn', id: event.id }]
      }
      if (s.waiting.length >= s.limit) return [{ type: 'refuse', id: event.id, reason: 'overloaded' }]
      s.waiting.push(event.id)
      return []
    case 'finished': {
      if (!s.current.delete(event.id)) return []
      const next = s.waiting.shift()
      if (next === undefined) return []
      s.current.add(next)
      return [{ type: 'turn', id: next }]
    }
    case 'cancelled': {
      const i = s.waiting.indexOf(event.id)
      if (i >= 0) s.waiting.splice(i, 1)
      return []
    }
    case 'closed': {
      s.closed = true
      const refused = s.waiting
      s.waiting = []
      return refused.map(id => ({ type: 'refuse', id, reason: 'closed' }))
    }
  }
}

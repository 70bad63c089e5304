import { MAX_MAILBOX } from '../../common/index.ts'

/** What waits for an actor's attention and what it is at. */
export interface MailboxState {
  limit: number
  waiting: string[]
  /** Id of the message whose turn it is. */
  current: string | undefined
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

export function createMailbox(limit = MAX_MAILBOX): MailboxState {
  return { limit, waiting: [], current: undefined, closed: false }
}

/** One actor's mailbox: bounded, first in first out, one turn at a time. */
export function mailboxStep(s: MailboxState, event: MailboxEvent): MailboxEffect[] {
  switch (event.type) {
    case 'arrived':
      if (s.closed) return [{ type: 'refuse', id: event.id, reason: 'closed' }]
      if (s.current === undefined) {
        s.current = event.id
        return [{ type: 'turn', id: event.id }]
      }
      if (s.waiting.length >= s.limit) return [{ type: 'refuse', id: event.id, reason: 'overloaded' }]
      s.waiting.push(event.id)
      return []
    case 'finished': {
      if (s.current !== event.id) return []
      s.current = s.waiting.shift()
      return s.current === undefined ? [] : [{ type: 'turn', id: s.current }]
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

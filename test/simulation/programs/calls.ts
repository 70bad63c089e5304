import { type CallerEvent, callerStep, createCallers } from '../../../actors/runtime/caller-core.ts'
import { createMailbox, type MailboxEvent, mailboxStep } from '../../../actors/runtime/mailbox-core.ts'
import type { Boot } from '../../../mesh/simulation/index.ts'

export interface CallsProgramOptions {
  /** In the place of the real steps: broken variants for a checker to catch. */
  callers?: typeof callerStep
  mailbox?: typeof mailboxStep
  /** No call has a deadline. */
  patient?: boolean
}

/** Milliseconds until a caller gives up. */
export const DEADLINE = 4000

type Message =
  | { kind: 'call'; id: number; caller: string; sequence: number; again: boolean }
  | { kind: 'reply'; id: number; value: string; activation: string }

/**
 * A node that calls one actor on each other node, and hosts one itself: the caller's and the mailbox's cores with nothing between them
 * but the simulated links. Says `called`, `executed` and `ended`.
 */
export function callsProgram({ callers = callerStep, mailbox = mailboxStep, patient = false }: CallsProgramOptions = {}): Boot {
  return host => {
    const activation = `${host.name}/${host.life}`
    const box = createMailbox(64)
    const boxed = new Map<number, { from: string; id: number; request: string; caller: string; sequence: number }>()
    const replies = new Map<number, string>()
    const copies = new Map<number, { from: string; id: number }[]>()
    let arrivals = 0
    const state = createCallers()
    const sent = new Map<number, string>()
    const lanes = new Map<number, string>()
    let calls = 0

    const reply = (to: { from: string; id: number }, value: string) =>
      host.send(to.from, { kind: 'reply', id: to.id, value, activation } as Message)
    const take = (event: MailboxEvent) => {
      for (const effect of mailbox(box, event)) {
        const message = boxed.get(effect.id)!
        if (effect.type === 'turn') {
          const { request, caller, sequence } = message
          host.observe('executed', { activation, request, caller, sequence })
          host.later(host.random.float() * 30, () => {
            replies.set(effect.id, 'done')
            reply(message, 'done')
            for (const copy of copies.get(effect.id) ?? []) reply(copy, 'done')
            take({ type: 'finished', id: effect.id })
          })
        } else if (effect.type === 'same') {
          const known = replies.get(effect.first)
          if (known !== undefined) reply(message, known)
          else copies.set(effect.first, [...(copies.get(effect.first) ?? []), message])
        } else if (effect.type === 'refuse') reply(message, effect.reason)
      }
    }
    const ended = (id: number, how: string) => {
      if (!lanes.delete(id)) return
      host.cancelTimer(`deadline:${id}`)
      host.observe('ended', { node: host.name, life: host.life, id, how })
    }
    const step = (event: CallerEvent) => {
      for (const effect of callers(state, event, { now: host.now(), random: host.random })) {
        if (effect.type === 'setTimer') host.setTimer(`lane:${effect.id}`, effect.delay)
        else if (effect.type === 'fail') ended(effect.id, effect.reason)
        else if (effect.type === 'send') {
          const to = effect.node ?? lanes.get(effect.id)!
          sent.set(effect.id, to)
          const caller = `${host.name}/${host.life}.${effect.generation}`
          host.send(to, { kind: 'call', id: effect.id, caller, sequence: effect.sequence, again: effect.again } as Message)
        }
      }
    }
    return {
      receive(from, received) {
        const message = received as Message
        if (message.kind === 'call') {
          const { id, caller, sequence, again } = message
          const request = `${caller}#${sequence}`
          boxed.set(++arrivals, { from, id, request, caller, sequence })
          take({ type: 'arrived', id: arrivals, numbered: { caller, sequence, request, again } })
          return
        }
        sent.delete(message.id)
        ended(message.id, message.value)
        step({ type: 'answered', id: message.id, location: { node: from, activation: message.activation } })
      },
      timer(id) {
        if (id.startsWith('lane:')) return step({ type: 'timer', id: id.slice(5) })
        const call = Number(id.slice('deadline:'.length))
        ended(call, 'deadline')
        step({ type: 'ended', id: call })
      },
      closed(peer) {
        for (const [id, node] of [...sent]) {
          if (node !== peer) continue
          sent.delete(id)
          step({ type: 'lost', id })
        }
      },
      command(_, { to, idempotent }: { to: string; idempotent: boolean }) {
        const id = ++calls
        lanes.set(id, to)
        host.observe('called', { node: host.name, life: host.life, id })
        if (!patient) host.setTimer(`deadline:${id}`, DEADLINE)
        step({ type: 'call', id, lane: to, idempotent })
      }
    }
  }
}

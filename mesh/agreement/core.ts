import type { Env } from '../../common/index.ts'
import { onAccept, onDecided, onForget, onPersisted, onPrepare, onQuery, onReported } from './acceptor-core.ts'
import { onLearn, onQuestionTimer, onUndecided } from './learner-core.ts'
import { MAX_HELD_BYTES, MAX_REGISTERS } from './limits.ts'
import { onAccepted, onChosen, onPromise, onProposalTimer, onPropose, onRefuse, onView } from './proposer-core.ts'
import {
  type AgreementEffect,
  type AgreementEvent,
  type AgreementMessage,
  type AgreementState,
  finish,
  heldBy,
  type Register
} from './state.ts'

export interface AgreementInit {
  self: string
  /** What was made durable in earlier lives. */
  registers?: Iterable<[string, Register]>
  maxRegisters?: number
  /** Bytes. */
  maxHeld?: number
  /** @default 500 */
  resend?: number
  /** @default 100 */
  backoff?: number
}

export function createAgreementState(init: AgreementInit): AgreementState {
  const registers = new Map(init.registers ?? [])
  let held = 0
  for (const register of registers.values()) held += heldBy(register)
  return {
    self: init.self,
    registers,
    held,
    proposals: new Map(),
    questions: new Map(),
    reporting: new Map(),
    waiting: new Map(),
    nextId: 1,
    maxRegisters: init.maxRegisters ?? MAX_REGISTERS,
    maxHeld: init.maxHeld ?? MAX_HELD_BYTES,
    resend: init.resend ?? 500,
    backoff: init.backoff ?? 100
  }
}

/**
 * Single-decree Paxos for any number of string keys. What a node says to itself is handled within the same step.
 *
 * @see Lamport 2001, Paxos Made Simple
 */
export function agreementStep(s: AgreementState, event: AgreementEvent, env: Env): AgreementEffect[] {
  const out: AgreementEffect[] = []
  const pending: AgreementEffect[] = []
  handle(s, event, env, pending)
  // messages to itself may make further ones
  for (let i = 0; i < pending.length; i++) {
    const effect = pending[i]!
    if (effect.type === 'send' && effect.to === s.self) onMessage(s, s.self, effect.message, env, pending)
    else out.push(effect)
  }
  return out
}

function handle(s: AgreementState, event: AgreementEvent, env: Env, out: AgreementEffect[]): void {
  switch (event.type) {
    case 'message':
      onMessage(s, event.from, event.message, env, out)
      break
    case 'propose': {
      const { type: _, id, ...init } = event
      onPropose(s, id, init, env, out)
      break
    }
    case 'learn':
      onLearn(s, { id: event.id, key: event.key, voters: event.voters, wait: event.wait }, event.deadline, out)
      break
    case 'abort':
      finish(s, event.id, out)
      break
    case 'view':
      onView(s, event.id, event.alive, out)
      break
    case 'chosen':
      onChosen(s, event.id, event.ballot, event.value, out)
      break
    case 'reported':
      onReported(s, event.id, event.report, out)
      break
    case 'persisted':
      onPersisted(s, event.id, out)
      break
    case 'unpersisted':
      s.waiting.delete(event.id)
      break
    case 'forget':
      onForget(s, event.key, out)
      break
    case 'timer': {
      const colon = event.id.indexOf(':')
      const [timer, id] = [event.id.slice(0, colon), event.id.slice(colon + 1)]
      onProposalTimer(s, timer, id, env, out)
      onQuestionTimer(s, timer, id, out)
      break
    }
  }
}

function onMessage(s: AgreementState, from: string, message: AgreementMessage, env: Env, out: AgreementEffect[]): void {
  switch (message.kind) {
    case 'prepare':
      onPrepare(s, from, message, out)
      break
    case 'promise':
      onPromise(s, from, message, out)
      break
    case 'refuse':
      onRefuse(s, from, message, env, out)
      break
    case 'accept':
      onAccept(s, from, message, out)
      break
    case 'accepted':
      onAccepted(s, from, message, out)
      break
    case 'decided':
      onDecided(s, message.key, { value: message.value, forced: message.forced }, out)
      break
    case 'query':
      onQuery(s, from, message.key, out)
      break
    case 'undecided':
      onUndecided(s, from, message.key, out)
      break
  }
}

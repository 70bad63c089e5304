import { createOwner, type OwnerEvent, type OwnerState, ownerStep } from '../../../actors/runtime/owner-core.ts'
import {
  createReplica,
  type EpochRecord,
  type Position,
  type ReplicaEffect,
  type ReplicaReply,
  type ReplicaRequest,
  type ReplicaState,
  type ReplicaWaiting,
  replicaStep
} from '../../../actors/runtime/replica-core.ts'
import { agreementStep, createAgreementState } from '../../../mesh/agreement/core.ts'
import type { AgreementEvent, AgreementMessage, Register } from '../../../mesh/agreement/state.ts'
import type { Boot } from '../../../mesh/simulation/index.ts'

export interface FencedProgramOptions {
  /** In the place of the real steps: broken variants for a checker to catch. */
  replica?: typeof replicaStep
  owner?: typeof ownerStep
  /** Takes every decision for its own. */
  greedy?: boolean
}

/** Between two writes of an owner, ms. */
const WRITE = 40
const NAME = 'actor/x'
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes))

type Message =
  | { kind: 'agreement'; message: AgreementMessage }
  | { kind: 'request'; request: ReplicaRequest }
  | { kind: 'answer'; reply: ReplicaReply }

/**
 * A node that keeps a copy of one fenced actor, and on command becomes its owner: registers, copies and owner, the real cores. Says
 * `wrote`, `acked` and `recovered`, with the values written.
 */
export function fencedProgram(names: string[], options: FencedProgramOptions = {}): Boot {
  const { replica: stepReplica = replicaStep, owner: stepOwner = ownerStep, greedy = false } = options
  return host => {
    const entries = host.entries()
    const registers = entries.filter(([key]) => key.startsWith(NAME)) as [string, Register][]
    const agreement = createAgreementState({ self: host.name, registers: registers.map(([key, value]) => [key, { ...value }]) })
    const stored = entries.find(([key]) => key === 'copy')?.[1] as ReplicaState | undefined
    const copy = stored === undefined ? createReplica() : { ...stored, held: { ...stored.held }, log: [...stored.log] }
    const waiting: ReplicaWaiting = { next: 1, after: new Map() }
    let record: EpochRecord | undefined
    let owner: OwnerState | undefined
    let calls = 0
    let writes = 0
    const values = new Map<number, string>()
    const proposals = new Map<string, EpochRecord | undefined>()

    const learn = (known: EpochRecord) => {
      if (record === undefined || known.epoch > record.epoch) record = known
      if (owner !== undefined && owner.record.epoch < known.epoch && !greedy) owner = undefined
    }
    host.observe('copy', { fence: copy.fence, epoch: copy.held.epoch })
    for (const [, register] of registers) if (register.decision !== undefined) learn(decode(register.decision.value))

    const toReplica = (effects: ReplicaEffect[]) => {
      for (const effect of effects) {
        if (effect.type === 'reply') host.send(effect.to, { kind: 'answer', reply: effect.reply } as Message)
        else if (effect.type === 'promised') runAgreement({ type: 'reported', id: effect.id, report: encode(effect.held) })
        else if (effect.type === 'refused') runAgreement({ type: 'reported', id: effect.id, report: undefined })
        else {
          const kept = { fence: copy.fence, epoch: copy.held.epoch }
          const persisted = () => {
            host.observe('copy', kept)
            toReplica(stepReplica(copy, waiting, { type: 'persisted', id: effect.id }))
          }
          host.write('copy', { ...copy, held: { ...copy.held }, log: [...copy.log] }, persisted)
        }
      }
    }
    const runOwner = (event: OwnerEvent) => {
      const current = owner
      if (current === undefined) return
      const { epoch } = current.record
      for (const effect of stepOwner(current, event, { now: host.now() })) {
        if (effect.type === 'send') host.send(effect.to, { kind: 'request', request: effect.request } as Message)
        else if (effect.type === 'setTimer') host.setTimer('owner', effect.delay)
        else if (effect.type === 'safe') host.observe('acked', { epoch, value: values.get(effect.id), owner: `${host.name}/${host.life}` })
        else if (effect.type === 'lost') owner = undefined
        else if (effect.type === 'recovered') {
          host.observe('recovered', { epoch, values: effect.log.map(e => decode(e)) })
          host.setTimer('write', WRITE)
        }
      }
    }
    const runAgreement = (event: AgreementEvent) => {
      for (const effect of agreementStep(agreement, event, { now: host.now(), random: host.random })) {
        switch (effect.type) {
          case 'send':
            host.send(effect.to, { kind: 'agreement', message: effect.message } as Message)
            break
          case 'setTimer':
            host.setTimer(`a:${effect.id}`, effect.delay)
            break
          case 'cancelTimer':
            host.cancelTimer(`a:${effect.id}`)
            break
          case 'persist':
            host.write(effect.key, effect.value, () => runAgreement({ type: 'persisted', id: effect.id }))
            break
          case 'report':
            toReplica(stepReplica(copy, waiting, { type: 'promise', id: effect.id, epoch: Number(effect.key.slice(NAME.length + 1)) }))
            break
          case 'choose': {
            const before = proposals.get(effect.id)
            const held = effect.reports.map(r => decode(r.report) as Position)
            const installed = held.some(h => h.epoch === before?.epoch)
            const sources = before === undefined ? [] : installed ? before.voters : before.sources
            const chosen = {
              epoch: (before?.epoch ?? 0) + 1,
              owner: host.name,
              life: String(host.life),
              voters: names,
              sources,
              runs: false
            }
            host.later(1, () => runAgreement({ type: 'chosen', id: effect.id, ballot: effect.ballot, value: encode(chosen) }))
            break
          }
          case 'decided':
            learn(decode(effect.decision.value))
            break
          case 'done': {
            if (effect.decision === undefined || !proposals.delete(effect.id)) break
            const decided = decode(effect.decision.value) as EpochRecord
            const mine = greedy || (decided.owner === host.name && decided.life === String(host.life))
            if (!mine || decided.epoch < (record?.epoch ?? 0)) break
            owner = createOwner(NAME, decided)
            runOwner({ type: 'begin' })
            break
          }
          case 'failed':
            proposals.delete(effect.id)
            break
        }
      }
    }
    return {
      receive(from, received) {
        const message = received as Message
        if (message.kind === 'agreement') runAgreement({ type: 'message', from, message: message.message })
        else if (message.kind === 'request') toReplica(stepReplica(copy, waiting, { type: 'request', from, request: message.request }))
        else runOwner({ type: 'reply', from, reply: message.reply })
      },
      timer(id) {
        if (id.startsWith('a:')) return runAgreement({ type: 'timer', id: id.slice(2) })
        if (id === 'owner') return runOwner({ type: 'timer', id: 'resend' })
        if (owner === undefined) return
        const value = `${host.name}/${host.life}/${++writes}`
        values.set(writes, value)
        host.observe('wrote', { epoch: owner.record.epoch, value, owner: `${host.name}/${host.life}` })
        runOwner({ type: 'commit', id: writes, entry: encode(value) })
        host.setTimer('write', WRITE)
      },
      command() {
        if (owner !== undefined) return
        const id = `claim-${++calls}`
        proposals.set(id, record)
        const key = `${NAME}/${(record?.epoch ?? 0) + 1}`
        runAgreement({
          type: 'propose',
          id,
          key,
          voters: names,
          learners: names,
          quorum: Math.floor(names.length / 2) + 1,
          grace: 100,
          deadline: 3000
        })
      }
    }
  }
}

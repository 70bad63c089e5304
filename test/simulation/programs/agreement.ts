import { agreementStep, createAgreementState } from '../../../mesh/agreement/core.ts'
import { type AgreementEvent, type AgreementMessage, majority, type Register } from '../../../mesh/agreement/state.ts'
import type { Boot } from '../../../mesh/simulation/index.ts'

export interface AgreementProgramOptions {
  /** In the place of the real step: a broken variant for a checker to catch. */
  step?: typeof agreementStep
  /** Voters counted as enough; a majority by default. */
  quorum?: (voters: number) => number
  /** Whether `persisted` is said before the disk has it: a broken variant. */
  lie?: boolean
}

export interface Proposal {
  key: string
  voters: string[]
  learners: string[]
}

/** A node that runs the agreement core alone; says `propose`, `choose`, `decided` and `done`, values as text. */
export function agreementProgram({ step = agreementStep, quorum = majority, lie = false }: AgreementProgramOptions = {}): Boot {
  return host => {
    const registers = host.entries() as [string, Register][]
    const state = createAgreementState({ self: host.name, registers: registers.map(([key, value]) => [key, { ...value }]) })
    const keys = new Map<string, string>()
    let calls = 0
    const run = (event: AgreementEvent) => {
      for (const effect of step(state, event, { now: host.now(), random: host.random })) {
        switch (effect.type) {
          case 'send':
            host.send(effect.to, effect.message)
            break
          case 'setTimer':
            host.setTimer(effect.id, effect.delay)
            break
          case 'cancelTimer':
            host.cancelTimer(effect.id)
            break
          case 'persist':
            host.write(effect.key, effect.value, () => !lie && run({ type: 'persisted', id: effect.id }))
            if (lie) run({ type: 'persisted', id: effect.id })
            break
          case 'erase':
            break
          case 'report':
            // the application takes its time, now and then much of it
            host.later(host.random.float() < 0.1 ? 2000 * host.random.float() : host.random.float() * 20, () =>
              run({ type: 'reported', id: effect.id, report: new TextEncoder().encode(`${host.name} in life ${host.life}`) })
            )
            break
          case 'view':
            // who is alive is not known here: the grace decides
            break
          case 'choose': {
            const value = `${host.name}/${host.life}/${calls++}`
            host.observe('choose', { key: keys.get(effect.id), value, reports: effect.reports.length })
            host.later(host.random.float() * 10, () =>
              run({ type: 'chosen', id: effect.id, ballot: effect.ballot, value: new TextEncoder().encode(value) })
            )
            break
          }
          case 'decided':
            host.observe('decided', { key: effect.key, value: text(effect.decision.value) })
            break
          case 'done':
            host.observe('done', { id: effect.id, key: keys.get(effect.id), value: effect.decision && text(effect.decision.value) })
            break
          case 'failed':
            host.observe('failed', { id: effect.id, key: keys.get(effect.id), reason: effect.reason })
            break
          case 'conflict':
            host.observe('decided', { key: effect.key, value: text(effect.theirs) })
            break
        }
      }
    }
    for (const [key, register] of state.registers) {
      if (register.decision !== undefined) host.observe('decided', { key, value: text(register.decision.value) })
    }
    return {
      receive: (from, message) => run({ type: 'message', from, message: message as AgreementMessage }),
      timer: id => run({ type: 'timer', id }),
      command(name, { key, voters, learners }: Proposal) {
        const id = `${name}-${calls++}`
        keys.set(id, key)
        host.observe(name, { id, key })
        if (name === 'propose') {
          run({ type: 'propose', id, key, voters, learners, quorum: quorum(voters.length), grace: 300, deadline: Number.POSITIVE_INFINITY })
        } else run({ type: 'learn', id, key, voters, wait: true, deadline: Number.POSITIVE_INFINITY })
      }
    }
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

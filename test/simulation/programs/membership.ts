import { membershipStep } from '../../../mesh/membership/core.ts'
import { type MembershipSettings, resolveSettings } from '../../../mesh/membership/settings.ts'
import { createMembershipState, type MembershipEvent, type MembershipMessage } from '../../../mesh/membership/state.ts'
import type { Boot } from '../../../mesh/simulation/index.ts'

export interface MembershipProgramOptions {
  settings?: Partial<MembershipSettings>
  /** In the place of the real step: a broken variant for a checker to catch. */
  step?: typeof membershipStep
  /** Peers that every node joins when it starts. */
  seeds: string[]
}

/** A node that runs the membership core alone; says every change it is told of as `member`. */
export function membershipProgram({ settings, step = membershipStep, seeds }: MembershipProgramOptions): Boot {
  return host => {
    const state = createMembershipState({ self: host.name, epoch: host.life, settings: resolveSettings(settings) })
    const run = (event: MembershipEvent) => {
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
          case 'notify': {
            const { peer, epoch, incarnation } = effect.member
            host.observe('member', { change: effect.change, peer, epoch, incarnation })
            break
          }
          case 'reconnect':
            // links of the simulated world need no dialling
            break
        }
      }
    }
    run({ type: 'start' })
    run({ type: 'join', peers: seeds.filter(p => p !== host.name) })
    return {
      receive: (from, message) => run({ type: 'message', from, message: message as MembershipMessage }),
      timer: id => run({ type: 'timer', id }),
      closed: peer => run({ type: 'hint', peer }),
      command(name) {
        if (name === 'leave') run({ type: 'leave', proof: new Uint8Array(0) })
      }
    }
  }
}

import { createRng } from '../../../common/index.ts'
import { membershipStep } from '../../../mesh/membership/core.ts'
import { type MembershipSettings, resolveSettings } from '../../../mesh/membership/settings.ts'
import {
  createMembershipState,
  type MembershipEffect,
  type MembershipEvent,
  type MembershipMessage,
  type MembershipState
} from '../../../mesh/membership/state.ts'

/** Some membership cores with messages that arrive at once, and a clock that the test moves. */
export class SmallMesh {
  now = 0
  readonly states = new Map<string, MembershipState>()
  /** 'who: change whom' in the order of happening. */
  readonly changes: string[] = []
  readonly sent: { from: string; to: string; message: MembershipMessage }[] = []
  readonly reconnects: string[] = []
  /** Names that hear and say nothing. */
  readonly silent = new Set<string>()
  readonly #wake = new Map<string, number>()
  readonly #random = createRng('small mesh')

  add(name: string, options: { epoch?: number; addresses?: string[]; settings?: Partial<MembershipSettings> } = {}): MembershipState {
    const { epoch = 1, addresses = [`/memory/${name}`], settings = {} } = options
    const state = createMembershipState({ self: name, epoch, addresses, settings: resolveSettings(settings) })
    this.states.set(name, state)
    this.silent.delete(name)
    this.step(name, { type: 'start' })
    return state
  }

  /** `names`, joined through the first of them, and all news of that passed on. */
  grow(names: string[]): void {
    for (const name of names) this.add(name)
    for (const name of names.slice(1)) this.step(name, { type: 'join', peers: [names[0]!] })
    this.run(5000)
    this.changes.length = 0
    this.sent.length = 0
  }

  step(name: string, event: MembershipEvent): MembershipEffect[] {
    const state = this.states.get(name)!
    const effects = membershipStep(state, event, { now: this.now, random: this.#random })
    for (const effect of effects) {
      if (effect.type === 'send') {
        this.sent.push({ from: name, to: effect.to, message: effect.message })
        if (!this.silent.has(name) && !this.silent.has(effect.to) && this.states.has(effect.to)) {
          this.step(effect.to, { type: 'message', from: name, message: structuredClone(effect.message) })
        }
      } else if (effect.type === 'setTimer') this.#wake.set(name, this.now + effect.delay)
      else if (effect.type === 'cancelTimer') this.#wake.delete(name)
      else if (effect.type === 'notify') this.changes.push(`${name}: ${effect.change} ${effect.member.peer}`)
      else this.reconnects.push(`${name}: ${effect.peer} at ${effect.addresses.join()}`)
    }
    return effects
  }

  run(duration: number): void {
    const end = this.now + duration
    for (;;) {
      const [next] = [...this.#wake].filter(([name]) => !this.silent.has(name)).sort((a, b) => a[1] - b[1])
      if (next === undefined || next[1] > end) break
      this.now = Math.max(this.now, next[1])
      this.#wake.delete(next[0])
      this.step(next[0], { type: 'timer', id: 'wake' })
    }
    this.now = end
  }

  /** State of `peer` for `name`. */
  sees(name: string, peer: string): string | undefined {
    return this.states.get(name)!.members.get(peer)?.state
  }
}

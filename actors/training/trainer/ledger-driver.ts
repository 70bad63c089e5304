import { createLedgerCore, type Ledger, type LedgerEffect, type LedgerEvent, type LedgerState, ledgerStep } from '../ledger/index.ts'
import type { SessionInit } from './synchronous.ts'

/** What the ledger decides for its trainer: which range to train next, and which epochs are over. */
export type LedgerDecision = Extract<LedgerEffect, { type: 'train' | 'complete' | 'finished' }>

/** Carries out what the core of a sample ledger asks for: messages and timers itself, decisions by its trainer. */
export class LedgerDriver {
  readonly #init: SessionInit
  readonly #state: LedgerState
  readonly #decided: (decision: LedgerDecision) => void
  readonly #timers = new Map<string, () => void>()

  constructor(init: SessionInit, ledger: Ledger, decided: (decision: LedgerDecision) => void) {
    this.#init = init
    this.#state = createLedgerCore(init.self, ledger.spec, ledger)
    this.#decided = decided
  }

  event(event: LedgerEvent): void {
    const { clock, random } = this.#init
    for (const effect of ledgerStep(this.#state, event, { now: clock.now(), random })) this.#carryOut(effect)
  }

  end(): void {
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }

  #carryOut(effect: LedgerEffect): void {
    switch (effect.type) {
      case 'message':
        this.#init.peers.send(effect.to, { type: 'ledger', body: effect.body })
        break
      case 'setTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.set(
          effect.id,
          this.#init.clock.setTimer(effect.delay, () => {
            this.#timers.delete(effect.id)
            this.event({ type: 'timer', id: effect.id })
          })
        )
        break
      case 'cancelTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.delete(effect.id)
        break
      default:
        this.#decided(effect)
    }
  }
}

import { type Ballot, compareBallots } from '../../../mesh/agreement/ballot.ts'
import type { AgreementMessage } from '../../../mesh/agreement/state.ts'
import { type Checker, Violation } from './checker.ts'

/**
 * An acceptor never goes back on a promise, crashes or not: once it said that it promised or voted at a ballot, it promises and votes
 * at none below, and every later promise names its vote or a later one.
 */
export class PromisesKept implements Checker {
  readonly name = 'an acceptor never goes back on a promise'
  readonly #promised = new Map<string, Ballot>()
  readonly #voted = new Map<string, Ballot>()

  sent(from: string, _to: string, sent: { kind: string }): void {
    const message = sent as AgreementMessage
    if (message.kind !== 'promise' && message.kind !== 'accepted') return
    const { ballot, key } = message
    const register = `${from} ${key}`
    const promised = this.#promised.get(register)
    if (compareBallots(ballot, promised) < 0) {
      throw new Violation(this, `${from} says ${message.kind} ${show(ballot)} for ${key}, and promised ${show(promised)} before`)
    }
    this.#promised.set(register, ballot)
    if (message.kind === 'accepted') this.#voted.set(register, ballot)
    const voted = this.#voted.get(register)
    if (message.kind === 'promise' && compareBallots(message.vote?.ballot, voted) < 0) {
      throw new Violation(this, `${from} promises ${show(ballot)} for ${key} and is silent on its vote ${show(voted)}`)
    }
  }
}

function show(ballot: Ballot | undefined): string {
  return ballot === undefined ? 'nothing' : `${ballot.round}.${ballot.peer}.${ballot.nonce}`
}

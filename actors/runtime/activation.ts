import { AbortedError, type Logger, NotFoundError, OverloadedError, UnreachableError } from '../../common/index.ts'
import { type Address, formatAddress } from './address.ts'
import type { LocalDefinition } from './definition.ts'
import { createMailbox, type MailboxEffect, mailboxStep } from './mailbox-core.ts'

/** Turns of a reentrant actor that may be under way at once. */
const REENTRANT_TURNS = 256

interface Waiting {
  method: string
  argument: unknown
  from: string
  signal: AbortSignal
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** One living actor inside this process: its state and the turns it takes. */
export class Activation {
  readonly #definition: LocalDefinition<any, any>
  readonly #address: Address
  readonly #mailbox
  readonly #waiting = new Map<string, Waiting>()
  readonly #ended = new AbortController()
  readonly #state: Promise<unknown>
  #sequence = 0

  constructor(definition: LocalDefinition<any, any>, target: Address, logger: Logger) {
    this.#definition = definition
    this.#address = target
    this.#mailbox = createMailbox(definition.mailbox, definition.reentrant === true ? REENTRANT_TURNS : 1)
    this.#state = Promise.resolve().then(() => definition.create({ key: target.key, logger, signal: this.#ended.signal }))
    // A failed create is reported to each caller; without this line it would end the process first.
    this.#state.catch(() => {})
  }

  call(method: string, argument: unknown, from: string, signal: AbortSignal): Promise<unknown> {
    const id = String(++this.#sequence)
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#run(mailboxStep(this.#mailbox, { type: 'cancelled', id }))
        if (this.#waiting.delete(id)) reject(new AbortedError(`the call of ${formatAddress(this.#address)}.${method} was given up`))
      }
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      const done =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          signal.removeEventListener('abort', abort)
          settle(value)
        }
      this.#waiting.set(id, { method, argument, from, signal, resolve: done(resolve), reject: done(reject) })
      this.#run(mailboxStep(this.#mailbox, { type: 'arrived', id }))
    })
  }

  /** Settles once the actor's state is made; rejects with what `create` threw. */
  get created(): Promise<unknown> {
    return this.#state
  }

  /** Ends the activation: what waits is refused, the turn under way ends, then `destroy` runs. */
  async end(): Promise<void> {
    this.#run(mailboxStep(this.#mailbox, { type: 'closed' }))
    this.#ended.abort()
    const state = await this.#state.catch(() => undefined)
    if (state !== undefined) await this.#definition.destroy?.(state)
  }

  #run(effects: MailboxEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'turn') {
        void this.#turn(effect.id)
        continue
      }
      const waiting = this.#waiting.get(effect.id)
      this.#waiting.delete(effect.id)
      const name = formatAddress(this.#address)
      waiting?.reject(
        effect.reason === 'overloaded'
          ? new OverloadedError(`the mailbox of ${name} is full: slow down and try again`)
          : new UnreachableError(`${name} has ended here: call again and it is found where it lives now`)
      )
    }
  }

  async #turn(id: string): Promise<void> {
    const waiting = this.#waiting.get(id)
    try {
      if (waiting === undefined) return
      const method = Object.hasOwn(this.#definition.calls, waiting.method) ? this.#definition.calls[waiting.method] : undefined
      if (method === undefined) throw new NotFoundError(`${formatAddress(this.#address)} has no method ${JSON.stringify(waiting.method)}`)
      const state = await this.#state
      waiting.resolve(await method({ state, key: this.#address.key, from: waiting.from, signal: waiting.signal }, waiting.argument))
    } catch (error) {
      waiting?.reject(error)
    } finally {
      this.#waiting.delete(id)
      this.#run(mailboxStep(this.#mailbox, { type: 'finished', id }))
    }
  }
}

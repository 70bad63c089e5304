import { type Clock, FencedError, NoQuorumError, TooLargeError, UnreachableError } from '../../common/index.ts'
import type { Durable } from './activation-types.ts'
import { encodePatch, type KeptState, type Patch } from './kept-state.ts'
import { createOwner, type OwnerEffect, type OwnerEvent, type OwnerState, ownerStep } from './owner-core.ts'
import type { EpochRecord, ReplicaReply, ReplicaRequest } from './replica-core.ts'
import { FOLD, fold, open } from './replicas.ts'

/** Largest change of one turn, bytes. */
const MAX_CHANGE = 2 * 1024 * 1024

export interface OwnerInit {
  name: string
  clock: Clock
  claim(): Promise<EpochRecord>
  send(to: string, request: ReplicaRequest): void
  closed(resting: boolean): void
}

/** Carries out the effects of the owner core, for one activation. */
export class Owner implements Durable {
  readonly #init: OwnerInit
  readonly #writers = new Map<number, { resolve(): void; reject(error: Error): void }>()
  readonly #timers = new Map<string, () => void>()
  readonly #recovered = Promise.withResolvers<{ base: Uint8Array; log: Uint8Array[] }>()
  #state: OwnerState | undefined
  #lost: Error | undefined
  #onLost: ((error: Error) => void) | undefined
  #sequence = 0
  #closed = false
  /** Looks in a row at which a majority of the voters was gone. */
  missing = 0

  constructor(init: OwnerInit) {
    this.#init = init
    this.#recovered.promise.catch(() => {})
  }

  get epoch(): number {
    return this.#state?.record.epoch ?? 0
  }

  onLost(callback: (error: Error) => void): void {
    this.#onLost = callback
  }

  async open(): Promise<KeptState | undefined> {
    const record = await this.#init.claim()
    if (this.#closed) throw new UnreachableError(`${this.#init.name} has ended here`)
    this.#state = createOwner(this.#init.name, record)
    this.#step({ type: 'begin' })
    const { base, log } = await this.#recovered.promise
    return open(base, log)
  }

  commit(patch: Patch | undefined): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    const entry = patch === undefined ? undefined : encodePatch(patch)
    if (entry !== undefined && entry.byteLength > MAX_CHANGE) {
      return Promise.reject(new TooLargeError(`a change of ${this.#init.name} has ${entry.byteLength} bytes; the most is ${MAX_CHANGE}`))
    }
    const id = ++this.#sequence
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#writers.set(id, { resolve, reject })
    this.#step({ type: 'commit', id, entry })
    return promise
  }

  reply(from: string, reply: ReplicaReply): void {
    this.#step({ type: 'reply', from, reply })
  }

  lose(error: Error): void {
    if (this.#lost !== undefined || this.#closed) return
    this.#lost = error
    if (this.#state !== undefined) this.#state.phase = 'lost'
    this.#recovered.reject(error)
    for (const writer of this.#writers.values()) writer.reject(error)
    this.#writers.clear()
    this.#onLost?.(error)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const cancel of this.#timers.values()) cancel()
    const pending = this.#writers.size
    for (const writer of this.#writers.values()) writer.reject(new UnreachableError(`${this.#init.name} has ended here`))
    this.#writers.clear()
    this.#init.closed(this.#lost === undefined && pending === 0 && this.#state?.phase === 'serving')
  }

  #step(event: OwnerEvent): void {
    const state = this.#state
    if (state === undefined || this.#closed) return
    const { clock } = this.#init
    for (const effect of ownerStep(state, event, { now: clock.now() })) this.#carryOut(effect, state)
    if (state.log.length >= 2 * FOLD && state.phase === 'serving') {
      // What a copy lacks is sent from the log: only what is old is folded.
      const entries = state.log.length - FOLD
      const base = fold(state.base, state.log.slice(0, entries))
      ownerStep(state, { type: 'folded', base, entries }, { now: clock.now() })
    }
  }

  #carryOut(effect: OwnerEffect, state: OwnerState): void {
    switch (effect.type) {
      case 'send':
        this.#init.send(effect.to, effect.request)
        break
      case 'recovered':
        this.#recovered.resolve(effect)
        break
      case 'safe':
        this.#writers.get(effect.id)?.resolve()
        this.#writers.delete(effect.id)
        break
      case 'lost': {
        const missing = effect.missing.join(', ')
        this.lose(
          effect.reason === 'fenced'
            ? new FencedError(`${state.name} has a newer epoch than ${state.record.epoch}`)
            : new NoQuorumError(`${state.name}: a majority of ${state.record.voters.length} copies does not answer; missing ${missing}`)
        )
        break
      }
      case 'setTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.set(
          effect.id,
          this.#init.clock.setTimer(effect.delay, () => this.#step({ type: 'timer', id: effect.id }))
        )
        break
      case 'cancelTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.delete(effect.id)
        break
    }
  }
}

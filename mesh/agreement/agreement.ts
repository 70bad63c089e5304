import {
  AbortedError,
  DeadlineError,
  type GradmeshError,
  InvalidParametersError,
  type Logger,
  NoQuorumError,
  OverloadedError,
  silentLogger,
  TooLargeError
} from '../../common/index.ts'
import { decodeAgreement, decodeRegister, encodeAgreement, encodeRegister } from './codec.ts'
import { agreementStep, createAgreementState } from './core.ts'
import { MAX_KEY_BYTES, MAX_PROPOSALS, MAX_REPORT_BYTES, MAX_VALUE_BYTES, MAX_VOTERS } from './limits.ts'
import type { AgreementOptions, AgreementPorts, LearnOptions, ProposeOptions, ProposeResult, Reporter } from './options.ts'
import { type AgreementEffect, type AgreementEvent, type AgreementState, type Decision, majority, type Register } from './state.ts'

type Outcome = Extract<AgreementEffect, { type: 'done' }>

interface Call {
  key: string
  options?: ProposeOptions
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

/** Carries out the effects of the agreement core. See the module's comment for use. */
export class Agreement {
  readonly self: string
  readonly #ports: AgreementPorts
  readonly #logger: Logger
  readonly #state: AgreementState
  readonly #reporters = new Map<string, Reporter>()
  readonly #reportTimeout: number
  readonly #listeners = new Set<(key: string, decision: Decision) => void>()
  readonly #timers = new Map<string, () => void>()
  /** The last write of each key: writes of one key are done in order. */
  readonly #writes = new Map<string, Promise<void>>()
  readonly #calls = new Map<string, Call>()
  /** The event being carried out, and those that came meanwhile. */
  readonly #events: AgreementEvent[] = []
  #nextCall = 1
  #stopped = false

  constructor(options: AgreementOptions, registers: Iterable<[string, Register]>) {
    this.self = options.self
    this.#ports = options.ports
    this.#logger = options.logger ?? silentLogger
    this.#reportTimeout = options.reportTimeout ?? 10_000
    if (options.onReport !== undefined) this.#reporters.set('', options.onReport)
    this.#state = createAgreementState({ self: options.self, registers, resend: options.resend })
  }

  /** Asks `reporter` for keys that start with `prefix`, the longest prefix first. @returns a function that takes it back */
  registerReporter(prefix: string, reporter: Reporter): () => void {
    if (this.#reporters.has(prefix)) throw new InvalidParametersError(`a reporter for keys '${prefix}…' is registered: take it back first`)
    this.#reporters.set(prefix, reporter)
    return () => {
      if (this.#reporters.get(prefix) === reporter) this.#reporters.delete(prefix)
    }
  }

  /**
   * A message of the admitted peer `from`.
   *
   * @throws MalformedError when it is not an agreement message
   */
  receive(from: string, bytes: Uint8Array): void {
    this.#step({ type: 'message', from, message: decodeAgreement(bytes) })
  }

  /**
   * Brings about a decision on `key`: the value that `choose` gives, or the one another proposer was faster with.
   *
   * @throws NoQuorumError naming the voters that did not answer by the deadline
   * @throws DeadlineError when enough answered but no attempt came through
   * @throws InvalidParametersError when the voters hold this key for another set of voters, or an option is wrong
   * @throws AbortedError when the signal was aborted; a value already sent may still be decided
   */
  async propose(key: string, options: ProposeOptions): Promise<ProposeResult> {
    checkKey(key)
    const voters = checkVoters(key, options.voters)
    if (!voters.includes(this.self) && options.outsider !== true) {
      throw new InvalidParametersError(`this node is no voter of register '${key}': let a voter propose, or pass outsider: true`)
    }
    const quorum = options.quorum ?? majority(voters.length)
    if (!(Number.isInteger(quorum) && quorum >= 1 && quorum <= voters.length)) {
      throw new InvalidParametersError(`quorum ${quorum} of register '${key}': give 1 to ${voters.length}, the number of its voters`)
    }
    const { learners = [], grace = 300, deadline = Number.POSITIVE_INFINITY } = options
    const outcome = await this.#call(key, options.signal, options, id => ({
      type: 'propose',
      id,
      key,
      voters,
      learners,
      quorum,
      grace,
      deadline
    }))
    return { ...outcome.decision!, reports: outcome.reports, mine: outcome.mine }
  }

  /** The decision of `key` if this node knows it. */
  decided(key: string): Decision | undefined {
    return this.#state.registers.get(key)?.decision
  }

  /** Keys this node holds anything of. */
  keys(): string[] {
    return [...this.#state.registers.keys()]
  }

  /**
   * Asks the voters of `key` for its decision.
   *
   * @returns undefined when a majority of the voters says that it knows of none (there may be one all the same)
   * @throws NoQuorumError naming the voters that did not answer by the deadline
   */
  async learn(key: string, voters: string[], options: LearnOptions = {}): Promise<Decision | undefined> {
    checkKey(key)
    const given = checkVoters(key, voters)
    const wait = options.wait ?? false
    const deadline = options.deadline ?? (wait ? Number.POSITIVE_INFINITY : 5000)
    const outcome = await this.#call(key, options.signal, undefined, id => ({ type: 'learn', id, key, voters: given, wait, deadline }))
    return outcome.decision
  }

  /** Tells of each decision once, when this node first learns of it. @returns a function that ends the subscription */
  onDecided(listener: (key: string, decision: Decision) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Erases a register. Only for keys that nobody will ever propose or ask for again. */
  forget(key: string): void {
    this.#step({ type: 'forget', key })
  }

  /** Ends all calls with AbortedError and is silent from now on. Resolves when the last write is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
    for (const [id, call] of this.#calls) {
      this.#calls.delete(id)
      call.reject(new AbortedError(`register '${call.key}': this node stopped`))
    }
    await Promise.allSettled(this.#writes.values())
  }

  #call(
    key: string,
    signal: AbortSignal | undefined,
    options: ProposeOptions | undefined,
    event: (id: string) => AgreementEvent
  ): Promise<Outcome> {
    const aborted = () => new AbortedError(`register '${key}': the caller's signal was aborted`)
    if (this.#stopped || signal?.aborted === true) return Promise.reject(aborted())
    if (this.#calls.size >= MAX_PROPOSALS) {
      return Promise.reject(new OverloadedError(`register '${key}': ${MAX_PROPOSALS} proposals and questions run already, try later`))
    }
    const id = `call-${this.#nextCall++}`
    return new Promise<Outcome>((resolve, reject) => {
      const onAbort = () => this.#abandon(id, aborted())
      const ended = () => signal?.removeEventListener('abort', onAbort)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#calls.set(id, {
        key,
        ...(options === undefined ? {} : { options }),
        resolve: outcome => {
          ended()
          resolve(outcome)
        },
        reject: error => {
          ended()
          reject(error)
        }
      })
      this.#step(event(id))
    })
  }

  #abandon(id: string, error: unknown): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    this.#calls.delete(id)
    this.#step({ type: 'abort', id })
    call.reject(error)
  }

  /** A listener may call this object while effects are carried out: what it asks waits until that is done. */
  #step(event: AgreementEvent): void {
    if (this.#stopped) return
    this.#events.push(event)
    if (this.#events.length > 1) return
    const { clock, random } = this.#ports
    try {
      for (let next = this.#events[0]; next !== undefined; next = this.#events[0]) {
        for (const effect of agreementStep(this.#state, next, { now: clock.now(), random })) this.#carryOut(effect)
        this.#events.shift()
      }
    } finally {
      this.#events.length = 0
    }
  }

  #carryOut(effect: AgreementEffect): void {
    switch (effect.type) {
      case 'send':
        this.#ports.send(effect.to, encodeAgreement(effect.message))
        break
      case 'setTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.set(
          effect.id,
          this.#ports.clock.setTimer(effect.delay, () => {
            this.#timers.delete(effect.id)
            this.#step({ type: 'timer', id: effect.id })
          })
        )
        break
      case 'cancelTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.delete(effect.id)
        break
      case 'persist': {
        const bytes = encodeRegister(effect.value)
        this.#write(effect.key, () => this.#ports.store.persist(effect.key, bytes), effect.id)
        break
      }
      case 'erase':
        this.#write(effect.key, async () => this.#ports.store.remove?.(effect.key))
        break
      case 'report':
        void this.#report(effect.id, effect.key)
        break
      case 'view': {
        const alive = this.#calls.get(effect.id)?.options?.alive
        if (alive !== undefined) this.#step({ type: 'view', id: effect.id, alive: alive() })
        break
      }
      case 'choose':
        void this.#choose(effect)
        break
      case 'decided':
        this.#notify(effect.key, effect.decision)
        break
      case 'done':
        this.#take(effect.id)?.resolve(effect)
        break
      case 'failed': {
        const call = this.#take(effect.id)
        call?.reject(failure(call.key, effect))
        break
      }
      case 'conflict':
        this.#logger.error('a register was decided twice, by forced quorums on both sides of a split; the first decision is kept', {
          key: effect.key
        })
        break
    }
  }

  #take(id: string): Call | undefined {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    return call
  }

  #write(key: string, write: () => Promise<void>, id?: string): void {
    const before = this.#writes.get(key) ?? Promise.resolve()
    const done = before
      .then(write)
      .then(() => id !== undefined && this.#step({ type: 'persisted', id }))
      .catch(error => {
        this.#logger.error('a register could not be stored: this node is silent on it', { key, error: String(error) })
        if (id !== undefined) this.#step({ type: 'unpersisted', id })
      })
      .then(() => {
        if (this.#writes.get(key) === done) this.#writes.delete(key)
      })
    this.#writes.set(key, done)
  }

  async #report(id: string, key: string): Promise<void> {
    let report: Uint8Array | undefined
    let cancel = () => {}
    try {
      const late = new Promise<never>((_, reject) => {
        cancel = this.#ports.clock.setTimer(this.#reportTimeout, () =>
          reject(new DeadlineError(`no report after ${this.#reportTimeout} ms`))
        )
      })
      report = await Promise.race([this.#reporterOf(key)?.(key) ?? new Uint8Array(0), late])
      if (report.length > MAX_REPORT_BYTES)
        throw new TooLargeError(`report of ${report.length} bytes: at most ${MAX_REPORT_BYTES} may be given`)
    } catch (error) {
      report = undefined
      this.#logger.warn('no report, so no promise', { key, error: String(error) })
    } finally {
      cancel()
    }
    this.#step({ type: 'reported', id, report })
  }

  #reporterOf(key: string): Reporter | undefined {
    let best: string | undefined
    for (const prefix of this.#reporters.keys()) {
      if (key.startsWith(prefix) && (best === undefined || prefix.length > best.length)) best = prefix
    }
    return best === undefined ? undefined : this.#reporters.get(best)
  }

  async #choose(effect: Extract<AgreementEffect, { type: 'choose' }>): Promise<void> {
    const call = this.#calls.get(effect.id)
    if (call?.options === undefined) return
    try {
      const value = await call.options.choose(effect.reports)
      if (value.length > MAX_VALUE_BYTES) {
        throw new TooLargeError(`value of ${value.length} bytes for register '${call.key}': at most ${MAX_VALUE_BYTES} can be decided`)
      }
      this.#step({ type: 'chosen', id: effect.id, ballot: effect.ballot, value: value.slice() })
    } catch (error) {
      this.#abandon(effect.id, error)
    }
  }

  #notify(key: string, decision: Decision): void {
    for (const listener of this.#listeners) {
      try {
        listener(key, decision)
      } catch (error) {
        this.#logger.error('a listener of decisions failed', { key, error: String(error) })
      }
    }
  }
}

/** @throws VersionError or MalformedError when a stored register cannot be read */
export async function openAgreement(options: AgreementOptions): Promise<Agreement> {
  const stored = await options.ports.store.load()
  return new Agreement(
    options,
    Array.from(stored, ([key, bytes]) => [key, decodeRegister(key, bytes)] as [string, Register])
  )
}

function failure(key: string, effect: Extract<AgreementEffect, { type: 'failed' }>): GradmeshError {
  const missing = effect.missing.join(', ')
  switch (effect.reason) {
    case 'no-quorum':
      return new NoQuorumError(
        `register '${key}': ${effect.answered.length} of ${effect.answered.length + effect.missing.length} voters answered, too few to decide; bring back ${missing}`
      )
    case 'deadline':
      return new DeadlineError(`register '${key}': not decided by the deadline though enough voters answered; try again`)
    case 'voters':
      return new InvalidParametersError(`register '${key}': ${missing} hold it for other voters; read the voters from the last record`)
    case 'full':
      return new OverloadedError(`register '${key}': no room for another register at ${missing}; forget old ones there`)
  }
}

function checkKey(key: string): void {
  const size = Buffer.byteLength(key)
  if (size < 1 || size > MAX_KEY_BYTES) throw new InvalidParametersError(`register key of ${size} bytes: give 1 to ${MAX_KEY_BYTES}`)
}

function checkVoters(key: string, voters: string[]): string[] {
  const unique = [...new Set(voters)]
  if (unique.length === 0 || unique.length > MAX_VOTERS) {
    throw new InvalidParametersError(`register '${key}' has ${unique.length} voters: give 1 to ${MAX_VOTERS}`)
  }
  return unique
}

import { type Clock, CrashedError, createRng, type Logger, NotFoundError, OverloadedError } from '../../common/index.ts'
import { Activation } from './activation.ts'
import type { Behaviour, Durable, Traits } from './activation-types.ts'
import { type Address, formatAddress, parseAddress } from './address.ts'
import type { AnyDefinition } from './definition.ts'
import type { Callable } from './handle.ts'
import { Instance, type InstanceServices } from './instance.ts'
import type { KeptState } from './kept-state.ts'
import type { Lease, Ledger } from './ledger.ts'
import { outsideTurns } from './scope.ts'
import { Stash } from './stash.ts'
import { createSupervision, defaultRestart, type SupervisionState, supervisionStep } from './supervision-core.ts'
import { Refused } from './wire.ts'

/** Time without a call after which an actor is passivated, unless its definition says another, ms. */
const IDLE = 300_000
/** Between two looks for idle actors, ms. */
const LOOK = 1000

/** What can be activated under one name: its code, here or in a process of its own. */
export interface Kind {
  traits: Omit<Traits, 'idle'> & { idle?: number }
  definition: Pick<AnyDefinition, 'needs' | 'placement' | 'restart' | 'replicas'>
  fenced: boolean
  behaviour(services: InstanceServices): Behaviour
}

export function kindOf(definition: AnyDefinition, fenced: boolean): Kind {
  const { mailbox, reentrant, idle, needs } = definition
  return {
    traits: {
      ...(mailbox === undefined ? {} : { mailbox }),
      ...(reentrant === undefined ? {} : { reentrant }),
      ...(idle === undefined ? {} : { idle }),
      ...(needs === undefined ? {} : { needs }),
      runs: definition.run !== undefined,
      hasDown: definition.down !== undefined
    },
    definition,
    fenced,
    behaviour: services => new Instance(definition, services)
  }
}

export interface ActivationsInit {
  self: string
  life: string
  clock: Clock
  logger: Logger
  ledger: Ledger
  callable: Callable
  durable(target: Address, kind: Kind): Durable
  monitor(watcher: string, target: Address, linked: boolean, on: boolean): void
  /** It crashed: whoever monitors it is told. */
  crashed(name: string, reason: string): void
}

interface Entry {
  activation: Activation
  kind: Kind
  lease: Lease | undefined
  /** So many nodes of its placement would not take it. */
  choice: number
}

/** The actors that live on this node. */
export class Activations {
  readonly #init: ActivationsInit
  readonly #entries = new Map<string, Entry>()
  readonly #restarts = new Map<string, { state: SupervisionState; cancel: () => void }>()
  readonly #stash: Stash
  readonly #cancel: NodeJS.Timeout
  #sequence = 0

  constructor(init: ActivationsInit) {
    this.#init = init
    this.#stash = new Stash(init.logger)
    this.#cancel = setInterval(() => this.#passivateIdle(), LOOK)
    this.#cancel.unref()
  }

  get(name: string): Activation | undefined {
    return this.#entries.get(name)?.activation
  }

  /** Every actor that is active here. */
  list(): { name: string; activation: Activation; kind: Kind; choice: number }[] {
    return [...this.#entries].map(([name, { activation, kind, choice }]) => ({ name, activation, kind, choice }))
  }

  /** Actors that sleep here with their state. */
  get stash(): Stash {
    return this.#stash
  }

  /**
   * Begins an activation.
   *
   * @throws Refused when the node's ledger has not what it needs
   * @throws CrashedError when it crashed a moment ago or too often
   */
  activate(target: Address, kind: Kind, choice: number): Activation {
    const name = formatAddress(target)
    const supervised = this.#restarts.get(name)?.state
    if (supervised?.phase === 'waiting') throw new CrashedError(`${name} crashed a moment ago and is started again soon`)
    if (supervised?.phase === 'failed') throw new CrashedError(`${name} crashed too often and is given up for now`, { retryable: false })
    const lease = this.#admit(kind, name)
    const { self, clock, callable } = this.#init
    const logger = this.#init.logger.child(name)
    const durable = kind.fenced ? this.#init.durable(target, kind) : undefined
    const stashed = this.#stash.take(name)
    const activation: Activation = outsideTurns(
      () =>
        new Activation({
          address: target,
          traits: { ...kind.traits, idle: kind.traits.idle ?? IDLE },
          logger,
          id: `${this.#init.life}.${++this.#sequence}`,
          self,
          behaviour: ({ address, epoch, effect }) => kind.behaviour({ address, epoch, effect, logger, callable }),
          ...(durable === undefined ? {} : { durable }),
          ...(stashed === undefined ? {} : { stashed }),
          onMonitor: (watched, linked, on) => this.#init.monitor(name, watched, linked, on),
          onEnd: crash => this.#ended(name, activation, crash, clock.now())
        })
    )
    const entry = { activation, kind, lease, choice }
    this.#entries.set(name, entry)
    // One that could not be made is made anew with the next call, and takes no place until then.
    activation.created.catch(() => this.#drop(name, activation))
    return activation
  }

  /** Ends one in order. Its state, where no other nodes keep it, is set aside or given to `move`. */
  async end(name: string, move?: (state: KeptState) => Promise<void>): Promise<void> {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    // A call that comes from now on waits for a new activation, not for this one.
    this.#entries.delete(name)
    const state = await entry.activation.end()
    entry.lease?.release()
    if (state === undefined) return
    if (move === undefined) this.#stash.put(name, state)
    else await move(state)
  }

  async close(): Promise<void> {
    clearInterval(this.#cancel)
    for (const { cancel } of this.#restarts.values()) cancel()
    await Promise.all([...this.#entries.keys()].map(name => this.end(name)))
  }

  #admit(kind: Kind, name: string): Lease | undefined {
    const { needs } = kind.traits
    if (needs?.devices === undefined && needs?.memory === undefined) return undefined
    try {
      return this.#init.ledger.admit(needs, name)
    } catch (error) {
      if (error instanceof OverloadedError || error instanceof NotFoundError) throw new Refused(error.message)
      throw error
    }
  }

  #drop(name: string, activation: Activation): boolean {
    const entry = this.#entries.get(name)
    if (entry?.activation !== activation) return false
    this.#entries.delete(name)
    entry.lease?.release()
    return true
  }

  #ended(name: string, activation: Activation, crash: Error | undefined, now: number): void {
    if (crash === undefined) {
      void this.end(name)
      return
    }
    const entry = this.#entries.get(name)
    if (!this.#drop(name, activation) || entry === undefined) return
    // Fenced or without its voters: it did nothing wrong, and may go on elsewhere.
    if (!(crash instanceof CrashedError)) {
      this.#init.logger.info(`${name} stopped here: ${crash.message}`)
      return
    }
    this.#init.logger.warn(crash.message)
    this.#init.crashed(name, crash.message)
    this.#restart(name, entry, crash, now)
  }

  #restart(name: string, entry: Entry, crash: Error, now: number): void {
    const policy = { ...defaultRestart, ...entry.kind.definition.restart }
    const known = this.#restarts.get(name) ?? { state: createSupervision(policy), cancel: () => {} }
    this.#restarts.set(name, known)
    const { state } = known
    if (state.phase === 'failed') state.phase = 'running'
    const random = createRng(name)
    for (const effect of supervisionStep(state, { type: 'exited', reason: crash.message }, { now, random })) {
      if (effect.type === 'setTimer') {
        known.cancel = this.#init.clock.setTimer(effect.delay, () => {
          supervisionStep(state, { type: 'timer', id: effect.id }, { now: this.#init.clock.now(), random })
          if (entry.kind.traits.runs && !this.#entries.has(name)) this.#again(name, entry)
        })
      } else if (effect.type === 'giveUp') {
        this.#init.logger.error(effect.reason)
        // Given another chance once the window is over.
        known.cancel = this.#init.clock.setTimer(policy.window, () => this.#restarts.delete(name))
      }
    }
  }

  #again(name: string, entry: Entry): void {
    try {
      this.activate(parseAddress(name), entry.kind, entry.choice)
    } catch (error) {
      this.#init.logger.warn(`${name} was not started again: ${(error as Error).message}`)
    }
  }

  #passivateIdle(): void {
    const now = performance.now()
    for (const [name, { activation }] of this.#entries) {
      if (!activation.pinned && activation.active && activation.quiet && now - activation.lastUsed > activation.idle) void this.end(name)
    }
  }
}

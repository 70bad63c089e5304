import { type Clock, InvalidParametersError, type Logger, type Rng, silentLogger } from '../../common/index.ts'
import { decodeMembership, encodeMembership } from './codec.ts'
import { membershipStep } from './core.ts'
import { MAX_ADDRESS_BYTES, MAX_ADDRESSES, type MemberRecord, type MemberState } from './record.ts'
import { type MembershipSettings, resolveSettings } from './settings.ts'
import { type Change, createMembershipState, isLive, type MembershipEvent, type MembershipState } from './state.ts'

/** What this node knows of one member. */
export interface Member {
  peer: string
  state: MemberState
  /** Life of the member's process; a restart has a higher one. */
  epoch: number
  incarnation: number
  /** Multiaddrs. */
  addresses: string[]
  /** Opaque bytes of the member about its software. */
  version: Uint8Array
  /** The member's signature over {@link leaveBytes}, once it left. */
  proof: Uint8Array
}

export interface MemberChange {
  change: Change
  member: Member
}

export interface MembershipPorts {
  clock: Clock
  random: Rng
  /**
   * Sends one message, at best; never blocks and never throws. Dials when there is no connection. Messages to a peer that does not
   * read must be dropped, not queued without bound.
   */
  send(peer: string, bytes: Uint8Array): void
  /** Tries once to get a connection to a member held for dead. */
  reconnect?(peer: string, addresses: string[]): void
  /** Signs this node's leave; without it leaves are not signed. */
  sign?(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** Checks another member's signed leave; without it every leave is believed. */
  verify?(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>
}

export interface MembershipOptions {
  /** This node's peer id. */
  self: string
  /** Life of this process, above that of its earlier lives. @default milliseconds since 1970 */
  epoch?: number
  /** This node's multiaddrs, at most 8 of at most 256 bytes. */
  addresses?: string[]
  /** Opaque to membership, at most 256 bytes. */
  version?: Uint8Array
  ports: MembershipPorts
  settings?: Partial<MembershipSettings>
  logger?: Logger
}

/** What a member signs when it leaves: it ends this life (epoch) only. */
export function leaveBytes(peer: string, epoch: number): Uint8Array {
  return new TextEncoder().encode(`gradmesh leave 1\n${peer}\n${epoch}`)
}

/** Carries out the effects of the membership core. See the module's comment for use. */
export class Membership {
  readonly self: string
  readonly #ports: MembershipPorts
  readonly #logger: Logger
  readonly #state: MembershipState
  readonly #listeners = new Set<(change: MemberChange) => void>()
  #cancelWake: () => void = () => {}
  #verifying = 0
  /** The event being carried out, and those that came meanwhile. */
  readonly #events: MembershipEvent[] = []

  constructor(options: MembershipOptions) {
    this.self = options.self
    this.#ports = options.ports
    this.#logger = options.logger ?? silentLogger
    this.#state = createMembershipState({
      self: options.self,
      epoch: options.epoch ?? Date.now(),
      addresses: checkAddresses(options.addresses ?? []),
      version: options.version,
      settings: resolveSettings(options.settings)
    })
  }

  start(): void {
    if (!this.#state.running && this.#state.self.state === 'alive') this.#step({ type: 'start' })
  }

  /** Says nothing to anybody: the others will find this node silent. See {@link leave} for the polite way. */
  stop(): void {
    this.#cancelWake()
    this.#state.running = false
  }

  /**
   * A message of the admitted peer `from`.
   *
   * @throws MalformedError when it is not a membership message
   */
  receive(from: string, bytes: Uint8Array): void {
    const message = decodeMembership(bytes)
    if (this.#ports.verify !== undefined) {
      const leaves = message.records.filter(r => r.state === 'left')
      if (leaves.length > 0) {
        message.records = message.records.filter(r => r.state !== 'left')
        for (const record of leaves) void this.#verifyLeave(from, record)
      }
    }
    this.#step({ type: 'message', from, message })
  }

  async #verifyLeave(from: string, record: MemberRecord): Promise<void> {
    const known = this.#state.members.get(record.peer)
    // nothing new, or too much at once: it will be told again
    if (known === undefined || known.state === 'left' || record.epoch < known.epoch || this.#verifying >= 64) return
    this.#verifying++
    try {
      if (await this.#ports.verify!(record.peer, leaveBytes(record.peer, record.epoch), record.proof)) {
        const { epoch, incarnation } = this.#state.members.get(from) ?? { epoch: 0, incarnation: 0 }
        this.#step({ type: 'message', from, message: { kind: 'news', epoch, incarnation, records: [record] } })
      } else this.#logger.warn('leave with a wrong signature', { peer: record.peer, from })
    } catch (error) {
      this.#logger.warn('leave could not be checked', { peer: record.peer, from, error: String(error) })
    } finally {
      this.#verifying--
    }
  }

  /** The last connection to `peer` closed, or one could not be made: it is probed at once. That alone proves nothing. */
  hint(peer: string): void {
    this.#step({ type: 'hint', peer })
  }

  /** Exchanges views with these peers, again and again until each answers (for a minute). */
  join(peers: string[]): void {
    this.#step({ type: 'join', peers })
  }

  /** Announces that this life ends, signed, and stops. The messages are handed to `send` when it resolves. */
  async leave(): Promise<void> {
    const proof = await this.#ports.sign?.(leaveBytes(this.self, this.#state.self.epoch))
    this.#step({ type: 'leave', proof: proof ?? new Uint8Array(0) })
  }

  setAddresses(addresses: string[]): void {
    this.#step({ type: 'addresses', addresses: checkAddresses(addresses) })
  }

  /** Peers believed alive, this node included (unless it left) and suspects too until they are declared; sorted. */
  alive(): string[] {
    const peers = this.#state.self.state === 'alive' ? [this.self] : []
    for (const m of this.#state.members.values()) if (isLive(m.state)) peers.push(m.peer)
    return peers.sort()
  }

  /** All that are known, this node included, dead and left ones until they are forgotten. */
  members(): Member[] {
    return [this.#state.self, ...this.#state.members.values()].map(toMember)
  }

  member(peer: string): Member | undefined {
    const m = peer === this.self ? this.#state.self : this.#state.members.get(peer)
    return m === undefined ? undefined : toMember(m)
  }

  /** @returns a function that ends the subscription */
  onChange(listener: (change: MemberChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A listener may call this object while effects are carried out: what it asks waits until that is done. */
  #step(event: MembershipEvent): void {
    this.#events.push(event)
    if (this.#events.length > 1) return
    try {
      for (let next = this.#events[0]; next !== undefined; next = this.#events[0]) {
        this.#carryOut(next)
        this.#events.shift()
      }
    } finally {
      this.#events.length = 0
    }
  }

  #carryOut(event: MembershipEvent): void {
    const { clock, random } = this.#ports
    const effects = membershipStep(this.#state, event, { now: clock.now(), random })
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.#ports.send(effect.to, encodeMembership(effect.message))
          break
        case 'setTimer':
          this.#cancelWake()
          this.#cancelWake = clock.setTimer(effect.delay, () => this.#step({ type: 'timer', id: effect.id }))
          break
        case 'cancelTimer':
          this.#cancelWake()
          break
        case 'reconnect':
          this.#ports.reconnect?.(effect.peer, effect.addresses)
          break
        case 'notify':
          this.#notify({ change: effect.change, member: toMember(effect.member) })
          break
      }
    }
  }

  #notify(change: MemberChange): void {
    this.#logger.debug('member', { change: change.change, peer: change.member.peer })
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.#logger.error('a membership listener failed', { error: String(error) })
      }
    }
  }
}

function toMember(m: MemberRecord): Member {
  const { peer, state, epoch, incarnation, version, proof } = m
  return { peer, state, epoch, incarnation, addresses: [...m.addresses], version, proof }
}

function checkAddresses(addresses: string[]): string[] {
  const wrong = addresses.find(a => a === '' || Buffer.byteLength(a) > MAX_ADDRESS_BYTES)
  if (wrong !== undefined) {
    throw new InvalidParametersError(`address '${wrong.slice(0, 80)}' has ${wrong.length} characters: give 1 to ${MAX_ADDRESS_BYTES}`)
  }
  return addresses.slice(0, MAX_ADDRESSES)
}

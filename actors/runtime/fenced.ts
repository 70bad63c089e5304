import { type Clock, FencedError, type Logger, MalformedError, NoQuorumError } from '../../common/index.ts'
import type { KeyValue } from '../../mesh/index.ts'
import type { Durable } from './activation-types.ts'
import type { Kind } from './activations.ts'
import { type Address, formatAddress } from './address.ts'
import { Epochs, type Recovery } from './epochs.ts'
import { Owner } from './owner.ts'
import type { EpochRecord, ReplicaReply, ReplicaRequest } from './replica-core.ts'
import { Replicas } from './replicas.ts'
import type { RuntimeMesh } from './runtime-types.ts'
import { decodeValue, encodeValue } from './values.ts'

const REPLICA_PROTOCOL = '/gradmesh/actor-replica/1.0.0'
/** Nodes that keep the state of a fenced actor unless its definition says another number. */
export const REPLICAS = 3
/** Between two looks at timers that are due, and at owners that are gone, ms. */
const LOOK = 500
/** A dead voter is replaced after so many looks. */
const PATIENT_LOOKS = 20
/** The copies of an actor wake it one after the other, so that one call does, ms. */
const WAKE_STEP = 1500

export interface FencedInit {
  mesh: RuntimeMesh
  logger: Logger
  store: KeyValue
  life: string
  clock: Clock
  /** Has the actor activated wherever it belongs. */
  wake(name: string): void
  /** Ends the activation here in order, if there is one. */
  passivate(name: string): Promise<void>
  staying(): string[]
}

/** Fenced actors of one node: those it owns, and the copies that it keeps for others. */
export class Fenced {
  readonly #init: FencedInit
  readonly #epochs: Epochs
  readonly #replicas: Replicas
  readonly #owners = new Map<string, Owner>()
  /** Epochs of this node whose activation ended in order: the next one may go on in it. */
  readonly #resting = new Set<string>()
  readonly #off: () => void
  /** Looks since which a voter has been unfit. */
  readonly #unfit = new Map<string, number>()
  readonly #woken = new Map<string, number>()
  #cancel: (() => void) | undefined
  #closed = false

  constructor(init: FencedInit) {
    this.#init = init
    const { mesh, store, logger, life } = init
    this.#replicas = new Replicas({ store, logger, reply: (to, reply) => this.#send(to, { reply }) })
    this.#epochs = new Epochs({
      mesh,
      logger,
      life,
      promise: (name, epoch) => this.#replicas.promise(name, epoch),
      staying: init.staying,
      learned: (name, record, before) => this.#learned(name, record, before)
    })
    const off: unknown = mesh.onNotify(REPLICA_PROTOCOL, (from, bytes) => this.#receive(from, bytes))
    this.#off = typeof off === 'function' ? (off as () => void) : () => {}
    this.#look()
  }

  /** Who owns the actor, if that node lives. */
  ownerOf(name: string): string | undefined {
    const owner = this.#epochs.get(name)?.owner
    return owner !== undefined && owner !== '' && this.#init.mesh.alive().includes(owner) ? owner : undefined
  }

  record(name: string): EpochRecord | undefined {
    return this.#epochs.get(name)
  }

  isStale(name: string, epoch: number): boolean {
    return (this.#epochs.get(name)?.epoch ?? 0) > epoch
  }

  durable(target: Address, kind: Kind): Durable {
    const name = formatAddress(target)
    const replicas = kind.definition.replicas ?? REPLICAS
    const owner = new Owner({
      name,
      clock: this.#init.clock,
      claim: () => this.#claim(name, replicas, kind.traits.runs),
      send: (to, request) => this.#send(to, { request }),
      closed: resting => {
        if (this.#owners.get(name) === owner) this.#owners.delete(name)
        if (resting) this.#resting.add(name)
      }
    })
    this.#owners.set(name, owner)
    this.#replicasOf.set(target.actor, replicas)
    return owner
  }

  readonly #replicasOf = new Map<string, number>()

  recover(target: Address, replicas: number, options: { signal?: AbortSignal } = {}): Promise<Recovery> {
    return this.#epochs.recover(formatAddress(target), replicas, options)
  }

  /** Gives up what this node owns: the next call finds another owner. */
  async drain(options: { signal?: AbortSignal }): Promise<void> {
    for (const [name, record] of this.#epochs.entries()) {
      if (options.signal?.aborted || record.owner !== this.#init.mesh.peer) continue
      await this.#init.passivate(name)
      this.#epochs.giveUp(name)
    }
  }

  /** Waits until others keep what this node kept, but not for ever. */
  async release(options: { signal?: AbortSignal }): Promise<void> {
    const { mesh } = this.#init
    const mine = () =>
      this.#epochs
        .entries()
        .filter(([, r]) => r.voters.includes(mesh.peer) && r.voters.some(v => v !== mesh.peer || mesh.alive().length > 1))
    const end = this.#init.clock.now() + 10_000
    for (const [name] of mine()) this.#init.wake(name)
    while (mesh.alive().length > 1 && mine().length > 0 && this.#init.clock.now() < end && !options.signal?.aborted) {
      await new Promise<void>(resolve => this.#init.clock.setTimer(50, resolve))
    }
    const left = mine().length
    if (left > 0 && mesh.alive().length > 1) this.#init.logger.warn(`${left} actors lose the copy of their state that this node kept`)
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#off()
    this.#epochs.close()
    this.#replicas.close()
  }

  async #claim(name: string, replicas: number, runs: boolean): Promise<EpochRecord> {
    const { mesh, life } = this.#init
    const record = this.#epochs.get(name)
    const resting = this.#resting.delete(name)
    if (resting && record?.owner === mesh.peer && record.life === life && this.#fit(name, record, replicas, true)) {
      return { ...record, sources: record.voters }
    }
    return await this.#epochs.claim(name, replicas, runs)
  }

  /** Whether its voters are those that it should have. @param strict - members that are merely dead count as unfit, too */
  #fit(name: string, record: EpochRecord, replicas: number, strict: boolean): boolean {
    const wanted = this.#epochs.voters(name, record.voters, replicas)
    if (wanted.join() === [...record.voters].sort().join()) return true
    const alive = this.#init.mesh.alive()
    const leaving = record.voters.some(v => alive.includes(v) && !wanted.includes(v))
    return !strict && !leaving && record.voters.length >= wanted.length && wanted.every(v => record.voters.includes(v))
  }

  #learned(name: string, record: EpochRecord, before: EpochRecord | undefined): void {
    if (record.owner !== this.#init.mesh.peer || record.life !== this.#init.life) this.#resting.delete(name)
    if (before !== undefined) this.#epochs.forgetRegister(name, before.epoch)
    this.#unfit.delete(name)
    const owner = this.#owners.get(name)
    if (owner !== undefined && owner.epoch > 0 && owner.epoch < record.epoch)
      owner.lose(new FencedError(`${name} is at epoch ${record.epoch} elsewhere`))
  }

  #send(to: string, message: { request: ReplicaRequest } | { reply: ReplicaReply }): void {
    const { mesh } = this.#init
    if (to === mesh.peer) {
      queueMicrotask(() => !this.#closed && this.#take(to, message))
      return
    }
    mesh.notify(to, REPLICA_PROTOCOL, encodeValue(message, 'message to a copy', Number.POSITIVE_INFINITY))
  }

  #receive(from: string, bytes: Uint8Array): void {
    if (!this.#closed) this.#take(from, decodeValue(bytes, 'message of a copy'))
  }

  #take(from: string, message: unknown): void {
    const { request, reply } = message as { request?: ReplicaRequest; reply?: ReplicaReply }
    const body = request ?? reply
    if (typeof body?.name !== 'string' || !Number.isSafeInteger(body.epoch) || !Number.isSafeInteger(body.round)) {
      throw new MalformedError(`${from} sent a message about a copy that is none`)
    }
    if (request !== undefined) {
      checkRequest(request)
      // Only the owner of an epoch speaks in its name, where this node knows who that is.
      const record = this.#epochs.get(request.name)
      if (record?.epoch === request.epoch && record.owner !== '' && record.owner !== from) return
      this.#replicas.request(from, request)
    } else if (reply !== undefined) this.#owners.get(reply.name)?.reply(from, reply)
  }

  /** Looks after what would else wait for ever: timers and loops of actors whose owner is gone, and voters that are. */
  #look(): void {
    if (this.#closed) return
    try {
      const { mesh } = this.#init
      const alive = new Set(mesh.alive())
      for (const [name, record] of this.#epochs.entries()) {
        this.#checkOwner(name, record, alive)
        const place = record.voters.filter(v => alive.has(v)).indexOf(mesh.peer)
        if (place >= 0) this.#wakeIfDue(name, record, alive, place)
        this.#repair(name, record, alive, place)
      }
    } catch (error) {
      this.#init.logger.warn(`looking after fenced actors: ${(error as Error).message}`)
    }
    this.#cancel = this.#init.clock.setTimer(LOOK, () => this.#look())
  }

  /** An owner that does not see a majority of its voters stops by itself. */
  #checkOwner(name: string, record: EpochRecord, alive: Set<string>): void {
    const owner = this.#owners.get(name)
    if (owner === undefined || owner.epoch !== record.epoch) return
    const missing = record.voters.filter(v => !alive.has(v))
    owner.missing = missing.length * 2 >= record.voters.length ? owner.missing + 1 : 0
    if (owner.missing >= 4)
      owner.lose(
        new NoQuorumError(`${name} stops here: ${missing.length} of its ${record.voters.length} voters are gone: ${missing.join(', ')}`)
      )
  }

  #wakeIfDue(name: string, record: EpochRecord, alive: Set<string>, place: number): void {
    if (this.#owners.has(name)) return
    const due = this.#replicas.due(name)
    const orphan = record.runs && !alive.has(record.owner)
    if (!orphan && (due === undefined || due + place * WAKE_STEP > Date.now())) return
    const now = this.#init.clock.now()
    const last = this.#woken.get(name)
    if (last !== undefined && now - last < WAKE_STEP * (place + 2)) return
    if (last === undefined && orphan && place > 0) {
      this.#woken.set(name, now)
      return
    }
    this.#woken.set(name, now)
    this.#init.wake(name)
  }

  /** The first living voter sees to it that dead and leaving ones are replaced, by a new epoch. */
  #repair(name: string, record: EpochRecord, alive: Set<string>, place: number): void {
    const responsible = alive.has(record.owner) ? record.owner === this.#init.mesh.peer : place === 0
    const replicas = this.#replicasOf.get(name.slice(0, name.indexOf('/'))) ?? Math.max(REPLICAS, record.voters.length)
    if (!responsible || this.#fit(name, record, replicas, false)) {
      this.#unfit.delete(name)
      return
    }
    const looks = (this.#unfit.get(name) ?? 0) + 1
    this.#unfit.set(name, looks)
    const leaving = record.voters.some(v => alive.has(v) && !this.#init.staying().includes(v))
    if (looks < (leaving ? 1 : PATIENT_LOOKS)) return
    this.#unfit.delete(name)
    void this.#init.passivate(name).then(() => {
      this.#resting.delete(name)
      this.#init.wake(name)
    })
  }
}

/** @throws MalformedError */
function checkRequest(request: ReplicaRequest): void {
  const bytes = (list: unknown) => Array.isArray(list) && list.every(x => x instanceof Uint8Array)
  const ok =
    request.kind === 'read' ||
    (request.kind === 'append' && Number.isSafeInteger(request.after) && bytes(request.entries)) ||
    (request.kind === 'install' && Number.isSafeInteger(request.seq) && request.base instanceof Uint8Array && bytes(request.log))
  if (!ok) throw new MalformedError(`a change of ${request.name} has not the form it must have`)
}

import { z } from 'zod'
import { InvalidParametersError, type Logger, MalformedError, NoQuorumError, NotFoundError, rendezvousOrder } from '../../common/index.ts'
import { type EpochRecord, laterThan, type Position } from './replica-core.ts'
import type { RuntimeMesh } from './runtime-types.ts'
import { decodeValue, encodeValue } from './values.ts'
import { Elsewhere } from './wire.ts'

/** Kind of the replicated records that say who owns fenced actors. */
const KIND = 'actor-epoch'
const PREFIX = 'actor/'
/** A register's key and a record's key hold at most this much of an address, bytes. */
const MAX_NAME = 220
/** How long the voters are waited for, ms. */
const DECISION = 5000
const TTL = 365 * 86_400_000

const peers = z.array(z.string().max(128)).max(64)
const recordSchema = z.object({
  epoch: z.number().int().positive(),
  owner: z.string().max(128),
  life: z.string().max(64),
  voters: peers,
  sources: peers,
  runs: z.boolean()
})

export interface EpochsInit {
  mesh: RuntimeMesh
  logger: Logger
  life: string
  /** Closes this node's copy to epochs before `epoch`; rejects when it knows a newer one. */
  promise(name: string, epoch: number): Promise<Position>
  /** Members that stay: alive and not about to leave. */
  staying(): string[]
  /** A newer record of an actor came to be known. */
  learned(name: string, record: EpochRecord, before: EpochRecord | undefined): void
}

/** What a forced recovery found. */
export interface Recovery {
  epoch: number
  /** Voters that answered, and what each held. */
  survivors: { peer: string; held: Position }[]
  /** Voters that did not: what only they held is lost. */
  missing: string[]
}

/** Who may write which fenced actor: decided by its voters, one register an epoch, and told to every node. */
export class Epochs {
  readonly #init: EpochsInit
  readonly #records = new Map<string, EpochRecord>()
  readonly #offs: (() => void)[]

  constructor(init: EpochsInit) {
    this.#init = init
    const { mesh } = init
    mesh.records.define(KIND, { owner: 'any', kept: true })
    this.#offs = [
      mesh.agreement.registerReporter(PREFIX, key => this.#report(key)),
      mesh.records.on(KIND, record => this.#told(record.key, record.payload))
    ]
    for (const record of mesh.records.list(KIND)) this.#told(record.key, record.payload)
  }

  get(name: string): EpochRecord | undefined {
    return this.#records.get(name)
  }

  entries(): [string, EpochRecord][] {
    return [...this.#records]
  }

  /**
   * Has this node made the owner of the actor's next epoch.
   *
   * @throws Elsewhere when another was faster and lives
   * @throws NoQuorumError naming the voters that did not answer
   */
  async claim(name: string, replicas: number, runs: boolean): Promise<EpochRecord> {
    const { mesh, life } = this.#init
    checkName(name)
    for (let attempt = 0; ; attempt++) {
      const before = this.#records.get(name)
      if (before === undefined) this.#checkMajority(name)
      const epoch = (before?.epoch ?? 0) + 1
      const voters = before?.voters ?? this.#first(name, replicas)
      const next = this.voters(name, before?.voters ?? [], replicas)
      const { value } = await mesh.agreement.propose(registerKey(name, epoch), {
        voters,
        outsider: true,
        alive: () => mesh.alive(),
        deadline: DECISION,
        choose: reports => {
          const held = reports.map(r => decodePosition(r.report))
          const installed = held.some(h => h.epoch === before?.epoch)
          const sources = before === undefined ? [] : installed ? before.voters : before.sources
          return encodeRecord({ epoch, owner: mesh.peer, life, voters: next, sources, runs })
        }
      })
      const record = decodeRecord(value)
      this.#learn(name, record)
      if (record.owner === mesh.peer && record.life === life) {
        this.#announce(name, record)
        return record
      }
      if (mesh.alive().includes(record.owner) && record.owner !== mesh.peer) throw new Elsewhere(record.owner)
      if (attempt >= 8) throw new NoQuorumError(`${name} changes its owner too often: try again`)
    }
  }

  /** Lets another node become the owner without waiting for this one to be gone. */
  giveUp(name: string): void {
    const record = this.#records.get(name)
    if (record === undefined || record.owner !== this.#init.mesh.peer || record.life !== this.#init.life) return
    const released = { ...record, owner: '' }
    this.#records.set(name, released)
    this.#announce(name, released)
  }

  /**
   * Goes on with fewer voters than a majority, when the others are lost for good: what only those held is lost, and if one of them
   * still runs somewhere there are two actors of one name.
   *
   * @throws InvalidParametersError when it is not needed, NotFoundError when there is nothing to go on from
   */
  async recover(name: string, replicas: number, options: { signal?: AbortSignal } = {}): Promise<Recovery> {
    const { mesh, life } = this.#init
    const before = this.#records.get(name)
    if (before === undefined) throw new NotFoundError(`${name} was never active as a fenced actor: there is nothing to recover`)
    const alive = mesh.alive()
    const survivors = before.voters.filter(v => alive.includes(v))
    const missing = before.voters.filter(v => !alive.includes(v))
    if (survivors.length > before.voters.length / 2) {
      throw new InvalidParametersError(
        `${survivors.length} of the ${before.voters.length} voters of ${name} are alive: it needs no recovery`
      )
    }
    if (survivors.length === 0)
      throw new NotFoundError(`no voter of ${name} is alive (${missing.join(', ')}): its state is on none of the live nodes`)
    const held: Recovery['survivors'] = []
    const epoch = before.epoch + 1
    const { value } = await mesh.agreement.propose(registerKey(name, epoch), {
      voters: before.voters,
      outsider: true,
      quorum: survivors.length,
      alive: () => mesh.alive(),
      deadline: DECISION,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      choose: reports => {
        held.splice(0, held.length, ...reports.map(r => ({ peer: r.peer, held: decodePosition(r.report) })))
        const best = held.reduce((a, b) => (laterThan(b.held, a.held) ? b : a))
        const voters = this.voters(name, survivors, replicas)
        return encodeRecord({ epoch, owner: '', life, voters, sources: best.held.epoch === 0 ? [] : [best.peer], runs: before.runs })
      }
    })
    const record = decodeRecord(value)
    this.#learn(name, record)
    this.#announce(name, record)
    return { epoch, survivors: held, missing }
  }

  /** The voters of the next epoch: the old ones, dead ones replaced where there is somebody to replace them. */
  voters(name: string, old: readonly string[], replicas: number): string[] {
    const { mesh } = this.#init
    const staying = this.#init.staying()
    const known = new Set(
      mesh
        .members()
        .filter(m => m.state !== 'left')
        .map(m => m.peer)
    )
    const voters = old.filter(peer => staying.includes(peer)).slice(0, replicas)
    for (const peer of rendezvousOrder(`${name}/voters`, staying)) if (voters.length < replicas && !voters.includes(peer)) voters.push(peer)
    // A dead one keeps its place as long as nobody can take it: fewer voters would bear fewer losses.
    for (const peer of old) if (voters.length < replicas && !voters.includes(peer) && known.has(peer)) voters.push(peer)
    return voters.sort()
  }

  forgetRegister(name: string, epoch: number): void {
    this.#init.mesh.agreement.forget(registerKey(name, epoch))
  }

  close(): void {
    for (const off of this.#offs) off()
  }

  /** First voters: by rendezvous over all known members, dead ones counted, so that both halves of a split mesh name the same. */
  #first(name: string, replicas: number): string[] {
    const members = this.#init.mesh
      .members()
      .filter(m => m.state !== 'left')
      .map(m => m.peer)
    return rendezvousOrder(`${name}/voters`, members).slice(0, replicas).sort()
  }

  /** An actor that nobody knows begins only where most of the mesh can be seen: elsewhere it may have begun without us. */
  #checkMajority(name: string): void {
    const members = this.#init.mesh.members().filter(m => m.state !== 'left')
    const seen = members.filter(m => m.state === 'alive' || m.state === 'suspect').length
    if (seen * 2 > members.length) return
    const missing = members.filter(m => m.state === 'dead').map(m => m.peer)
    throw new NoQuorumError(`${name} cannot begin here: ${seen} of ${members.length} members are seen; missing ${missing.join(', ')}`)
  }

  /** What this node reports as a voter; with it, its copy is closed to older epochs. */
  async #report(key: string): Promise<Uint8Array> {
    const slash = key.lastIndexOf('/')
    const name = key.slice(PREFIX.length, slash)
    const epoch = Number(key.slice(slash + 1))
    const known = this.#records.get(name)
    if (!Number.isSafeInteger(epoch) || epoch < 1 || epoch <= (known?.epoch ?? 0)) {
      // Whoever asks is behind: the record it lacks is sent on its way again.
      if (known !== undefined) this.#announce(name, known)
      throw new MalformedError(`${name} is past epoch ${epoch}`)
    }
    if (known === undefined) this.#checkMajority(name)
    const { epoch: at, seq } = await this.#init.promise(name, epoch)
    return encodeValue([at, seq], 'report')
  }

  #announce(name: string, record: EpochRecord): void {
    this.#init.mesh.records.put(KIND, name, encodeRecord(record), { ttl: TTL })
  }

  #told(name: string, payload: Uint8Array): void {
    try {
      const record = decodeRecord(payload)
      const known = this.#records.get(name)
      if (known !== undefined && known.epoch > record.epoch) {
        // Somebody who was behind wrote over it.
        if (known.owner === this.#init.mesh.peer && known.life === this.#init.life) queueMicrotask(() => this.#announce(name, known))
        return
      }
      this.#learn(name, record)
    } catch (error) {
      this.#init.logger.warn(`the record of ${name} is ignored: ${(error as Error).message}`)
    }
  }

  #learn(name: string, record: EpochRecord): void {
    const known = this.#records.get(name)
    if (known !== undefined && (known.epoch > record.epoch || (known.epoch === record.epoch && known.owner === ''))) return
    this.#records.set(name, record)
    if (known?.epoch !== record.epoch) this.#init.learned(name, record, known)
  }
}

function registerKey(name: string, epoch: number): string {
  return `${PREFIX}${name}/${epoch}`
}

/** @throws InvalidParametersError */
function checkName(name: string): void {
  const bytes = Buffer.byteLength(name)
  if (bytes > MAX_NAME)
    throw new InvalidParametersError(`${name.slice(0, 60)}…: the address of a fenced actor has at most ${MAX_NAME} bytes, not ${bytes}`)
}

function encodeRecord(record: EpochRecord): Uint8Array {
  return encodeValue({ ...record }, 'epoch record')
}

/** @throws MalformedError */
function decodeRecord(bytes: Uint8Array): EpochRecord {
  const parsed = recordSchema.safeParse(decodeValue(bytes, 'epoch record'))
  if (!parsed.success)
    throw new MalformedError(`an epoch record, ${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}

/** @throws MalformedError */
function decodePosition(bytes: Uint8Array): Position {
  const value = decodeValue(bytes, 'report')
  if (!Array.isArray(value) || !value.every(Number.isSafeInteger)) throw new MalformedError('a voter reported what is no position')
  return { epoch: value[0], seq: value[1] }
}

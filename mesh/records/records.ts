import { AbortedError, type Clock, type Logger, MalformedError, type Rng, shuffle, silentLogger } from '../../common/index.ts'
import type { Authority } from '../admission/index.ts'
import type { Control } from '../control/index.ts'
import type { KeyValue } from '../state/index.ts'
import { Difference, Digest, type Entry, Records as RecordsMessage, Wanted, Record as Wire } from './pb/records.ts'
import { CertificateCache, MAX_TTL, type MeshRecord, type SignedRecord, signRecord, sizeOf, verifyRecord } from './record.ts'
import { BUCKETS, type KindRule, RecordStore } from './store.ts'

const PUSH_PROTOCOL = '/gradmesh/records/1.0.0'
const DIGEST_PROTOCOL = '/gradmesh/records-digest/1.0.0'
const WANTED_PROTOCOL = '/gradmesh/records-wanted/1.0.0'

/** Time between comparisons with a random member, ms. */
const COMPARE_INTERVAL = 2000
const COMPARE_DEADLINE = 5000
/** In a mesh smaller than this a change goes to all at once. */
const SMALL_MESH = 8
/** In a larger one each node passes news on to so many. */
const FANOUT = 3
/** Records of one message, and bytes. */
const MAX_BATCH = 1024
const MAX_BATCH_BYTES = 1024 * 1024
const MAX_ENTRIES = 20_000

export interface PutOptions {
  /** Milliseconds until the record counts as absent. @default a day */
  ttl?: number
  /** This node writes it again after its own restart, while it has not expired. @default false */
  durable?: boolean
}

/** Settings of {@link createRecords}. */
export interface RecordsInit {
  authority: Authority
  control: Control
  /** Members that can be reached now, without ourselves. */
  peers(): string[]
  clock: Clock
  random: Rng
  /** Wall clock, ms. @default Date.now */
  wallClock?: () => number
  kv?: KeyValue
  logger?: Logger
}

/** A map of signed, versioned, expiring records that every member holds a copy of. */
export interface Records {
  /** Says who may write records of `kind`; a kind that nobody defined may be written by any member. */
  define(kind: string, rule: KindRule): void
  /**
   * Writes a record and spreads it.
   *
   * @throws InvalidParametersError when it belongs to another node
   * @throws TooLargeError when it is over 64 KiB, OverloadedError when 10,000 records are held
   */
  put(kind: string, key: string, payload: Uint8Array, options?: PutOptions): MeshRecord
  get(kind: string, key: string): MeshRecord | undefined
  list(kind: string): MeshRecord[]
  /** Calls back for every new version, our own included. @returns unsubscribes */
  on(kind: string, callback: (record: MeshRecord) => void): () => void
  /** Drops what a node that is no member any more has written. */
  forgetAuthor(author: string): void
  /** Compares all records with `peer` and exchanges what differs. */
  compare(peer: string, options?: { signal?: AbortSignal }): Promise<void>
  stop(): void
}

const DAY = 86_400_000

export function createRecords(init: RecordsInit): Records {
  return new ReplicatedRecords(init)
}

class ReplicatedRecords implements Records {
  readonly #init: RecordsInit
  readonly #log: Logger
  readonly #store = new RecordStore()
  readonly #certificates = new CertificateCache()
  readonly #callbacks = new Map<string, Set<(record: MeshRecord) => void>>()
  readonly #undo: (() => void)[]
  #cancelTimer: () => void = () => {}
  #stopped = false

  constructor(init: RecordsInit) {
    this.#init = init
    this.#log = (init.logger ?? silentLogger).child('records')
    const { control } = init
    this.#undo = [
      control.onNotify(PUSH_PROTOCOL, (from, bytes) => this.#receive(from, RecordsMessage.decode(bytes, LIMITS))),
      control.handle(DIGEST_PROTOCOL, bytes => this.#answerDigest(Digest.decode(bytes, { limits: { buckets: BUCKETS } }))),
      control.handle(WANTED_PROTOCOL, bytes => this.#answerWanted(Wanted.decode(bytes, { limits: { entries: MAX_ENTRIES } })))
    ]
    this.#restore()
    this.#schedule()
  }

  define(kind: string, rule: KindRule): void {
    this.#store.define(kind, rule)
  }

  put(kind: string, key: string, payload: Uint8Array, options: PutOptions = {}): MeshRecord {
    const { authority } = this.#init
    const now = this.#now()
    const author = authority.identity.peer
    this.#store.checkOwner(kind, key, author, now)
    const known = this.#store.get(kind, key, now, true)
    const expiry = Math.round(now + Math.min(MAX_TTL, options.ttl ?? DAY))
    const record = signRecord({ kind, key, author, sequence: Math.max(now, (known?.sequence ?? 0) + 1), expiry, payload }, authority)
    this.#store.accept(record, now)
    if (options.durable || this.#store.rule(kind).kept) this.#save(record)
    this.#push([record], undefined)
    this.#tell(record)
    return record
  }

  get(kind: string, key: string): MeshRecord | undefined {
    return this.#store.get(kind, key, this.#now())
  }

  list(kind: string): MeshRecord[] {
    return this.#store.list(kind, this.#now())
  }

  on(kind: string, callback: (record: MeshRecord) => void): () => void {
    const set = this.#callbacks.get(kind) ?? new Set()
    this.#callbacks.set(kind, set.add(callback))
    return () => set.delete(callback)
  }

  forgetAuthor(author: string): void {
    this.#store.forgetAuthor(author)
  }

  async compare(peer: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { control } = this.#init
    const ask = { ...options, deadline: COMPARE_DEADLINE }
    const digest = this.#store.digest(this.#now())
    const { buckets, entries } = Difference.decode(await control.request(peer, DIGEST_PROTOCOL, Digest.encode({ buckets: digest }), ask), {
      limits: { buckets: BUCKETS, entries: MAX_ENTRIES }
    })
    if (buckets.length === 0) return
    const theirs = new Map(entries.map(entry => [`${entry.kind}\n${entry.key}`, entry]))
    const lacking = this.#store.inBuckets(new Set(buckets), this.#now()).filter(record => {
      const entry = theirs.get(`${record.kind}\n${record.key}`)
      return entry === undefined || entry.sequence !== record.sequence || entry.author !== record.author
    })
    for (const batch of batches(lacking.filter(r => !isOlder(r, theirs.get(`${r.kind}\n${r.key}`))))) this.#send(peer, batch)
    let wanted = entries.filter(entry => this.#store.isNews(entry))
    while (wanted.length > 0) {
      const reply = await control.request(peer, WANTED_PROTOCOL, Wanted.encode({ entries: wanted }), ask)
      this.#receive(peer, RecordsMessage.decode(reply, LIMITS))
      const rest = wanted.filter(entry => this.#store.isNews(entry))
      // A peer that does not give what it announced is not asked again in this round.
      if (rest.length === wanted.length) return
      wanted = rest
    }
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer()
    for (const undo of this.#undo) undo()
  }

  #now(): number {
    return (this.#init.wallClock ?? Date.now)()
  }

  #schedule(): void {
    const delay = COMPARE_INTERVAL * (0.75 + 0.5 * this.#init.random.float())
    this.#cancelTimer = this.#init.clock.setTimer(delay, () => {
      if (this.#stopped) return
      for (const { kind, key } of this.#store.forget(this.#now())) this.#init.kv?.delete(`${kind}\n${key}`)
      const peers = this.#init.peers()
      const peer = peers[peers.length > 0 ? this.#init.random.int(peers.length) : 0]
      if (peer !== undefined) {
        this.compare(peer).catch(error => {
          if (!(error instanceof AbortedError) && !this.#stopped)
            this.#log.debug(`records were not compared with ${peer}: ${error.message}`)
        })
      }
      this.#schedule()
    })
  }

  #receive(from: string, message: RecordsMessage): void {
    const news: SignedRecord[] = []
    for (const wire of message.records) {
      const record = this.#accept(from, wire)
      if (record !== undefined) news.push(record)
    }
    // In a small mesh the author told everybody itself; comparison covers the rest.
    if (news.length > 0 && this.#init.peers().length >= SMALL_MESH) this.#push(news, from)
    for (const record of news) this.#tell(record)
  }

  #accept(from: string, wire: Wire): SignedRecord | undefined {
    const now = this.#now()
    try {
      if (wire.expiry <= now || !this.#store.isNews(wire)) return undefined
      const record = verifyRecord(wire, this.#init.authority, now, this.#certificates)
      if (!this.#store.accept(record, now)) return undefined
      if (this.#store.rule(record.kind).kept) this.#save(record)
      return record
    } catch (error) {
      this.#log.debug(`a record from ${from} was refused: ${(error as Error).message}`)
      return undefined
    }
  }

  #tell(record: SignedRecord): void {
    for (const callback of this.#callbacks.get(record.kind) ?? []) {
      try {
        callback(record)
      } catch (error) {
        this.#log.error(`a listener of ${record.kind} failed: ${(error as Error).message}`)
      }
    }
  }

  #push(records: SignedRecord[], except: string | undefined): void {
    const peers = this.#init.peers().filter(peer => peer !== except)
    const chosen = peers.length < SMALL_MESH ? peers : shuffle(peers, this.#init.random).slice(0, FANOUT)
    for (const batch of batches(records)) for (const peer of chosen) this.#send(peer, batch)
  }

  #send(peer: string, records: SignedRecord[]): void {
    this.#init.control.notify(peer, PUSH_PROTOCOL, RecordsMessage.encode({ records: records as Wire[] }))
  }

  #answerDigest(digest: Digest): Uint8Array {
    const now = this.#now()
    if (digest.buckets.length !== BUCKETS) throw new MalformedError(`a digest has ${BUCKETS} buckets, not ${digest.buckets.length}`)
    const buckets = this.#store.digest(now).flatMap((hash, i) => (hash === digest.buckets[i] ? [] : [i]))
    const entries = this.#store.inBuckets(new Set(buckets), now).map(({ kind, key, author, sequence }) => ({ kind, key, author, sequence }))
    return Difference.encode({ buckets, entries })
  }

  #answerWanted(wanted: Wanted): Uint8Array {
    const now = this.#now()
    const found = wanted.entries.map(entry => this.#store.get(entry.kind, entry.key, now)).filter(record => record !== undefined)
    return RecordsMessage.encode({ records: (batches(found).next().value ?? []) as Wire[] })
  }

  #save(record: SignedRecord): void {
    this.#init.kv?.put(`${record.kind}\n${record.key}`, Wire.encode(record as Wire))
  }

  #restore(): void {
    const now = this.#now()
    for (const [id, bytes] of this.#init.kv?.entries() ?? []) {
      try {
        if (this.#store.accept(verifyRecord(Wire.decode(bytes), this.#init.authority, now, this.#certificates), now)) continue
      } catch (error) {
        this.#log.warn(`a saved record was dropped: ${(error as Error).message}`)
      }
      this.#init.kv?.delete(id)
    }
  }
}

const LIMITS = { limits: { records: MAX_BATCH } }

function isOlder(record: SignedRecord, entry: Entry | undefined): boolean {
  return entry !== undefined && entry.author === record.author && entry.sequence > record.sequence
}

/** Cuts `records` into messages of bounded size. */
function* batches(records: SignedRecord[]): Generator<SignedRecord[]> {
  let batch: SignedRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = sizeOf(record)
    if (batch.length >= MAX_BATCH || (batch.length > 0 && bytes + size > MAX_BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

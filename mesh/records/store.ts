import { hash32, InvalidParametersError, MAX_RECORDS, OverloadedError } from '../../common/index.ts'
import { type SignedRecord, sizeOf } from './record.ts'

/**
 * Who may write a key of a kind: only the node that the key names (`self`), the node that wrote it first (`first`), or any member.
 */
export type Ownership = 'self' | 'first' | 'any'

/** What holds for all records of a kind. */
export interface KindRule {
  owner: Ownership
  /** Every node keeps them over its own restarts, not only their author. @default false */
  kept?: boolean
}

/** Parts into which the digest divides what a node holds: two nodes compare a hash of each. */
export const BUCKETS = 256
/** Bytes of all records together. */
const MAX_TOTAL_BYTES = 128 * 1024 * 1024
/** An expired record stays this long, so that an older version which outlives it is not taken for news, ms. */
const REMEMBER = 3_600_000

/** The newest version of every record. Expired ones count as absent. */
export class RecordStore {
  readonly #records = new Map<string, SignedRecord>()
  readonly #rules = new Map<string, KindRule>()
  #bytes = 0

  define(kind: string, rule: KindRule): void {
    this.#rules.set(kind, rule)
    for (const [id, record] of this.#records) {
      if (record.kind === kind && rule.owner === 'self' && record.author !== record.key) this.#remove(id, record)
    }
  }

  /** A kind that nothing here has defined is only passed on: any member may write it. */
  rule(kind: string): KindRule {
    return this.#rules.get(kind) ?? { owner: 'any' }
  }

  /** The live version, or with `expired` also one that is past its time. */
  get(kind: string, key: string, now: number, expired = false): SignedRecord | undefined {
    const record = this.#records.get(idOf(kind, key))
    return record !== undefined && (expired || record.expiry > now) ? record : undefined
  }

  list(kind: string, now: number): SignedRecord[] {
    return Array.from(this.#records.values()).filter(r => r.kind === kind && r.expiry > now)
  }

  /** Whether `record` would replace what is here. */
  isNews(record: Pick<SignedRecord, 'kind' | 'key' | 'author' | 'sequence'>): boolean {
    const { owner } = this.rule(record.kind)
    if (owner === 'self' && record.author !== record.key) return false
    const known = this.#records.get(idOf(record.kind, record.key))
    if (known === undefined) return true
    // Of two that both wrote first, unknown to each other, the same one wins on every node.
    if (owner === 'first' && known.author !== record.author) return record.author < known.author
    if (record.sequence !== known.sequence) return record.sequence > known.sequence
    return record.author > known.author
  }

  /**
   * Takes a verified record. @returns whether it was news
   *
   * @throws OverloadedError when the store is full
   */
  accept(record: SignedRecord, now: number): boolean {
    if (record.expiry <= now || !this.isNews(record)) return false
    const id = idOf(record.kind, record.key)
    const known = this.#records.get(id)
    const size = sizeOf(record) - (known === undefined ? 0 : sizeOf(known))
    if (this.#isFull(known === undefined, size)) {
      this.forget(now, 0)
      if (this.#isFull(known === undefined, size)) throw new OverloadedError(`${MAX_RECORDS} records are held here already`)
    }
    this.#records.set(id, record)
    this.#bytes += size
    return true
  }

  /** @throws InvalidParametersError when `author` may not write the key */
  checkOwner(kind: string, key: string, author: string, now: number): void {
    const { owner } = this.rule(kind)
    const known = this.get(kind, key, now)
    if (owner === 'self' && key !== author) throw new InvalidParametersError(`record ${kind}/${key} may be written only by ${key}`)
    if (owner === 'first' && known !== undefined && known.author !== author) {
      throw new InvalidParametersError(`record ${kind}/${key} belongs to ${known.author}`)
    }
  }

  /** Drops what expired more than `after` ms ago. @returns it */
  forget(now: number, after = REMEMBER): SignedRecord[] {
    const old = Array.from(this.#records.values()).filter(record => record.expiry + after <= now)
    for (const record of old) this.#remove(idOf(record.kind, record.key), record)
    return old
  }

  forgetAuthor(author: string): void {
    for (const [id, record] of this.#records) if (record.author === author) this.#remove(id, record)
  }

  /** One hash for each bucket of live records; nodes that hold the same have the same. */
  digest(now: number): number[] {
    const buckets = new Array<number>(BUCKETS).fill(0)
    for (const record of this.#records.values()) {
      if (record.expiry <= now) continue
      const bucket = bucketOf(record)
      buckets[bucket] = (buckets[bucket]! + hash32(`${record.kind}\n${record.key}\n${record.author}\n${record.sequence}`, 1)) >>> 0
    }
    return buckets
  }

  /** The live records of some buckets. */
  inBuckets(buckets: Set<number>, now: number): SignedRecord[] {
    return Array.from(this.#records.values()).filter(r => r.expiry > now && buckets.has(bucketOf(r)))
  }

  #isFull(added: boolean, size: number): boolean {
    return (added && this.#records.size >= MAX_RECORDS) || this.#bytes + size > MAX_TOTAL_BYTES
  }

  #remove(id: string, record: SignedRecord): void {
    this.#records.delete(id)
    this.#bytes -= sizeOf(record)
  }
}

function idOf(kind: string, key: string): string {
  return `${kind}\n${key}`
}

function bucketOf(record: { kind: string; key: string }): number {
  return hash32(idOf(record.kind, record.key), 2) % BUCKETS
}

import { encode } from '@ipld/dag-cbor'
import { MAX_RECORD_BYTES, MalformedError, TooLargeError } from '../../common/index.ts'
import type { Authority } from '../admission/index.ts'
import { verifySignature } from '../identity/index.ts'
import type { Record as Wire } from './pb/records.ts'

/** One version of one replicated value. */
export interface MeshRecord {
  kind: string
  key: string
  /** Peer id of the node that wrote this version. */
  author: string
  /** Later versions have higher numbers: milliseconds of the author's clock, or one more than the version before. */
  sequence: number
  /** Milliseconds of the wall clock after which the record counts as absent. */
  expiry: number
  payload: Uint8Array
}

/** A record as it travels and is kept: with its author's signature and certificate. */
export interface SignedRecord extends MeshRecord {
  signature: Uint8Array
  certificate: Uint8Array
}

const MAX_KIND = 64
const MAX_KEY = 256
/** A sequence number may be ahead of our clock by this much, ms. */
const MAX_AHEAD = 600_000
/** Longest life of a record, ms. */
export const MAX_TTL = 10 * 365 * 86_400_000
const CONTEXT = new TextEncoder().encode('gradmesh record 1\n')

/** Signs a record. @throws TooLargeError, MalformedError when its parts are over their limits */
export function signRecord(record: MeshRecord, authority: Authority): SignedRecord {
  const certificate = authority.chain()?.bytes
  if (certificate === undefined) throw new MalformedError('a node that is still joining writes no records')
  const signed = { ...record, signature: authority.identity.sign(signedBytes(record)), certificate }
  checkForm(signed)
  return signed
}

/**
 * Checks a record from anybody: form, size, time, certificate, signature. What it answers owns its bytes.
 *
 * @throws MalformedError, TooLargeError, AdmissionError
 */
export function verifyRecord(wire: Wire, authority: Authority, now: number, known: CertificateCache): SignedRecord {
  checkForm(wire)
  if (wire.sequence > now + MAX_AHEAD) throw new MalformedError(`record ${wire.kind}/${wire.key} is from the future; set the clocks`)
  if (wire.expiry > now + MAX_TTL + MAX_AHEAD) throw new MalformedError(`record ${wire.kind}/${wire.key} lives longer than is allowed`)
  known.verify(wire.certificate, wire.author, authority, now)
  if (!verifySignature(wire.author, signedBytes(wire), wire.signature)) {
    throw new MalformedError(`record ${wire.kind}/${wire.key} of ${wire.author} has a wrong signature`)
  }
  const { kind, key, author, sequence, expiry } = wire
  // The frame that it came in is larger, and would stay in memory as long as a view of it.
  const own = (bytes: Uint8Array) => bytes.slice()
  return {
    kind,
    key,
    author,
    sequence,
    expiry,
    payload: own(wire.payload),
    signature: own(wire.signature),
    certificate: own(wire.certificate)
  }
}

/** Remembers which certificates were verified, since an author's records all carry the same. */
export class CertificateCache {
  readonly #verified = new Map<string, { bytes: Uint8Array; until: number }>()

  /** @throws AdmissionError when `bytes` is no valid certificate of `author`, or not of a node */
  verify(bytes: Uint8Array, author: string, authority: Authority, now: number): void {
    const known = this.#verified.get(author)
    const revoked = authority.revoked(author) !== undefined
    if (known !== undefined && !revoked && now < known.until && Buffer.compare(known.bytes, bytes) === 0) return
    const chain = authority.verify(bytes, author)
    if (chain.leaf.role !== 'node') throw new MalformedError(`${author} is a ${chain.leaf.role} and writes no records`)
    if (this.#verified.size >= 4096) this.#verified.clear()
    // A minute bounds how long a revocation further up the chain goes unseen.
    this.#verified.set(author, { bytes: bytes.slice(), until: now + 60_000 })
  }
}

/** Bytes of a record on the wire, nearly. */
export function sizeOf(record: SignedRecord | Wire): number {
  const { kind, key, author, payload, signature, certificate } = record
  return 3 * (kind.length + key.length) + author.length + payload.byteLength + signature.byteLength + certificate.byteLength + 40
}

function checkForm(record: SignedRecord | Wire): void {
  const { kind, key, author, sequence, expiry } = record
  const name = `${kind.slice(0, MAX_KIND)}/${key.slice(0, MAX_KEY)}`
  if (kind === '' || kind.length > MAX_KIND) throw new MalformedError(`a record's kind has 1 to ${MAX_KIND} characters, not ${kind.length}`)
  if (key === '' || key.length > MAX_KEY) throw new MalformedError(`a record's key has 1 to ${MAX_KEY} characters, not ${key.length}`)
  if (author.length > 64) throw new MalformedError(`record ${name} has a malformed author`)
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(expiry)) throw new MalformedError(`record ${name} has malformed numbers`)
  const size = sizeOf(record)
  if (size > MAX_RECORD_BYTES) throw new TooLargeError(`record ${name} has ${size} bytes; the most is ${MAX_RECORD_BYTES}`)
}

function signedBytes(r: MeshRecord): Uint8Array {
  return Buffer.concat([CONTEXT, encode([r.kind, r.key, r.author, r.sequence, r.expiry, r.payload])])
}

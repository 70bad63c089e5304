import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { AdmissionError } from '../../common/index.ts'
import { type Identity, peerFromKey, publicKeyOf, verifySignature } from '../identity/index.ts'

/** What a process is in its mesh: a node speaks all protocols and may admit others; a trainer belongs to one node. */
export type Role = 'node' | 'trainer'

/** One signed link of a chain. Times are milliseconds of the wall clock. */
export interface Certificate {
  mesh: string
  peer: string
  role: Role
  issuer: string
  issued: number
  expiry: number
  /** May itself certify others. */
  delegate: boolean
}

/** A verified chain: the last link certifies its holder, the first was signed by the founding key. */
export interface CertificateChain {
  leaf: Certificate
  links: Certificate[]
  bytes: Uint8Array
}

/** What a chain is checked against. */
export interface Verification {
  mesh: string
  /** Wall clock, ms. */
  now: number
  revoked?: Revoked
}

/** When `peer` was revoked, ms of the wall clock, or undefined when it was not. */
export type Revoked = (peer: string) => number | undefined

/** Clocks of members may differ by this much, ms. */
export const CLOCK_TOLERANCE = 60_000
/** Links of one chain: how often admission may have been passed on. */
export const MAX_CHAIN = 32
/** Largest encoded chain, bytes. */
export const MAX_CHAIN_BYTES = 12 * 1024

const CONTEXT = new TextEncoder().encode('gradmesh certificate 1\n')

/** The name of the mesh whose founding public key is `publicKey` (32 bytes): 32 characters of base32. */
export function meshName(publicKey: Uint8Array): string {
  const hash = createHash('sha256').update('gradmesh mesh 1\n').update(publicKey).digest()
  return base32(hash.subarray(0, 20))
}

/**
 * A chain with one more link, signed by `issuer`.
 *
 * @param parent - the issuer's own chain; none when `issuer` is the founding key
 * @throws AdmissionError when the issuer may not certify
 */
export function issueCertificate(
  issuer: Identity,
  parent: CertificateChain | undefined,
  certificate: Omit<Certificate, 'issuer'>
): CertificateChain {
  if (parent !== undefined) {
    if (!parent.leaf.delegate || parent.leaf.role !== 'node') throw new AdmissionError(`${issuer.peer} may not admit others`)
    if (parent.links.length >= MAX_CHAIN) {
      throw new AdmissionError(`the certificate of ${issuer.peer} is ${MAX_CHAIN} links deep; admit through an older member`)
    }
  }
  // A link never outlives the one above it: a verifier would refuse it anyway.
  const expiry = parent === undefined ? certificate.expiry : Math.min(certificate.expiry, parent.leaf.expiry)
  const leaf = { ...certificate, issuer: issuer.peer, expiry }
  const payload = encodeLink(leaf)
  const previous = parent === undefined ? [] : (decode(parent.bytes) as Uint8Array[][])
  const bytes = encode([...previous, [payload, issuer.sign(signed(payload))]])
  return { leaf, links: [...(parent?.links ?? []), leaf], bytes }
}

/**
 * Decodes and verifies a chain from anybody.
 *
 * @throws AdmissionError that names what is wrong: form, mesh, signature, expiry, revocation
 */
export function verifyChain(bytes: Uint8Array, check: Verification): CertificateChain {
  const parts = split(bytes)
  const links: Certificate[] = []
  for (const [payload, signature] of parts) {
    const link = decodeLink(payload)
    const parent = links.at(-1)
    if (link.mesh !== check.mesh) throw new AdmissionError(`the certificate is of mesh ${link.mesh}, this one is ${check.mesh}`)
    if (parent === undefined) {
      if (meshName(publicKeyOf(link.issuer)) !== check.mesh)
        throw new AdmissionError('the certificate does not go back to the founding key of this mesh')
    } else if (parent.peer !== link.issuer || !parent.delegate || parent.role !== 'node') {
      throw new AdmissionError(`the certificate of ${link.peer} was issued by ${link.issuer}, which may not admit others`)
    }
    if (!verifySignature(link.issuer, signed(payload), signature))
      throw new AdmissionError(`the certificate of ${link.peer} has a wrong signature`)
    checkTimes(link, parent, check)
    links.push(link)
  }
  const leaf = links.at(-1)!
  if (check.revoked?.(leaf.peer) !== undefined) throw new AdmissionError(`${leaf.peer} was revoked`)
  return { leaf, links, bytes }
}

function checkTimes(link: Certificate, parent: Certificate | undefined, check: Verification): void {
  if (check.now > link.expiry + CLOCK_TOLERANCE) {
    throw new AdmissionError(`the certificate of ${link.peer} expired ${ago(check.now - link.expiry)} ago; join with a fresh invite`)
  }
  if (link.issued > check.now + CLOCK_TOLERANCE) {
    throw new AdmissionError(
      `the certificate of ${link.peer} is from ${ago(link.issued - check.now)} in the future; set the clocks of both machines`
    )
  }
  if (parent !== undefined && link.expiry > parent.expiry) throw new AdmissionError(`the certificate of ${link.peer} outlives its issuer's`)
  // An issuer's revocation takes away what it issued since, not the members that it had admitted before.
  const issuerRevoked = parent === undefined ? undefined : check.revoked?.(link.issuer)
  if (issuerRevoked !== undefined && link.issued >= issuerRevoked) {
    throw new AdmissionError(`the certificate of ${link.peer} was issued by ${link.issuer} after that was revoked`)
  }
}

function signed(payload: Uint8Array): Uint8Array {
  return Buffer.concat([CONTEXT, payload])
}

function encodeLink(c: Certificate): Uint8Array {
  return encode([1, c.mesh, publicKeyOf(c.peer), c.role, publicKeyOf(c.issuer), c.issued, c.expiry, c.delegate])
}

function decodeLink(payload: Uint8Array): Certificate {
  const [version, mesh, peer, role, issuer, issued, expiry, delegate] = decodeArray(payload, 8)
  if (version !== 1) throw new AdmissionError('the certificate is of another version; run the same release on both machines')
  const valid =
    typeof mesh === 'string' &&
    peer instanceof Uint8Array &&
    peer.byteLength === 32 &&
    (role === 'node' || role === 'trainer') &&
    issuer instanceof Uint8Array &&
    issuer.byteLength === 32 &&
    Number.isSafeInteger(issued) &&
    Number.isSafeInteger(expiry) &&
    typeof delegate === 'boolean'
  if (!valid) throw new AdmissionError('the certificate is malformed')
  return { mesh, peer: peerFromKey(peer), role, issuer: peerFromKey(issuer), issued: issued as number, expiry: expiry as number, delegate }
}

function split(bytes: Uint8Array): [Uint8Array, Uint8Array][] {
  if (bytes.byteLength === 0 || bytes.byteLength > MAX_CHAIN_BYTES) {
    throw new AdmissionError(`a certificate has 1 to ${MAX_CHAIN_BYTES} bytes, not ${bytes.byteLength}`)
  }
  const parts = decodeArray(bytes)
  if (parts.length === 0 || parts.length > MAX_CHAIN)
    throw new AdmissionError(`a certificate has 1 to ${MAX_CHAIN} links, not ${parts.length}`)
  for (const part of parts) {
    const valid = Array.isArray(part) && part.length === 2 && part[0] instanceof Uint8Array && part[1] instanceof Uint8Array
    if (!valid) throw new AdmissionError('the certificate is malformed')
  }
  return parts as [Uint8Array, Uint8Array][]
}

/** A dag-cbor array from hostile bytes whose size was checked. @throws AdmissionError */
export function decodeArray(bytes: Uint8Array, length?: number): unknown[] {
  let value: unknown
  try {
    value = decode(bytes)
  } catch (error) {
    throw new AdmissionError('the certificate is malformed', { cause: error })
  }
  if (!Array.isArray(value) || (length !== undefined && value.length !== length)) throw new AdmissionError('the certificate is malformed')
  return value
}

/** A duration for people. */
export function ago(ms: number): string {
  const units: [number, string][] = [
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
    [1000, 'second']
  ]
  const [size, name] = units.find(([size]) => ms >= size) ?? units.at(-1)!
  const n = Math.max(1, Math.round(ms / size))
  return `${n} ${name}${n === 1 ? '' : 's'}`
}

function base32(bytes: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(value >>> bits) & 31]
    }
  }
  return text
}

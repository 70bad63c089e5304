import { randomBytes } from 'node:crypto'
import { encode } from '@ipld/dag-cbor'
import { AdmissionError } from '../../common/index.ts'
import { type Identity, identityFromSeed, peerFromKey, publicKeyOf, verifySignature } from '../identity/index.ts'
import { ago, type CertificateChain, CLOCK_TOLERANCE, decodeArray, MAX_CHAIN_BYTES, type Verification, verifyChain } from './certificate.ts'

/**
 * What a token like `gm1…` holds. The bearer's secret is the seed of a key that the invite names: a joiner proves that it has it
 * by a signature over its own peer id, so that the secret itself never leaves its machine.
 */
export interface Invite {
  mesh: string
  /** Wall clock, ms. */
  expiry: number
  issuer: string
  /** Where members can be reached: multiaddrs with peer ids. */
  addresses: string[]
  /** The signed public part, which a joiner shows. */
  grant: Uint8Array
  secret: Uint8Array
}

const TOKEN = 'gm1'
const MAX_TOKEN = 24 * 1024
const MAX_ADDRESSES = 16
const MAX_GRANT = MAX_CHAIN_BYTES + 1024
const GRANT_CONTEXT = new TextEncoder().encode('gradmesh invite 1\n')
const CLAIM_CONTEXT = new TextEncoder().encode('gradmesh claim 1\n')

/** Makes an invite, signed by a member. @param ttl - ms until it expires */
export function createInvite(issuer: Identity, chain: CertificateChain, addresses: string[], now: number, ttl: number): string {
  if (!chain.leaf.delegate) throw new AdmissionError(`${issuer.peer} may not invite others`)
  const secret = randomBytes(32)
  const expiry = Math.min(now + ttl, chain.leaf.expiry)
  const payload = encode([1, chain.leaf.mesh, publicKeyOf(identityFromSeed(secret).peer), publicKeyOf(issuer.peer), now, expiry])
  const grant = encode([payload, issuer.sign(Buffer.concat([GRANT_CONTEXT, payload])), chain.bytes])
  return TOKEN + Buffer.from(encode([grant, secret, addresses.slice(0, MAX_ADDRESSES)])).toString('base64url')
}

/** Reads a token; its signature is for members to verify. @throws AdmissionError when it is malformed or expired */
export function parseInvite(token: string, now: number): Invite {
  const text = token.trim()
  if (!text.startsWith(TOKEN) || text.length > MAX_TOKEN || !/^[\w-]+$/.test(text)) {
    throw new AdmissionError(
      `the invite is malformed: it starts with '${TOKEN}' and has only letters, digits, '-' and '_'; copy the whole of it`
    )
  }
  try {
    const [grant, secret, addresses] = decodeArray(Buffer.from(text.slice(TOKEN.length), 'base64url'), 3)
    const valid =
      grant instanceof Uint8Array &&
      secret instanceof Uint8Array &&
      secret.byteLength === 32 &&
      Array.isArray(addresses) &&
      addresses.length <= MAX_ADDRESSES &&
      addresses.every(a => typeof a === 'string' && a.length <= 512)
    if (!valid) throw new AdmissionError('its parts are wrong')
    const { mesh, issuer, expiry, key } = decodeGrant(grant)
    if (identityFromSeed(secret).peer !== key) throw new AdmissionError('its secret does not fit')
    checkExpiry(expiry, now)
    return { mesh, issuer, expiry, addresses, grant, secret }
  } catch (error) {
    if (error instanceof AdmissionError && error.message.startsWith('the invite expired')) throw error
    throw new AdmissionError('the invite is malformed; copy the whole of it, or ask a member for a new one', { cause: error })
  }
}

/** What a joiner shows to prove that it holds `invite`'s secret. */
export function claimInvite(invite: Invite, joiner: string): { grant: Uint8Array; proof: Uint8Array } {
  return { grant: invite.grant, proof: identityFromSeed(invite.secret).sign(claimOf(joiner, invite.grant)) }
}

/** Verifies a joiner's claim. @throws AdmissionError that names what is wrong */
export function verifyClaim(grant: Uint8Array, proof: Uint8Array, joiner: string, check: Verification): void {
  if (grant.byteLength > MAX_GRANT) throw new AdmissionError(`the invite has ${grant.byteLength} bytes; the most is ${MAX_GRANT}`)
  const { mesh, key, issuer, issued, expiry, payload, signature, chain } = decodeGrant(grant)
  if (mesh !== check.mesh) throw new AdmissionError(`the invite is for mesh ${mesh}, this one is ${check.mesh}`)
  checkExpiry(expiry, check.now)
  const verified = verifyChain(chain, check)
  if (verified.leaf.peer !== issuer || !verified.leaf.delegate)
    throw new AdmissionError('the invite was not issued by a member of this mesh')
  if (!verifySignature(issuer, Buffer.concat([GRANT_CONTEXT, payload]), signature))
    throw new AdmissionError('the invite has a wrong signature')
  if (issued > check.now + CLOCK_TOLERANCE) throw new AdmissionError('the invite is from the future; set the clocks of both machines')
  if (!verifySignature(key, claimOf(joiner, grant), proof)) throw new AdmissionError('the joiner does not hold the secret of its invite')
}

function checkExpiry(expiry: number, now: number): void {
  if (now > expiry + CLOCK_TOLERANCE)
    throw new AdmissionError(`the invite expired ${ago(now - expiry)} ago; ask a member for a new one (mesh invite)`)
}

function claimOf(joiner: string, grant: Uint8Array): Uint8Array {
  return Buffer.concat([CLAIM_CONTEXT, publicKeyOf(joiner), grant])
}

function decodeGrant(grant: Uint8Array) {
  const [payload, signature, chain] = decodeArray(grant, 3)
  if (!(payload instanceof Uint8Array && signature instanceof Uint8Array && chain instanceof Uint8Array))
    throw new AdmissionError('the invite is malformed')
  const [version, mesh, key, issuer, issued, expiry] = decodeArray(payload, 6)
  if (version !== 1) throw new AdmissionError('the invite is of another version; run the same release on both machines')
  const valid =
    typeof mesh === 'string' &&
    key instanceof Uint8Array &&
    key.byteLength === 32 &&
    issuer instanceof Uint8Array &&
    issuer.byteLength === 32 &&
    Number.isSafeInteger(issued) &&
    Number.isSafeInteger(expiry)
  if (!valid) throw new AdmissionError('the invite is malformed')
  return {
    mesh,
    key: peerFromKey(key),
    issuer: peerFromKey(issuer),
    issued: issued as number,
    expiry: expiry as number,
    payload,
    signature,
    chain
  }
}

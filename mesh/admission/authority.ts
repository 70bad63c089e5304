import { AdmissionError } from '../../common/index.ts'
import { createIdentity, type Identity } from '../identity/index.ts'
import {
  type Certificate,
  type CertificateChain,
  CLOCK_TOLERANCE,
  issueCertificate,
  meshName,
  type Role,
  type Verification,
  verifyChain
} from './certificate.ts'
import { claimInvite, createInvite, type Invite, verifyClaim } from './invite.ts'

const YEAR = 365 * 86_400_000
/** A founder's certificate is the trunk of every chain of its mesh, and the founding key is thrown away. */
const FOUNDER_LIFETIME = 20 * YEAR
const NODE_LIFETIME = YEAR
/** A trainer's certificate is made anew with each of its processes. */
const TRAINER_LIFETIME = 30 * 86_400_000
const MIN_INVITE_TTL = 1000
/** How long an invite is good for when nothing else is asked, ms. */
export const DEFAULT_INVITE_TTL = 86_400_000

/** What is shown to the other side of a connection. */
export interface Credentials {
  mesh: string
  certificate?: Uint8Array
  claim?: { grant: Uint8Array; proof: Uint8Array }
}

/** How this process stands in its mesh: what it shows, whom it admits. */
export interface Authority {
  readonly identity: Identity
  readonly mesh: string
  /** This process's own chain; undefined as long as it holds only an invite. */
  chain(): CertificateChain | undefined
  credentials(): Credentials
  /** Takes a chain that a member issued for this process. @throws AdmissionError when it is not valid for it */
  adopt(bytes: Uint8Array): void
  /** Verifies `peer`'s chain. @throws AdmissionError */
  verify(bytes: Uint8Array, peer: string): CertificateChain
  /** Admits `peer` as a node on the strength of an invite. @throws AdmissionError */
  admit(grant: Uint8Array, proof: Uint8Array, peer: string): CertificateChain
  /** A fresh chain for a verified member whose own is past half its life; undefined when none is needed. */
  renew(chain: CertificateChain): Uint8Array | undefined
  certifyTrainer(peer: string): Uint8Array
  /** A token like `gm1…`. @param ttl - ms */
  invite(addresses: string[], ttl?: number): string
  revoked(peer: string): number | undefined
  /** `peer` counts as no member from `at` on (wall clock, ms). */
  revoke(peer: string, at: number): void
}

/** How {@link createAuthority} comes by its standing. */
export interface AuthorityInit {
  identity: Identity
  mesh: string
  chain?: CertificateChain
  invite?: Invite
  /** Wall clock, ms. @default Date.now */
  wallClock?: () => number
}

/** An authority over a chain or an invite; see {@link foundMesh}, {@link keyAuthority} and {@link savedAuthority} for the others. */
export function createAuthority(init: AuthorityInit): Authority {
  const { identity, mesh, invite } = init
  const wallClock = init.wallClock ?? Date.now
  const revocations = new Map<string, number>()
  let chain = init.chain

  const revoked = (peer: string) => revocations.get(peer)
  const check = (): Verification => ({ mesh, now: wallClock(), revoked })
  const issue = (peer: string, role: Role, lifetime: number): CertificateChain => {
    if (chain === undefined) throw new AdmissionError('this node is itself still joining and admits nobody yet; try again in a moment')
    const now = wallClock()
    return issueCertificate(identity, chain, { mesh, peer, role, issued: now, expiry: now + lifetime, delegate: role === 'node' })
  }

  return {
    identity,
    mesh,
    chain: () => chain,
    credentials() {
      if (chain !== undefined) return { mesh, certificate: chain.bytes }
      return invite === undefined ? { mesh } : { mesh, claim: claimInvite(invite, identity.peer) }
    },
    adopt(bytes) {
      chain = verifyFor(bytes, identity.peer, check())
    },
    verify: (bytes, peer) => verifyFor(bytes, peer, check()),
    admit(grant, proof, peer) {
      if (revoked(peer) !== undefined) throw new AdmissionError(`${peer} was revoked`)
      verifyClaim(grant, proof, peer, check())
      return issue(peer, 'node', NODE_LIFETIME)
    },
    renew(old) {
      const { leaf } = old
      const now = wallClock()
      const stale = now > (leaf.issued + leaf.expiry) / 2
      if (leaf.role !== 'node' || !stale || chain === undefined || chain.links.length >= old.links.length + 4) return undefined
      if (chain.leaf.expiry < leaf.expiry + CLOCK_TOLERANCE) return undefined
      return issue(leaf.peer, 'node', NODE_LIFETIME).bytes
    },
    certifyTrainer: peer => issue(peer, 'trainer', TRAINER_LIFETIME).bytes,
    invite(addresses, ttl = DEFAULT_INVITE_TTL) {
      if (chain === undefined) throw new AdmissionError('this node is itself still joining and invites nobody yet; try again in a moment')
      return createInvite(identity, chain, addresses, wallClock(), Math.max(MIN_INVITE_TTL, ttl))
    },
    revoked,
    revoke(peer, at) {
      revocations.set(peer, Math.min(at, revocations.get(peer) ?? at))
    }
  }
}

/** A new mesh, whose first member `identity` is. The founding key is not kept: no node is special afterwards. */
export function foundMesh(identity: Identity, wallClock: () => number = Date.now): Authority {
  return byFoundingKey(identity, createIdentity(), FOUNDER_LIFETIME, wallClock)
}

/** Membership through a shared key file, see `readKeyFile`: whoever has the key certifies itself. */
export function keyAuthority(identity: Identity, founding: Identity, wallClock: () => number = Date.now): Authority {
  return byFoundingKey(identity, founding, NODE_LIFETIME, wallClock)
}

/**
 * The membership that an earlier run of this node was given.
 *
 * @param bytes - the chain that it saved
 * @throws AdmissionError when it is not valid, or no longer
 */
export function savedAuthority(identity: Identity, mesh: string, bytes: Uint8Array, wallClock: () => number = Date.now): Authority {
  const chain = verifyFor(bytes, identity.peer, { mesh, now: wallClock() })
  return createAuthority({ identity, mesh, chain, wallClock })
}

function byFoundingKey(identity: Identity, founding: Identity, lifetime: number, wallClock: () => number): Authority {
  const mesh = meshName(founding.privateKey.publicKey.raw)
  const now = wallClock()
  const leaf: Omit<Certificate, 'issuer'> = { mesh, peer: identity.peer, role: 'node', issued: now, expiry: now + lifetime, delegate: true }
  return createAuthority({ identity, mesh, chain: issueCertificate(founding, undefined, leaf), wallClock })
}

function verifyFor(bytes: Uint8Array, peer: string, check: Verification): CertificateChain {
  const chain = verifyChain(bytes, check)
  if (chain.leaf.peer !== peer) throw new AdmissionError(`the certificate names ${chain.leaf.peer}, its holder is ${peer}`)
  return chain
}

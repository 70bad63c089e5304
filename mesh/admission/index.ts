/**
 * @packageDocumentation
 *
 * Who belongs to a mesh: certificates that go back to its founding key, invites, shared key files, and the gate that keeps every
 * connection from speaking anything but admission until both sides have verified each other.
 *
 * @example
 * import { createIdentity } from './mesh/identity/index.ts'
 * import { createAuthority, foundMesh, parseInvite } from './mesh/admission/index.ts'
 * const founder = foundMesh(createIdentity())
 * const token = founder.invite(['/ip4/127.0.0.1/tcp/4001/p2p/' + founder.identity.peer])
 * const invite = parseInvite(token, Date.now())
 * const joiner = createAuthority({ identity: createIdentity(), mesh: invite.mesh, invite })
 * const { grant, proof } = joiner.credentials().claim!
 * joiner.adopt(founder.admit(grant, proof, joiner.identity.peer).bytes)
 */
export {
  type Authority,
  type AuthorityInit,
  type Credentials,
  createAuthority,
  DEFAULT_INVITE_TTL,
  foundMesh,
  keyAuthority,
  savedAuthority
} from './authority.ts'
export { type Certificate, type CertificateChain, CLOCK_TOLERANCE, meshName, type Role, verifyChain } from './certificate.ts'
export { ADMISSION_PROTOCOL, type Admitted, otherMesh } from './exchange.ts'
export { AdmissionGate, type GateLimits } from './gate.ts'
export { type Invite, parseInvite } from './invite.ts'
export { newKey, readKeyFile, writeKeyFile } from './key-file.ts'

/**
 * @packageDocumentation
 *
 * Who a process is: an Ed25519 key pair and the libp2p peer id that names it. Signing and verifying are synchronous.
 *
 * @example
 * import { createIdentity, verifySignature } from './mesh/identity/index.ts'
 * const me = createIdentity()
 * const bytes = new TextEncoder().encode('hello')
 * console.log(me.peer, verifySignature(me.peer, bytes, me.sign(bytes)))
 */
export { createIdentity, type Identity, identityFromBytes, identityFromSeed, loadIdentity } from './keys.ts'
export { peerFromKey, publicKeyOf, verifySignature } from './peer.ts'

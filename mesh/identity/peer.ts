import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { MalformedError } from '../../common/index.ts'

/** DER header of an Ed25519 public key (RFC 8410): the 32 bytes of the key follow it. */
const SPKI = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00])
const CACHED_KEYS = 4096
const keys = new Map<string, KeyObject>()

/** The 32 bytes of the Ed25519 public key that `peer` names. @throws MalformedError when it names none */
export function publicKeyOf(peer: string): Uint8Array {
  if (peer.length > 64) throw new MalformedError(`a peer id of ${peer.length} characters is none of an Ed25519 key`)
  try {
    const id = peerIdFromString(peer)
    if (id.type === 'Ed25519') return id.publicKey.raw
  } catch (error) {
    throw new MalformedError(`'${peer}' is not a peer id`, { cause: error })
  }
  throw new MalformedError(`the peer id ${peer} is not of an Ed25519 key`)
}

/** The peer id of a 32-byte Ed25519 public key. */
export function peerFromKey(publicKey: Uint8Array): string {
  if (publicKey.byteLength !== 32) throw new MalformedError(`an Ed25519 public key has 32 bytes, not ${publicKey.byteLength}`)
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
}

/** Whether `signature` is `peer`'s over `data`. Anything malformed is a plain no. */
export function verifySignature(peer: string, data: Uint8Array, signature: Uint8Array): boolean {
  if (signature.byteLength !== 64) return false
  try {
    return verify(null, data, keyObject(peer), signature)
  } catch {
    return false
  }
}

function keyObject(peer: string): KeyObject {
  const cached = keys.get(peer)
  if (cached !== undefined) return cached
  const der = Buffer.concat([SPKI, publicKeyOf(peer)])
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  if (keys.size >= CACHED_KEYS) keys.clear()
  keys.set(peer, key)
  return key
}

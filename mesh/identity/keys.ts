import { createPrivateKey, randomBytes, sign } from 'node:crypto'
import { privateKeyFromProtobuf, privateKeyFromRaw, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { MalformedError } from '../../common/index.ts'
import type { KeyValue } from '../state/index.ts'
import { ed25519PublicFromSeed } from './seed.ts'

/** A key pair and its name. */
export interface Identity {
  /** The libp2p peer id, base58. */
  peer: string
  privateKey: PrivateKey
  /** 64 bytes, Ed25519. */
  sign(data: Uint8Array): Uint8Array
  /** The private key in libp2p's protobuf form, for a file or a child process. Keep it secret. */
  bytes(): Uint8Array
}

/** A fresh key pair. */
export function createIdentity(): Identity {
  return identityFromSeed(randomBytes(32))
}

/** The key pair of a 32-byte seed; the same seed gives the same identity. */
export function identityFromSeed(seed: Uint8Array): Identity {
  if (seed.byteLength !== 32) throw new MalformedError(`an Ed25519 seed has 32 bytes, not ${seed.byteLength}`)
  const raw = new Uint8Array(64)
  raw.set(seed)
  raw.set(ed25519PublicFromSeed(seed), 32)
  return fromPrivateKey(privateKeyFromRaw(raw) as Ed25519PrivateKey)
}

/** The identity that {@link Identity.bytes} gave. @throws MalformedError when they are no Ed25519 key */
export function identityFromBytes(bytes: Uint8Array): Identity {
  let key: PrivateKey
  try {
    key = privateKeyFromProtobuf(bytes)
  } catch (error) {
    throw new MalformedError('the private key is damaged', { cause: error })
  }
  if (key.type !== 'Ed25519') throw new MalformedError(`the private key is of type ${key.type}, not Ed25519`)
  return fromPrivateKey(key)
}

/** The identity that `kv` holds, which is made and put there the first time. */
export function loadIdentity(kv: KeyValue): Identity {
  const saved = kv.get('key')
  if (saved !== undefined) return identityFromBytes(saved)
  const identity = createIdentity()
  kv.put('key', identity.bytes())
  return identity
}

function fromPrivateKey(privateKey: Ed25519PrivateKey): Identity {
  const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: encode(privateKey.raw.subarray(0, 32)), x: encode(privateKey.publicKey.raw) }
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  return {
    peer: peerIdFromPrivateKey(privateKey).toString(),
    privateKey,
    sign: data => sign(null, data, key),
    bytes: () => privateKeyToProtobuf(privateKey)
  }
}

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject
} from 'node:crypto'
import { type ICryptoInterface, pureJsCrypto } from '@chainsafe/libp2p-noise'

import { release } from './memory.ts'

const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16
const TAG = { authTagLength: TAG_BYTES } as const
/**
 * Bytes given to the cipher at a time. Node's ciphers allocate what they return; a piece that is copied out and given back at once
 * is served from the same, still cached, memory the next time.
 */
const PIECE_BYTES = 16 * 1024
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI_X25519 = Buffer.from('302a300506032b656e032100', 'hex')

type Bytes = Parameters<ICryptoInterface['hashSHA256']>[0]

/**
 * Noise's primitives on OpenSSL, for `noise({ crypto: noiseCrypto })`.
 *
 * What libp2p-noise picks by itself leaves every buffer that a cipher returns to the garbage collector: a gigabyte of traffic is some
 * gigabytes of external memory, each page of it touched for the first time, and many small writes to the socket. Here a message is
 * gathered, encrypted piece by piece into one buffer and the pieces are freed at once.
 */
export const noiseCrypto: ICryptoInterface = {
  ...pureJsCrypto,

  hashSHA256(data) {
    const hash = createHash('sha256')
    for (const piece of pieces(data)) hash.update(piece)
    return hash.digest()
  },

  generateX25519KeyPair() {
    return rawPair(generateKeyPairSync('x25519').privateKey)
  },

  generateX25519KeyPairFromSeed(seed) {
    return rawPair(privateKey(seed))
  },

  generateX25519SharedKey(secret, point) {
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI_X25519, point.subarray()]), type: 'spki', format: 'der' })
    return diffieHellman({ privateKey: privateKey(secret.subarray()), publicKey })
  },

  chaCha20Poly1305Encrypt(plaintext, nonce, ad, key) {
    const out = new Uint8Array(Buffer.allocUnsafeSlow(plaintext.byteLength + TAG_BYTES).buffer)
    const cipher = createCipheriv(CIPHER, key, nonce, TAG)
    if (ad.byteLength > 0) cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
    transform(cipher, pieces(plaintext), plaintext.byteLength, out)
    cipher.final()
    out.set(cipher.getAuthTag(), plaintext.byteLength)
    return out
  },

  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into) {
    const length = ciphertext.byteLength - TAG_BYTES
    if (length < 0) throw new Error('a Noise message is shorter than its tag')
    const out = into?.byteLength === length ? into : new Uint8Array(length)
    const decipher = createDecipheriv(CIPHER, key, nonce, TAG)
    decipher.setAuthTag(ciphertext.subarray(length))
    if (ad.byteLength > 0) decipher.setAAD(ad, { plaintextLength: length })
    transform(decipher, pieces(ciphertext), length, out)
    decipher.final()
    return out
  }
}

interface Transform {
  update(piece: Uint8Array): Buffer
}

const scratch = new Uint8Array(PIECE_BYTES)

/** Run the first `length` bytes of `source` through `cipher` into `out`, which may be the memory they are read from. */
function transform(cipher: Transform, source: Iterable<Uint8Array>, length: number, out: Uint8Array): void {
  let gathered = 0
  let at = 0
  let left = length
  const put = (piece: Uint8Array) => {
    const result = cipher.update(piece)
    out.set(result, at)
    at += result.length
    release(result)
  }
  for (const whole of source) {
    const piece = whole.length > left ? whole.subarray(0, left) : whole
    left -= piece.length
    let taken = 0
    while (taken < piece.length) {
      if (gathered === 0 && piece.length - taken >= PIECE_BYTES) {
        put(piece.subarray(taken, taken + PIECE_BYTES))
        taken += PIECE_BYTES
        continue
      }
      const bytes = Math.min(PIECE_BYTES - gathered, piece.length - taken)
      scratch.set(piece.subarray(taken, taken + bytes), gathered)
      gathered += bytes
      taken += bytes
      if (gathered === PIECE_BYTES) {
        put(scratch)
        gathered = 0
      }
    }
  }
  if (gathered > 0) put(scratch.subarray(0, gathered))
}

function pieces(data: Bytes): Iterable<Uint8Array> {
  return data instanceof Uint8Array ? [data] : data
}

function privateKey(raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_X25519, raw]), type: 'pkcs8', format: 'der' } as any)
}

function rawPair(secret: KeyObject): { publicKey: Uint8Array; privateKey: Uint8Array } {
  return {
    privateKey: secret.export({ type: 'pkcs8', format: 'der' }).subarray(PKCS8_X25519.length),
    publicKey: createPublicKey(secret).export({ type: 'spki', format: 'der' }).subarray(SPKI_X25519.length)
  }
}

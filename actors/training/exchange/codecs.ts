import { createRng, InvalidParametersError } from '../../../common/index.ts'
import {
  decodeThreshold,
  encodeThreshold,
  int8Bytes,
  packBfloat,
  packHalf,
  packInt8,
  scatterAdd,
  sumAbs,
  sumSquares,
  topK,
  unpackBfloat,
  unpackHalf,
  unpackInt8
} from '../../../native/index.ts'

/** Turns floats into fewer words of 32 bits and back. Words lie in float32 arenas; they are bits, not numbers. */
export interface Codec {
  name: string
  /** What it leaves out has to be sent later: the sender keeps p − C(p) and adds it to what it sends next. */
  feedback: boolean
  /** Words that n floats become, always as many. */
  words(n: number): number
  /** @param seed - of the rounding of codecs that round at random */
  encode(from: Float32Array, into: Float32Array, seed: number): void
  /** into[i] += the i-th float. @returns false, for words that no encoder writes; `into` may then hold some of them */
  decode(from: Float32Array, into: Float32Array): boolean
}

const bytes = (words: Float32Array, length: number) => new Uint8Array(words.buffer, words.byteOffset, length)
const uints = (words: Float32Array, offset: number, length: number) => new Uint32Array(words.buffer, words.byteOffset + 4 * offset, length)

function cast(
  name: string,
  bytesOf: (n: number) => number,
  pack: (from: Float32Array, into: Uint8Array) => void,
  unpack: (from: Uint8Array, into: Float32Array) => void
): Codec {
  return {
    name,
    feedback: false,
    words: n => Math.ceil(bytesOf(n) / 4),
    encode: (from, into) => pack(from, bytes(into, bytesOf(from.length))),
    decode(from, into) {
      const plain = new Float32Array(into.length)
      unpack(bytes(from, bytesOf(into.length)), plain)
      for (let i = 0; i < into.length; i++) into[i] = into[i]! + plain[i]!
      return true
    }
  }
}

const none: Codec = {
  name: 'none',
  feedback: false,
  words: n => n,
  encode: (from, into) => into.set(from),
  decode(from, into) {
    for (let i = 0; i < into.length; i++) into[i] = into[i]! + from[i]!
    return true
  }
}

/** The `share` of largest magnitude, as indices and values. @see Aji & Heafield 2017; Lin et al. 2018 (DGC), arXiv 1712.01887 */
function largest(share: number): Codec {
  const count = (n: number) => Math.min(n, Math.max(1, Math.ceil(share * n)))
  return {
    name: 'top-k',
    feedback: true,
    words: n => 2 * count(n),
    encode(from, into) {
      const k = count(from.length)
      topK(from, uints(into, 0, k), into.subarray(k, 2 * k))
    },
    decode(from, into) {
      const k = count(into.length)
      return scatterAdd(into, uints(from, 0, k), from.subarray(k, 2 * k))
    }
  }
}

/** Floats of the list that a threshold's encoder may write: DL4J's upper bound of the share sent. */
const THRESHOLD_SHARE = 0.01

/**
 * Those above a threshold, as a list of index and sign; each moves by the threshold. Room for 1 % of the floats: what is left over is
 * sent later. @see Strom 2015, Scalable distributed DNN training using commodity GPU cloud computing
 */
function threshold(t: number): Codec {
  const room = (n: number) => Math.max(1, Math.ceil(THRESHOLD_SHARE * n))
  return {
    name: 'threshold',
    feedback: true,
    words: n => room(n) + 1,
    encode(from, into) {
      const list = uints(into, 1, room(from.length))
      uints(into, 0, 1)[0] = encodeThreshold(from.slice(), t, list)
    },
    decode(from, into) {
      const count = uints(from, 0, 1)[0]!
      return count <= room(into.length) && decodeThreshold(uints(from, 1, count), t, into)
    }
  }
}

/** One bit a float, and the mean of |p| as scale. @see Seide et al. 2014; Karimireddy et al. 2019, arXiv 1901.09847 */
const sign: Codec = {
  name: 'sign',
  feedback: true,
  words: n => Math.ceil(n / 32) + 1,
  encode(from, into) {
    into[0] = from.length === 0 ? 0 : sumAbs(from) / from.length
    const bits = uints(into, 1, Math.ceil(from.length / 32)).fill(0)
    for (let i = 0; i < from.length; i++) if (from[i]! < 0) bits[i >> 5]! |= 1 << (i & 31)
  },
  decode(from, into) {
    const scale = from[0]!
    const bits = uints(from, 1, Math.ceil(into.length / 32))
    for (let i = 0; i < into.length; i++) into[i] = into[i]! + ((bits[i >> 5]! >>> (i & 31)) & 1 ? -scale : scale)
    return Number.isFinite(scale)
  }
}

/** Levels of {@link qsgd} either side of 0: with them a float is a byte. */
const LEVELS = 127

/** ‖x‖ · sign · level/127, the level rounded at random so that the mean is exact; by blocks of 512. @see Alistarh et al. 2017, arXiv 1610.02132 */
const QSGD_BLOCK = 512
const qsgd: Codec = {
  name: 'qsgd',
  feedback: false,
  words: n => Math.ceil(n / QSGD_BLOCK) + Math.ceil(n / 4),
  encode(from, into, seed) {
    const rng = createRng(seed)
    const blocks = Math.ceil(from.length / QSGD_BLOCK)
    const codes = new Int8Array(into.buffer, into.byteOffset + 4 * blocks, from.length)
    for (let block = 0; block < blocks; block++) {
      const part = from.subarray(block * QSGD_BLOCK, (block + 1) * QSGD_BLOCK)
      const norm = Math.fround(Math.sqrt(sumSquares(part)))
      into[block] = norm
      for (let i = 0; i < part.length; i++) {
        const level = norm === 0 ? 0 : (Math.abs(part[i]!) / norm) * LEVELS
        const rounded = Math.min(LEVELS, Math.floor(level + rng.float()))
        codes[block * QSGD_BLOCK + i] = part[i]! < 0 ? -rounded : rounded
      }
    }
  },
  decode(from, into) {
    const blocks = Math.ceil(into.length / QSGD_BLOCK)
    const codes = new Int8Array(from.buffer, from.byteOffset + 4 * blocks, into.length)
    for (let i = 0; i < into.length; i++) into[i] = into[i]! + (from[Math.floor(i / QSGD_BLOCK)]! * codes[i]!) / LEVELS
    return true
  }
}

/** What may be named as a codec; `top-k` and `threshold` take a number behind a colon. */
export const codecNames = ['none', 'fp16', 'bf16', 'int8', 'top-k', 'threshold', 'sign', 'qsgd'] as const

/**
 * The codec that `text` names: `int8`, `top-k:0.001` (the share sent, 0.01 by default), `threshold:0.001`.
 *
 * @throws InvalidParametersError that lists the known ones
 */
export function codecNamed(text: string): Codec {
  const [, name, number] = /^([a-z0-9-]+)(?::([0-9.e-]+))?$/.exec(text) ?? []
  const value = number === undefined ? undefined : Number(number)
  const takes = (from: number, to: number, fallback: number): number => {
    if (value === undefined) return fallback
    if (value > from && value <= to) return value
    throw new InvalidParametersError(`codec '${name}' takes a number above ${from}, at most ${to}, behind its colon, not '${number}'`)
  }
  if (name === 'top-k') return largest(takes(0, 1, 0.01))
  if (name === 'threshold') return threshold(takes(0, 1000, 1e-3))
  if (value === undefined) {
    if (name === 'none') return none
    if (name === 'fp16') return cast('fp16', n => 2 * n, packHalf, unpackHalf)
    if (name === 'bf16') return cast('bf16', n => 2 * n, packBfloat, unpackBfloat)
    if (name === 'int8') return cast('int8', int8Bytes, packInt8, unpackInt8)
    if (name === 'sign') return sign
    if (name === 'qsgd') return qsgd
  }
  throw new InvalidParametersError(`no codec is called '${text.slice(0, 100)}'; choose one of ${codecNames.join(', ')}, such as top-k:0.01`)
}

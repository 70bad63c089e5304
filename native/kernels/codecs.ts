import { maxAbs } from './elementwise.ts'
import { INT8_BLOCK } from './kernels.ts'

const f = Math.fround
const INFINITE = 0x7f800000

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** A half's bits of a float's bits, rounded to nearest even. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > INFINITE) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff)
  if (magnitude >= 0x47800000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Below 2⁻¹⁴ the unit of a half is 2⁻²⁴, that of a float at one half: the sum rounds as it must.
    scratchBits[0] = magnitude
    scratch[0] = scratch[0]! + 0.5
    return sign | (scratchBits[0] - 0x3f000000)
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

/** A float's bits of a half's. */
function fromHalf(half: number): number {
  const sign = (half & 0x8000) << 16
  const exponent = half & 0x7c00
  const mantissa = half & 0x3ff
  if (exponent === 0x7c00) return sign | INFINITE | (mantissa !== 0 ? 0x400000 | (mantissa << 13) : 0)
  if (exponent === 0) {
    scratch[0] = mantissa * 2 ** -24
    return sign | scratchBits[0]!
  }
  return sign | (((half & 0x7fff) << 13) + 0x38000000)
}

/** Every half's float, as bits. */
let halves: Uint32Array | undefined

function bitsOf(x: Float32Array): Uint32Array {
  return new Uint32Array(x.buffer, x.byteOffset, x.length)
}

/** Packed 16-bit words, which a Uint16Array can view only at even addresses. */
function read16(bytes: Uint8Array): Uint16Array {
  if (bytes.byteOffset % 2 === 0) return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)
  return new Uint16Array(bytes.slice().buffer)
}

function write16(bytes: Uint8Array, fill: (words: Uint16Array) => void): void {
  const even = bytes.byteOffset % 2 === 0
  const words = even ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2) : new Uint16Array(bytes.length / 2)
  fill(words)
  if (!even) bytes.set(new Uint8Array(words.buffer))
}

export function packHalf(from: Float32Array, into: Uint8Array): void {
  const bits = bitsOf(from)
  write16(into, words => {
    for (let i = 0; i < bits.length; i++) words[i] = halfOf(bits[i]!)
  })
}

export function unpackHalf(from: Uint8Array, into: Float32Array): void {
  halves ??= Uint32Array.from({ length: 65536 }, (_, half) => fromHalf(half))
  const bits = bitsOf(into)
  const words = read16(from)
  for (let i = 0; i < bits.length; i++) bits[i] = halves[words[i]!]!
}

export function packBfloat(from: Float32Array, into: Uint8Array): void {
  const bits = bitsOf(from)
  write16(into, words => {
    for (let i = 0; i < bits.length; i++) {
      const b = bits[i]!
      words[i] = (b & 0x7fffffff) > INFINITE ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16
    }
  })
}

export function unpackBfloat(from: Uint8Array, into: Float32Array): void {
  const bits = bitsOf(into)
  const words = read16(from)
  for (let i = 0; i < bits.length; i++) bits[i] = words[i]! << 16
}

export function packInt8(from: Float32Array, into: Uint8Array): void {
  const head = new DataView(into.buffer, into.byteOffset, into.byteLength)
  const codes = new Int8Array(into.buffer, into.byteOffset, into.byteLength)
  for (let start = 0, at = 0; start < from.length; start += INT8_BLOCK, at += 4 + INT8_BLOCK) {
    const x = from.subarray(start, start + INT8_BLOCK)
    const unit = f(maxAbs(x) / 127)
    const reciprocal = f(1 / unit)
    // A unit so small that its reciprocal overflows carries nothing; 0 has none.
    const factor = reciprocal < Infinity ? reciprocal : 0
    head.setFloat32(at, unit, true)
    for (let i = 0; i < x.length; i++) {
      let t = f(x[i]! * factor)
      if (Number.isNaN(t)) t = 0
      if (t > 127) t = 127
      if (t < -127) t = -127
      // Adding 1.5·2²³ leaves no bits for a fraction: rounds to the nearest integer, halves to even.
      codes[at + 4 + i] = f(f(t + 12582912) - 12582912)
    }
  }
}

export function unpackInt8(from: Uint8Array, into: Float32Array): void {
  const head = new DataView(from.buffer, from.byteOffset, from.byteLength)
  const codes = new Int8Array(from.buffer, from.byteOffset, from.byteLength)
  for (let start = 0, at = 4; start < into.length; start += INT8_BLOCK, at += 4 + INT8_BLOCK) {
    const unit = head.getFloat32(at - 4, true)
    const length = Math.min(INT8_BLOCK, into.length - start)
    for (let i = 0; i < length; i++) into[start + i] = unit * codes[at + i]!
  }
}

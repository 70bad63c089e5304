import { createRng, type Rng } from '../../common/index.ts'

const bits = new Uint32Array(1)
const float = new Float32Array(bits.buffer)

/** Floats that kernels trip over: every kind, ties of rounding, equal magnitudes. */
const SPECIAL = [
  0,
  -0,
  1,
  -1,
  Infinity,
  -Infinity,
  Number.NaN,
  1e-45,
  -1e-45,
  1.1754944e-38,
  3.4028235e38,
  65504,
  65519.996,
  65520,
  6.1e-5,
  5.96e-8,
  2.98e-8
]

/** One of a wide spread: ordinary values, special ones, any bits at all. */
export function anyFloat(rng: Rng): number {
  const kind = rng.int(10)
  if (kind < 6) return Math.fround((rng.float() * 2 - 1) * 10 ** (rng.int(7) - 3))
  if (kind < 8) return SPECIAL[rng.int(SPECIAL.length)]!
  bits[0] = rng.uint32()
  return float[0]!
}

export function tameFloat(rng: Rng): number {
  return Math.fround((rng.float() * 2 - 1) * 10 ** (rng.int(4) - 2))
}

/** `n` floats at an address that is no multiple of a vector, inside memory whose borders are watched. */
export function offset(n: number, rng: Rng, draw: (rng: Rng) => number = anyFloat): Float32Array {
  const lead = rng.int(17)
  const memory = new Float32Array(lead + n + 5).fill(12345)
  const view = memory.subarray(lead, lead + n)
  for (let i = 0; i < n; i++) view[i] = draw(rng)
  return view
}

/** Lengths round vectors, blocks and pieces. */
export function lengths(rng: Rng): number[] {
  return [0, 1, 7, 15, 16, 17, 31, 63, 64, 65, 100 + rng.int(400), 4095, 4096, 4097, 8192 + rng.int(3000)]
}

/** The bits of everything behind a view, borders included, with every NaN alike. */
export function bitsOf(view: Float32Array | Uint32Array | Uint8Array): string {
  if (!(view instanceof Float32Array)) return Buffer.from(view.buffer as ArrayBuffer).toString('base64')
  const all = new Uint32Array(view.buffer).map(b => ((b & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : b))
  return Buffer.from(all.buffer).toString('base64')
}

/** A copy at the same place of memory of its own. */
export function twin<T extends Float32Array | Uint32Array | Uint8Array>(view: T): T {
  const Kind = view.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => T
  return new Kind(view.buffer.slice(0), view.byteOffset, view.length)
}

/** A seed that the environment may fix. */
export function seeded(): { seed: number; rng: Rng } {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  return { seed, rng: createRng(seed) }
}

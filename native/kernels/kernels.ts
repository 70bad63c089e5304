/** Elements of one block of 8-bit codes, behind the block's own scale. */
export const INT8_BLOCK = 4096

/**
 * The forms of SGD, by where the rate stands. With g' the decayed mean gradient, α the rate, m the momentum:
 *
 *     plain:             w ← w − α·g'
 *     caffe:             v ← m·v + α·g';  w ← w − v
 *     caffe-nesterov:    v ← m·v + α·g';  w ← w − ((1+m)·v − m·v_old)
 *     pytorch:           v ← m·v + g';    w ← w − α·v
 *     pytorch-nesterov:  v ← m·v + g';    w ← w − α·(g' + m·v)
 */
export const SGD_FORMS = ['plain', 'caffe', 'caffe-nesterov', 'pytorch', 'pytorch-nesterov'] as const

/**
 * Kernels on flat float32 memory. Every product, sum, quotient and root is rounded to float32 and nothing is contracted; a reduction
 * adds float64 over 16 lanes (element i to lane i mod 16) that a tree joins (16 → 8 → 4 → 2 → 1). So all implementations give the
 * same bits, except that a NaN is a NaN whatever its payload.
 *
 * Arrays of one call have the same length, and do not overlap unless they are the same array. Scalars of an update, float32, in this
 * order; g' = (g·scale + decay·w) + l1·sign(w) everywhere:
 *
 *     sgd       scale decay l1 rate momentum 1+momentum
 *     adagrad   scale decay l1 rate ε
 *     adadelta  scale decay l1 rate ε ρ 1−ρ
 *     rmsprop   scale decay l1 rate ε ρ 1−ρ momentum
 *     adam      scale decay l1 rate ε β₁ 1−β₁ β₂ 1−β₂ root keep
 *     lamb      scale 0     l1 rate ε β₁ 1−β₁ β₂ 1−β₂ root mean decay
 */
export interface Kernels {
  /** into[i] = from[i] + into[i] */
  add(into: Float32Array, from: Float32Array): void
  /** into[i] += factor · (from[i] − into[i]) */
  blend(into: Float32Array, from: Float32Array, factor: number): void
  /** into[i] = alpha · into[i] + beta · from[i] */
  combine(into: Float32Array, from: Float32Array, alpha: number, beta: number): void
  /** into[i] += factor · from[i] */
  addScaled(into: Float32Array, from: Float32Array, factor: number): void
  /** into[i] = factor · into[i] */
  scale(into: Float32Array, factor: number): void
  /** into[i] = (from[0][i] + from[1][i] + …) ÷ their number; `into` may be one of them */
  average(into: Float32Array, from: readonly Float32Array[]): void

  /** Σ x[i]·y[i] in float64, products exact */
  dot(x: Float32Array, y: Float32Array): number
  /** Σ x[i]² in float64: the square of the L2 norm; it cannot overflow */
  sumSquares(x: Float32Array): number
  /** Σ |x[i]| in float64: the L1 norm */
  sumAbs(x: Float32Array): number
  /** max |x[i]|, NaNs left out; 0 of nothing */
  maxAbs(x: Float32Array): number

  /** IEEE half precision, little-endian, rounded to nearest even; `into` has 2 bytes a float, at any address */
  packHalf(from: Float32Array, into: Uint8Array): void
  unpackHalf(from: Uint8Array, into: Float32Array): void
  /** The upper half of a float32, rounded to nearest even; else as {@link packHalf} */
  packBfloat(from: Float32Array, into: Uint8Array): void
  unpackBfloat(from: Uint8Array, into: Float32Array): void
  /**
   * Blocks of {@link INT8_BLOCK} floats (the last may be shorter), each as its unit u = max|x| ÷ 127, float32 little-endian, then an
   * int8 for each: x·(1÷u) to the nearest integer, halves to even, NaN to 0. `into` has `int8Bytes(n)` bytes.
   */
  packInt8(from: Float32Array, into: Uint8Array): void
  /** into[i] = u · code[i] */
  unpackInt8(from: Uint8Array, into: Float32Array): void

  /** The `indices.length` elements of largest magnitude (NaN above all, of equals the first), by ascending index, and their values. */
  topK(x: Float32Array, indices: Uint32Array, values: Float32Array): void
  /** into[indices[j]] += values[j], in order. @returns false, with nothing written, when an index is outside */
  scatterAdd(into: Float32Array, indices: Uint32Array, values: Float32Array): boolean
  /**
   * Where |r| > threshold: writes the index, with bit 31 set for a negative r, and takes the threshold from |r|. At most
   * `words.length` of them, by ascending index. @returns how many
   */
  encodeThreshold(residual: Float32Array, threshold: number, words: Uint32Array): number
  /** into[index] ± threshold for each word, in order. @returns false, with nothing written, when an index is outside */
  decodeThreshold(words: Uint32Array, threshold: number, into: Float32Array): boolean
  /** As {@link encodeThreshold}, for many: 2 bits a float, lowest first (1: +threshold, 2: −threshold). @returns how many are not 0 */
  encodeBitmap(residual: Float32Array, threshold: number, bytes: Uint8Array): number
  decodeBitmap(bytes: Uint8Array, threshold: number, into: Float32Array): void

  /** @param form - index into {@link SGD_FORMS}; `v` is left alone by `plain` */
  sgd(form: number, w: Float32Array, g: Float32Array, v: Float32Array | undefined, scalars: Float32Array): void
  /** h ← h + g'²; w ← w − α·g' ÷ (√h + ε) */
  adagrad(w: Float32Array, g: Float32Array, h: Float32Array, scalars: Float32Array): void
  /** h ← ρh + (1−ρ)g'²; s = √(u+ε) ÷ √(h+ε) · g'; u ← ρu + (1−ρ)s²; w ← w − α·s */
  adadelta(w: Float32Array, g: Float32Array, h: Float32Array, u: Float32Array, scalars: Float32Array): void
  /** h ← ρh + (1−ρ)g'²; without b: w ← w − α·g' ÷ (√h + ε); with: b ← m·b + g' ÷ (√h + ε), w ← w − α·b */
  rmsprop(w: Float32Array, g: Float32Array, h: Float32Array, b: Float32Array | undefined, scalars: Float32Array): void
  /** m ← β₁m + (1−β₁)g'; v ← β₂v + (1−β₂)g'²; w ← keep·w − α·m ÷ (√v·root + ε) */
  adam(w: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, scalars: Float32Array): void
  /** Moments as {@link adam}'s; u = m·mean ÷ (√v·root + ε) + decay·w. @returns Σ w² and Σ u², as {@link sumSquares} */
  lambMoments(w: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, scalars: Float32Array): [number, number]
  /** w ← w − α·u */
  lambApply(w: Float32Array, m: Float32Array, v: Float32Array, scalars: Float32Array): void

  /** CRC-32C, unsigned. @param seed - the checksum of what lies before. @default 0 */
  checksum(bytes: Uint8Array, seed?: number): number
}

/** Bytes of `n` floats as {@link Kernels.packInt8} packs them: 3.996 times fewer. */
export function int8Bytes(n: number): number {
  return n + 4 * Math.ceil(n / INT8_BLOCK)
}

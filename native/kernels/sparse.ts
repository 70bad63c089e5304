const f = Math.fround
const MAGNITUDE = 0x7fffffff

function bitsOf(x: Float32Array): Uint32Array {
  return new Uint32Array(x.buffer, x.byteOffset, x.length)
}

/** The bin in which the k-th from above lies, and its place within the bin. */
function binOf(counts: Uint32Array, k: number): { bin: number; rank: number } {
  let bin = counts.length - 1
  let rank = k
  for (; bin > 0 && counts[bin]! < rank; bin--) rank -= counts[bin]!
  return { bin, rank }
}

export function topK(x: Float32Array, indices: Uint32Array, values: Float32Array): void {
  const k = indices.length
  if (k === 0) return
  const bits = bitsOf(x)
  // The k-th magnitude's bits, which order as the magnitudes do, by three histograms of 11, 10 and 10 bits.
  let threshold = 0
  let rank = k
  for (const [shift, width] of [
    [20, 11],
    [10, 10],
    [0, 10]
  ] as const) {
    const counts = new Uint32Array(2 ** width)
    const above = shift + width
    for (let i = 0; i < bits.length; i++) {
      const b = bits[i]! & MAGNITUDE
      if (above === 31 || b >>> above === threshold >>> above) counts[(b >>> shift) & (2 ** width - 1)]!++
    }
    const found = binOf(counts, rank)
    threshold |= found.bin << shift
    rank = found.rank
  }
  // All above the threshold, and of those that equal it the first `rank`.
  for (let i = 0, at = 0; at < k; i++) {
    const b = bits[i]! & MAGNITUDE
    if (b < threshold || (b === threshold && rank === 0)) continue
    if (b === threshold) rank--
    indices[at] = i
    values[at++] = x[i]!
  }
}

export function scatterAdd(into: Float32Array, indices: Uint32Array, values: Float32Array): boolean {
  for (let j = 0; j < indices.length; j++) if (indices[j]! >= into.length) return false
  for (let j = 0; j < indices.length; j++) into[indices[j]!] = into[indices[j]!]! + values[j]!
  return true
}

export function encodeThreshold(residual: Float32Array, threshold: number, words: Uint32Array): number {
  const t = f(threshold)
  let count = 0
  for (let i = 0; i < residual.length && count < words.length; i++) {
    const r = residual[i]!
    if (r > t) {
      words[count++] = i
      residual[i] = r - t
    } else if (r < -t) {
      words[count++] = i | 0x80000000
      residual[i] = r + t
    }
  }
  return count
}

export function decodeThreshold(words: Uint32Array, threshold: number, into: Float32Array): boolean {
  const t = f(threshold)
  for (let j = 0; j < words.length; j++) if ((words[j]! & MAGNITUDE) >= into.length) return false
  for (let j = 0; j < words.length; j++) {
    const i = words[j]! & MAGNITUDE
    into[i] = words[j]! > MAGNITUDE ? into[i]! - t : into[i]! + t
  }
  return true
}

export function encodeBitmap(residual: Float32Array, threshold: number, bytes: Uint8Array): number {
  const t = f(threshold)
  bytes.fill(0)
  let count = 0
  for (let i = 0; i < residual.length; i++) {
    const r = residual[i]!
    const code = r > t ? 1 : r < -t ? 2 : 0
    if (code === 0) continue
    count++
    bytes[i >>> 2]! |= code << (2 * (i & 3))
    residual[i] = code === 1 ? r - t : r + t
  }
  return count
}

export function decodeBitmap(bytes: Uint8Array, threshold: number, into: Float32Array): void {
  const t = f(threshold)
  for (let i = 0; i < into.length; i++) {
    const code = (bytes[i >>> 2]! >>> (2 * (i & 3))) & 3
    if (code === 1) into[i] = into[i]! + t
    else if (code === 2) into[i] = into[i]! - t
  }
}

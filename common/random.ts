/**
 * Seeded generator of every random choice in the project: sfc32 (Doty-Humphrey, PractRand), seeded through splitmix-style hashing.
 * Same seed, same numbers, on every machine.
 */
export interface Rng {
  /** Uniform integer in [0, 2³²). */
  uint32(): number
  /** Uniform in [0, 1), 32 bits of resolution. */
  float(): number
  /** Uniform integer in [0, n), without modulo bias; n in [1, 2³²]. */
  int(n: number): number
  /** Standard normal (Box-Muller). */
  normal(): number
  /** An independent generator that depends only on this one's seed and `label`, not on how many numbers were drawn. */
  fork(label: string | number): Rng
}

/** 32-bit hash of a string (murmur3's mixing over UTF-16 units); not for security. */
export function hash32(text: string, seed = 0): number {
  let h = seed | 0
  for (let i = 0; i < text.length; i++) {
    let k = Math.imul(text.charCodeAt(i), 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  return mix32(h ^ text.length)
}

/** murmur3's finaliser: a bijection of 32-bit integers that spreads every input bit over the output. */
export function mix32(h: number): number {
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  h ^= h >>> 16
  return h >>> 0
}

/** A generator from a seed; a number is taken as its decimal text, so 1 and '1' give the same stream. */
export function createRng(seed: string | number): Rng {
  return new Sfc32(String(seed))
}

class Sfc32 implements Rng {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1
  #spare: number | undefined

  constructor(seed: string) {
    this.#seed = seed
    this.#a = hash32(seed, 0x9e3779b9) | 0
    this.#b = hash32(seed, 0x243f6a88) | 0
    this.#c = hash32(seed, 0xb7e15162) | 0
    for (let i = 0; i < 12; i++) this.uint32()
  }

  uint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0
    return t >>> 0
  }

  float(): number {
    return this.uint32() / 4294967296
  }

  int(n: number): number {
    if (!(Number.isInteger(n) && n >= 1 && n <= 4294967296)) throw new RangeError(`int(n) takes an integer in [1, 2^32], not ${n}`)
    const limit = 4294967296 - (4294967296 % n)
    let x = this.uint32()
    while (x >= limit) x = this.uint32()
    return x % n
  }

  normal(): number {
    if (this.#spare !== undefined) {
      const x = this.#spare
      this.#spare = undefined
      return x
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.float()))
    const angle = 2 * Math.PI * this.float()
    this.#spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }

  fork(label: string | number): Rng {
    return new Sfc32(`${this.#seed}/${label}`)
  }
}

/** Fisher-Yates shuffle in place. @returns `items` */
export function shuffle<T extends { length: number; [index: number]: any }>(items: T, rng: Rng): T {
  for (let i = items.length - 1; i > 0; i--) {
    const j = rng.int(i + 1)
    const x = items[i]
    items[i] = items[j]
    items[j] = x
  }
  return items
}

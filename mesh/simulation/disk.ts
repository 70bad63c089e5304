import type { Rng } from '../../common/index.ts'

/** Time a write takes until it is durable, ms. */
export interface DiskSettings {
  minDelay: number
  meanDelay: number
}

export const calmDisk: Readonly<DiskSettings> = { minDelay: 0.2, meanDelay: 1 }

/**
 * A map that survives crashes. A write is durable when its callback runs; a crash before that loses it. Writes become durable in
 * order.
 */
export class Disk {
  readonly #durable = new Map<string, unknown>()
  readonly #settings: DiskSettings
  readonly #random: Rng
  readonly #schedule: (delay: number, run: () => void) => void
  #life = 0
  #last = 0

  constructor(settings: DiskSettings, random: Rng, schedule: (delay: number, run: () => void) => void) {
    this.#settings = settings
    this.#random = random
    this.#schedule = schedule
  }

  entries(): [string, unknown][] {
    return [...this.#durable]
  }

  read(key: string): unknown {
    return this.#durable.get(key)
  }

  /** @param value - must not be changed afterwards */
  write(now: number, key: string, value: unknown, done: () => void): void {
    const life = this.#life
    const at = Math.max(this.#last, now + this.#settings.minDelay - this.#settings.meanDelay * Math.log(1 - this.#random.float()))
    this.#last = at
    this.#schedule(at - now, () => {
      if (life !== this.#life) return
      this.#durable.set(key, value)
      done()
    })
  }

  /** What is not durable yet is lost. */
  crash(): void {
    this.#life++
  }
}

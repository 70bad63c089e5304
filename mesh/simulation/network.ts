import type { Rng } from '../../common/index.ts'

/** How the links behave; times in ms, shares in [0, 1]. */
export interface NetworkSettings {
  minDelay: number
  /** Mean of the exponential part of the delay, added to minDelay. */
  meanDelay: number
  /** Share of messages that vanish. 0 for links like TCP. */
  loss: number
  /** Share of messages that arrive twice. */
  duplicate: number
  /** Share of messages that may overtake others; all else keeps its order. */
  reorder: number
}

/** A local network with connections like TCP: nothing is lost or out of order. */
export const calmNetwork: Readonly<NetworkSettings> = { minDelay: 0.1, meanDelay: 0.5, loss: 0, duplicate: 0, reorder: 0 }

interface Link {
  random: Rng
  /** Arrival of the last message that kept its order. */
  last: number
  /** Messages held while the link is clogged. */
  held: ((now: number) => void)[] | undefined
}

/** Directed links between named nodes, each with a generator of its own. */
export class Network {
  settings: NetworkSettings
  readonly #random: Rng
  readonly #links = new Map<string, Link>()
  readonly #cut = new Set<string>()

  constructor(settings: NetworkSettings, random: Rng) {
    this.settings = settings
    this.#random = random
  }

  /**
   * When the copies of a message sent now arrive: none, one or two times; held back while the link is clogged.
   *
   * @param deliver - called with each arrival's time
   */
  send(from: string, to: string, now: number, deliver: (at: number) => void): void {
    const link = this.#link(from, to)
    const { loss, duplicate } = this.settings
    const { random } = link
    // the same draws whatever the faults are, so that a seed's links stay comparable
    const lost = random.float() < loss
    const copies = random.float() < duplicate ? 2 : 1
    if (lost || this.isCut(from, to)) return
    if (link.held !== undefined) {
      link.held.push(time => deliver(this.#arrival(link, time)))
      return
    }
    for (let i = 0; i < copies; i++) deliver(this.#arrival(link, now))
  }

  #arrival(link: Link, now: number): number {
    const { minDelay, meanDelay, reorder } = this.settings
    const { random } = link
    const at = now + minDelay - meanDelay * Math.log(1 - random.float())
    if (random.float() < reorder) return at
    link.last = Math.max(link.last, at)
    return link.last
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(key(from, to))
  }

  /** Messages from `from` to `to` vanish from now on. */
  cut(from: string, to: string): void {
    this.#cut.add(key(from, to))
  }

  /** Messages from `from` to `to` wait from now on, as in a connection whose other end does not read. */
  clog(from: string, to: string): void {
    this.#link(from, to).held ??= []
  }

  /** Ends all cuts, and lets go what clogged links hold. */
  heal(now: number): void {
    this.#cut.clear()
    for (const link of this.#links.values()) {
      const { held } = link
      link.held = undefined
      for (const release of held ?? []) release(now)
    }
  }

  #link(from: string, to: string): Link {
    const name = key(from, to)
    let link = this.#links.get(name)
    if (link === undefined) {
      link = { random: this.#random.fork(name), last: 0, held: undefined }
      this.#links.set(name, link)
    }
    return link
  }
}

function key(from: string, to: string): string {
  return `${from}>${to}`
}

import type { Logger } from '../../common/index.ts'
import { type Address, formatAddress, parseAddress } from './address.ts'
import type { Down } from './definition.ts'
import type { Callable } from './handle.ts'
import { DOWN, WATCH } from './wire.ts'

/** Monitors that one node keeps. */
const MAX_WATCHES = 100_000

export interface WatchesInit {
  callable: Callable
  logger: Logger
  /** Tells an actor of this node, if it is active. @returns whether it is */
  down(watcher: string, down: Down): boolean
}

interface Watched {
  /** Where it was found last; '' until then. */
  node: string
  /** Actors of this node that monitor it, and whether they are linked. */
  watchers: Map<string, boolean>
}

/**
 * Who monitors whom. The node of a monitored actor tells when it crashes; the node of a monitoring one sees when that whole node is
 * gone. Passivating and moving are no end of an actor.
 */
export class Watches {
  readonly #init: WatchesInit
  /** What actors of this node monitor. */
  readonly #watched = new Map<string, Watched>()
  /** Who monitors actors of this node: by target, watcher and whether linked. */
  readonly #watchers = new Map<string, Map<string, boolean>>()

  constructor(init: WatchesInit) {
    this.#init = init
  }

  /** An actor of this node begins or ends to monitor another. */
  change(watcher: string, target: Address, linked: boolean, on: boolean): void {
    const name = formatAddress(target)
    const entry = this.#watched.get(name) ?? { node: '', watchers: new Map() }
    if (on) {
      if (!this.#watched.has(name) && this.#watched.size >= MAX_WATCHES) {
        this.#init.logger.warn(`${watcher} cannot monitor ${name}: ${MAX_WATCHES} actors are monitored from this node already`)
        return
      }
      this.#watched.set(name, entry)
      entry.watchers.set(watcher, linked)
    } else {
      entry.watchers.delete(watcher)
      if (entry.watchers.size === 0) this.#watched.delete(name)
    }
    this.#init.callable.call(target, WATCH, { watcher, linked, on }, { idempotent: true }).then(
      node => {
        entry.node = String(node)
      },
      error => {
        if (on) this.#tell(name, `it cannot be reached: ${(error as Error).message}`)
      }
    )
  }

  /** A node asks on behalf of an actor of its own. */
  asked(target: string, argument: unknown): void {
    const { watcher, linked, on } = argument as { watcher: string; linked: boolean; on: boolean }
    formatAddress(parseAddress(String(watcher)))
    const watchers = this.#watchers.get(target) ?? new Map<string, boolean>()
    if (on !== true) watchers.delete(watcher)
    else if (watchers.size < MAX_WATCHES) watchers.set(watcher, linked === true)
    if (watchers.size === 0) this.#watchers.delete(target)
    else if (this.#watchers.has(target) || this.#watchers.size < MAX_WATCHES) this.#watchers.set(target, watchers)
    // A link works both ways: who is linked to is linked, too.
    if (on === true && linked === true && !this.#watched.get(watcher)?.watchers.has(target)) {
      const known = this.#watched.get(watcher) ?? { node: '', watchers: new Map() }
      known.watchers.set(target, true)
      this.#watched.set(watcher, known)
      this.#init.callable
        .call(parseAddress(watcher), WATCH, { watcher: target, linked: true, on: true }, { idempotent: true })
        .then(node => {
          known.node = String(node)
        })
        .catch(error => this.#tell(watcher, `it cannot be reached: ${(error as Error).message}`))
    }
  }

  /** An actor of this node crashed. */
  crashed(target: string, reason: string): void {
    const watchers = this.#watchers.get(target)
    this.#watchers.delete(target)
    for (const [watcher, linked] of watchers ?? []) {
      this.#init.callable
        .call(parseAddress(watcher), DOWN, { ...parseAddress(target), reason, linked }, { idempotent: true })
        .catch(error => this.#init.logger.debug(`${watcher} was not told that ${target} crashed: ${(error as Error).message}`))
    }
    // What it monitored itself is forgotten with it.
    for (const [name, { watchers }] of this.#watched) {
      if (watchers.delete(target) && watchers.size === 0) this.#watched.delete(name)
    }
  }

  /** Another node tells an actor of this one. */
  told(watcher: string, argument: unknown): void {
    const { actor, key, reason, linked } = argument as Down
    const name = formatAddress({ actor: String(actor), key: String(key) })
    const watchers = this.#watched.get(name)?.watchers
    if (watchers === undefined || !watchers.delete(watcher)) return
    if (watchers.size === 0) this.#watched.delete(name)
    this.#init.down(watcher, { actor: String(actor), key: String(key), reason: String(reason).slice(0, 2000), linked: linked === true })
  }

  /** A node is dead or has left. */
  nodeGone(node: string, reason: string): void {
    for (const [name, watched] of [...this.#watched]) if (watched.node === node) this.#tell(name, reason)
  }

  #tell(target: string, reason: string): void {
    const watchers = this.#watched.get(target)?.watchers
    this.#watched.delete(target)
    for (const [watcher, linked] of watchers ?? []) this.#init.down(watcher, { ...parseAddress(target), reason, linked })
  }
}

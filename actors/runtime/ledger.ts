import { freemem } from 'node:os'
import { NotFoundError, OverloadedError } from '../../common/index.ts'
import type { Needs } from './definition.ts'

/** What a node has given to somebody until it is given back. */
export interface Lease {
  /** Ids of the devices. */
  devices: string[]
  release(): void
}

export interface LedgerInit {
  /** Ids and kinds of this node's devices. */
  devices(): { id: string; kind: 'gpu' | 'cpu' }[]
  /** Bytes that actors may set aside together. @default what is free when the ledger is made */
  memory?: number
  /** What is free has changed. */
  onChange?(): unknown
}

/** Who holds what of one node: each device has one holder at most. Admits or refuses, and no view of others overrules it. */
export class Ledger {
  readonly #init: LedgerInit
  readonly #holders = new Map<string, string>()
  readonly #total: number
  #memory = 0

  constructor(init: LedgerInit) {
    this.#init = init
    this.#total = init.memory ?? freemem()
  }

  /** Devices that nobody holds. */
  free(): string[] {
    return this.#init
      .devices()
      .map(d => d.id)
      .filter(id => !this.#holders.has(id))
  }

  holder(device: string): string | undefined {
    return this.#holders.get(device)
  }

  /** Leases one device by its id. @throws NotFoundError when there is none, OverloadedError when it is held */
  lease(device: string, holder: string): Lease {
    if (!this.#init.devices().some(d => d.id === device)) throw new NotFoundError(`this node has no device ${device}`)
    const held = this.#holders.get(device)
    if (held !== undefined) throw new OverloadedError(`device ${device} is held by ${held}`)
    return this.#take([device], 0, holder)
  }

  /** Leases what an actor needs, all or nothing. @throws OverloadedError when it is not free */
  admit(needs: Needs, holder: string): Lease {
    const { devices: wanted, memory = 0 } = needs
    if (this.#memory + memory > this.#total) {
      throw new OverloadedError(`${holder} needs ${memory} bytes and ${Math.max(0, this.#total - this.#memory)} are left on this node`)
    }
    if (wanted === undefined) return this.#take([], memory, holder)
    const count = wanted.count ?? 1
    const free = this.#init.devices().filter(d => d.kind === wanted.kind && !this.#holders.has(d.id))
    if (free.length < count) throw new OverloadedError(`${holder} needs ${count} ${wanted.kind} and ${free.length} are free on this node`)
    return this.#take(
      free.slice(0, count).map(d => d.id),
      memory,
      holder
    )
  }

  #take(devices: string[], memory: number, holder: string): Lease {
    for (const id of devices) this.#holders.set(id, holder)
    this.#memory += memory
    if (devices.length > 0) this.#init.onChange?.()
    let held = true
    return {
      devices,
      release: () => {
        if (!held) return
        held = false
        for (const id of devices) this.#holders.delete(id)
        this.#memory -= memory
        if (devices.length > 0) this.#init.onChange?.()
      }
    }
  }
}

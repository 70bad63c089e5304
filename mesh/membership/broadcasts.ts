import type { MemberRecord } from './record.ts'

/**
 * Records waiting to be passed on, at most one a member (the newest), those sent least first. Taking costs time in proportion to
 * what is taken, however many wait.
 */
export class Broadcasts {
  readonly #entries = new Map<string, { record: MemberRecord; sent: number }>()
  readonly #bySent: Set<string>[] = []

  get size(): number {
    return this.#entries.size
  }

  /** Puts `record` in the place of an older one about the same member. */
  add(record: MemberRecord): void {
    this.drop(record.peer)
    this.#entries.set(record.peer, { record, sent: 0 })
    this.#bucket(0).add(record.peer)
  }

  drop(peer: string): void {
    const old = this.#entries.get(peer)
    if (old === undefined) return
    this.#bucket(old.sent).delete(peer)
    this.#entries.delete(peer)
  }

  /** Up to `count` records for one message; each is given out `limit` times, then forgotten. `skip` names a member not to speak of. */
  take(count: number, limit: number, skip?: string): MemberRecord[] {
    const taken: { peer: string; record: MemberRecord; sent: number }[] = []
    for (let sent = 0; sent < this.#bySent.length && taken.length < count; sent++) {
      for (const peer of this.#bySent[sent]!) {
        if (peer === skip) continue
        const { record } = this.#entries.get(peer)!
        taken.push({ peer, record, sent })
        if (taken.length === count) break
      }
    }
    for (const { peer, record, sent } of taken) {
      this.#bySent[sent]!.delete(peer)
      if (sent + 1 >= limit) this.#entries.delete(peer)
      else {
        this.#entries.set(peer, { record, sent: sent + 1 })
        this.#bucket(sent + 1).add(peer)
      }
    }
    return taken.map(t => t.record)
  }

  #bucket(sent: number): Set<string> {
    while (this.#bySent.length <= sent) this.#bySent.push(new Set())
    return this.#bySent[sent]!
  }
}

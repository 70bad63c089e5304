import { appendFile, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../../../mesh/index.ts'
import type { JobEvent } from '../service-types.ts'

/** One event of this node's share of a job, numbered from 1. */
export interface JournalEntry {
  n: number
  /** Milliseconds since 1970 by this node's clock. */
  time: number
  event: JobEvent
}

/** Entries kept in memory; older ones are in the file alone. */
const MAX_MEMORY = 20_000

/** What one node's trainers and job actors reported about one job: a file of JSON lines, and whoever follows it. */
export class Journal {
  readonly #path: string
  readonly #entries: JournalEntry[] = []
  readonly #listeners = new Set<() => void>()
  #waiting = ''
  #writing: Promise<void> = Promise.resolve()
  #count = 0
  #loaded: Promise<void>
  #closed = false

  constructor(path: string) {
    this.#path = path
    // Without its file a journal still serves whoever follows; the node must not end over it.
    this.#loaded = this.#load().catch(() => {})
  }

  /** Adds an event; it is on disk a moment later. */
  add(event: JobEvent): void {
    this.#loaded = this.#loaded.then(() => {
      const entry = { n: ++this.#count, time: Date.now(), event }
      this.#keep(entry)
      const idle = this.#waiting === '' || this.#waiting === '\n'
      this.#waiting += JSON.stringify(entry) + '\n'
      if (idle) this.#writing = this.#writing.then(() => this.#write())
      for (const listener of this.#listeners) listener()
    })
  }

  /** Resolves once everything added so far is written. */
  async flush(): Promise<void> {
    await this.#loaded
    await this.#writing
  }

  /** No more will be added: readers come to their end. */
  close(): void {
    this.#closed = true
    for (const listener of this.#listeners) listener()
  }

  /**
   * Entries in order, those of the past first; `undefined` marks the moment where the past ends. Ends when the journal is closed,
   * or at that mark unless `live`.
   */
  async *read(options: { live: boolean; signal?: AbortSignal }): AsyncGenerator<JournalEntry | undefined> {
    await this.flush()
    let next = 1
    let past = true
    for (;;) {
      const first = this.#entries[0]?.n ?? this.#count + 1
      if (next < first) {
        for (const entry of await this.#readFile()) {
          if (entry.n < next || entry.n >= first) continue
          yield entry
          next = entry.n + 1
        }
        next = Math.max(next, first)
      }
      while (next <= this.#count) {
        const entry = this.#entries[next - this.#entries[0]!.n]
        if (entry === undefined) break
        next++
        yield entry
      }
      if (next <= this.#count) continue
      if (past) {
        past = false
        yield undefined
        if (!options.live) return
        continue
      }
      if (this.#closed || options.signal?.aborted) return
      await this.#change(options.signal)
    }
  }

  #change(signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        this.#listeners.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      this.#listeners.add(done)
      signal?.addEventListener('abort', done)
    })
  }

  #keep(entry: JournalEntry): void {
    this.#entries.push(entry)
    if (this.#entries.length > MAX_MEMORY) this.#entries.splice(0, MAX_MEMORY / 4)
  }

  async #load(): Promise<void> {
    makeFolder(dirname(this.#path))
    const text = await readFile(this.#path, 'utf8').catch(() => '')
    // A line that a crash cut short must not swallow the next one.
    if (text !== '' && !text.endsWith('\n')) this.#waiting = '\n'
    for (const entry of await this.#readFile()) {
      this.#count = entry.n
      this.#keep(entry)
    }
  }

  async #readFile(): Promise<JournalEntry[]> {
    const text = await readFile(this.#path, 'utf8').catch(() => '')
    const entries: JournalEntry[] = []
    for (const line of text.split('\n')) {
      // A line cut short by a crash ends the file; the next one begins anew.
      if (line === '') continue
      try {
        entries.push(JSON.parse(line))
      } catch {}
    }
    return entries
  }

  async #write(): Promise<void> {
    const text = this.#waiting
    this.#waiting = ''
    await appendFile(this.#path, text).catch(() => {})
  }
}

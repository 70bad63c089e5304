import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { InUseError, InvalidParametersError } from '../../common/index.ts'

/** Largest value of one key, bytes. */
export const MAX_STATE_VALUE = 16 * 1024 * 1024

/** A durable map of one namespace; a change is on the disk when the call returns. */
export interface KeyValue {
  get(key: string): Uint8Array | undefined
  /** @throws InvalidParametersError when the value is larger than 16 MiB */
  put(key: string, value: Uint8Array): void
  delete(key: string): void
  /** Many changes as one: all are on the disk when it returns, or none. A value of undefined deletes. */
  write(changes: Iterable<[string, Uint8Array | undefined]>): void
  /** All pairs, ordered by key. */
  entries(): [string, Uint8Array][]
}

/** Loads `node:sqlite` without the notice that Node 22 and 24 print about it. */
async function loadSqlite(): Promise<typeof import('node:sqlite')> {
  const emit = process.emitWarning
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes('SQLite')) return
    return (emit as (...args: unknown[]) => void).call(process, warning, ...rest)
  }) as typeof process.emitWarning
  try {
    return await import('node:sqlite')
  } finally {
    process.emitWarning = emit
  }
}

const sqlite = await loadSqlite()

/**
 * The database file in a state folder. SQLite's exclusive mode keeps a lock of the kernel on it as long as it is open, so that the
 * death of the process, however it comes, frees the folder.
 */
export class Store {
  readonly #database: DatabaseSync
  readonly #get: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #entries: StatementSync
  #open = true

  /** @throws InUseError when another process holds `file` */
  constructor(file: string) {
    const database = new sqlite.DatabaseSync(file, { timeout: 0 })
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      database.exec(
        'BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS kv (namespace TEXT, key TEXT, value BLOB, PRIMARY KEY (namespace, key)) WITHOUT ROWID; COMMIT'
      )
    } catch (error) {
      database.close()
      if (isBusy(error)) throw new InUseError(`the state file ${file} is held by another process`)
      throw new InvalidParametersError(`the state file ${file} cannot be opened: ${(error as Error).message}`, { cause: error })
    }
    this.#database = database
    this.#get = database.prepare('SELECT value FROM kv WHERE namespace = ? AND key = ?')
    this.#put = database.prepare('INSERT INTO kv VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value')
    this.#delete = database.prepare('DELETE FROM kv WHERE namespace = ? AND key = ?')
    this.#entries = database.prepare('SELECT key, value FROM kv WHERE namespace = ? ORDER BY key')
  }

  kv(namespace: string): KeyValue {
    const put = (key: string, value: Uint8Array) => {
      if (value.byteLength > MAX_STATE_VALUE) {
        throw new InvalidParametersError(
          `${namespace}/${key} has ${value.byteLength} bytes; the state holds at most ${MAX_STATE_VALUE} a key`
        )
      }
      this.#put.run(namespace, key, value)
    }
    return {
      get: key => this.#get.get(namespace, key)?.['value'] as Uint8Array | undefined,
      put,
      delete: key => {
        this.#delete.run(namespace, key)
      },
      write: changes => {
        this.#database.exec('BEGIN IMMEDIATE')
        try {
          for (const [key, value] of changes) {
            if (value === undefined) this.#delete.run(namespace, key)
            else put(key, value)
          }
          this.#database.exec('COMMIT')
        } catch (error) {
          this.#database.exec('ROLLBACK')
          throw error
        }
      },
      entries: () => this.#entries.all(namespace).map(row => [row['key'] as string, row['value'] as Uint8Array])
    }
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#database.close()
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode
  return code !== undefined && ((code & 0xff) === 5 || (code & 0xff) === 6)
}

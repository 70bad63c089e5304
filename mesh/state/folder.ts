import { chmodSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { InUseError, InvalidParametersError } from '../../common/index.ts'
import { makeFolder } from './make-folder.ts'
import { type KeyValue, Store } from './store.ts'

/** Nodes that one machine may run under {@link openFirstFree}. */
const MAX_NODES = 256
const DEFAULT_NAME = 'node'

/** An open state folder. */
export interface State {
  /** Absolute path. */
  directory: string
  /** The folder's own name: what this node is called on its machine. */
  name: string
  /** How many times this folder has been opened, this time included: a restart is told from its predecessor by it. */
  boot: number
  kv(namespace: string): KeyValue
  /** Frees the folder for another process. */
  close(): void
}

/** What {@link openFirstFree} answers. */
export interface FirstFree {
  state: State
  /** Names that other processes held, in the order tried; empty for the first node on a machine. */
  taken: string[]
}

/** Where the state folders of this user's nodes are: `$XDG_STATE_HOME/gradmesh`. */
export function stateBase(environment: NodeJS.ProcessEnv = process.env): string {
  const home = environment['XDG_STATE_HOME']
  // The XDG specification says that a relative path is to be ignored.
  return join(home && isAbsolute(home) ? home : join(homedir(), '.local', 'state'), 'gradmesh')
}

/**
 * Opens a state folder, which is created (mode 0700) when absent, and locks it until `close` or the end of the process.
 *
 * @param directory - by default the folder of the first node on this machine
 * @throws InUseError when another process holds it
 * @throws InvalidParametersError when it cannot be created or written
 */
export function openState(directory: string = join(stateBase(), DEFAULT_NAME)): State {
  const path = resolve(directory)
  try {
    makeFolder(path, 0o700)
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700)
  } catch (error) {
    throw new InvalidParametersError(`the state folder ${path} cannot be used: ${(error as Error).message}`, { cause: error })
  }
  let store: Store
  try {
    store = new Store(join(path, 'state.sqlite'))
  } catch (error) {
    if (!(error instanceof InUseError)) throw error
    throw new InUseError(`the state folder ${path} is held by another running node; stop it or give another --state-dir`)
  }
  const meta = store.kv('meta')
  const boot = Number(new TextDecoder().decode(meta.get('boot') ?? new Uint8Array([48]))) + 1
  meta.put('boot', new TextEncoder().encode(String(boot)))
  return { directory: path, name: basename(path), boot, kv: namespace => store.kv(namespace), close: () => store.close() }
}

/**
 * Opens the first of `node`, `node-1`, `node-2` … under `base` that no running process holds.
 *
 * @throws InUseError when all 256 names are held
 */
export function openFirstFree(base: string = stateBase(), name: string = DEFAULT_NAME): FirstFree {
  const taken: string[] = []
  for (let i = 0; i < MAX_NODES; i++) {
    const candidate = i === 0 ? name : `${name}-${i}`
    try {
      return { state: openState(join(base, candidate)), taken }
    } catch (error) {
      if (!(error instanceof InUseError)) throw error
      taken.push(candidate)
    }
  }
  throw new InUseError(`all ${MAX_NODES} node names under ${base} are held by running nodes; give --state-dir`)
}

import { existsSync, readdirSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { InvalidParametersError, NotFoundError } from '../../common/index.ts'
import type { Output } from '../terminal/output.ts'
import { ControlClient } from './client.ts'
import { EMBEDDED, SOCKET, socketPath } from './protocol.ts'

/** A node of this user on this machine that answers. */
export interface FoundNode {
  /** Its state folder's last part. */
  name: string
  folder: string
  client: ControlClient
}

export interface DiscoverOptions {
  /** Where state folders are: `$XDG_STATE_HOME/gradmesh`. */
  base: string
  /** Name of a node or path of its state folder; without it the first one that answers. */
  node?: string
  /** Take also the node inside a running `mesh train`, after all others. @default true */
  embedded?: boolean
  signal?: AbortSignal
}

/**
 * The node a command talks to: the one named, else the first by name that answers. Sockets that dead processes left are passed over.
 *
 * @returns undefined when no name is given and none runs
 * @throws NotFoundError when the named one does not run
 */
export async function findNode({ base, node, embedded = true, signal }: DiscoverOptions): Promise<FoundNode | undefined> {
  if (node !== undefined) return named(base, node, signal)
  for (const name of candidates(base, embedded)) {
    const found = await answering(join(base, name), name, signal)
    if (found !== undefined) return found
  }
  return undefined
}

/** As {@link findNode}. @throws NotFoundError also when none runs */
export async function requireNode(options: DiscoverOptions): Promise<FoundNode> {
  const found = await findNode(options)
  if (found === undefined) throw new NotFoundError('no node runs on this machine; start one with mesh join')
  return found
}

/** A node to go on with when the one that was followed is gone. */
export async function otherNode({ stateBase, output }: { stateBase: string; output: Output }): Promise<ControlClient | undefined> {
  const found = await findNode({ base: stateBase, embedded: false })
  if (found !== undefined) output.warn(`the node that was followed is gone; following through node ${found.name}`)
  return found?.client
}

async function named(base: string, node: string, signal?: AbortSignal): Promise<FoundNode> {
  if (node === '') throw new InvalidParametersError('--node takes the name of a node or the path of its state folder')
  const isPath = isAbsolute(node) || node.includes('/')
  const folder = isPath ? resolve(node) : join(base, node)
  const name = folder.split(/[\\/]/).at(-1) as string
  const found = await answering(folder, name, signal)
  if (found !== undefined) return found
  const known = candidates(base, true)
  const others = known.length === 0 ? '' : ` (state folders with a socket: ${known.join(', ')})`
  throw new NotFoundError(`no node called '${node.slice(0, 200)}' runs on this machine${isPath ? '' : others}`)
}

async function answering(folder: string, name: string, signal?: AbortSignal): Promise<FoundNode | undefined> {
  if (!existsSync(join(folder, SOCKET))) return undefined
  const client = new ControlClient(socketPath(folder))
  try {
    await client.ping({ signal })
    return { name, folder, client }
  } catch {
    signal?.throwIfAborted()
    return undefined
  }
}

/** Names of state folders that hold a socket, in the order in which nodes take them. */
function candidates(base: string, embedded: boolean): string[] {
  let names: string[]
  try {
    names = readdirSync(base)
  } catch {
    return []
  }
  return names
    .filter(name => existsSync(join(base, name, SOCKET)))
    .filter(name => embedded || !EMBEDDED.test(name))
    .sort((a, b) => Number(EMBEDDED.test(a)) - Number(EMBEDDED.test(b)) || a.localeCompare(b, 'en', { numeric: true }))
}

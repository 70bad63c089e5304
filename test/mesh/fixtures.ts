import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../common/index.ts'
import { type Authority, createAuthority, foundMesh, parseInvite } from '../../mesh/admission/index.ts'
import { createHost, type Host, type HostInit } from '../../mesh/host.ts'
import { createIdentity } from '../../mesh/identity/index.ts'
import { type Mesh, type MeshInit, openState, type State, startMesh } from '../../mesh/index.ts'

export const loopback = ['/ip4/127.0.0.1/tcp/0']

/** What a test needs of tap's context. */
interface Test {
  teardown(callback: () => unknown): void
}

/** Resolves when `condition` holds. @throws when it does not within `limit` ms */
export async function until(condition: () => boolean | Promise<boolean>, what: string, limit = 60_000): Promise<void> {
  const end = performance.now() + limit
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** The error that `promise` rejects with. */
export async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it was expected to fail')
}

export function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'gradmesh-test-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A logger that keeps its lines. */
export function recorder(): Logger & { lines: string[] } {
  const lines: string[] = []
  const logger: Logger & { lines: string[] } = {
    lines,
    debug() {},
    info: message => lines.push(`info ${message}`),
    warn: message => lines.push(`warn ${message}`),
    error: message => lines.push(`error ${message}`),
    child: () => logger
  }
  return logger
}

export function newAuthority(): Authority {
  return foundMesh(createIdentity())
}

/** An authority of the mesh of `member`, admitted by it without a network. */
export function admittedBy(member: Authority): Authority {
  const invite = parseInvite(member.invite([]), Date.now())
  const joiner = createAuthority({ identity: createIdentity(), mesh: member.mesh, invite })
  const { grant, proof } = joiner.credentials().claim!
  joiner.adopt(member.admit(grant, proof, joiner.identity.peer).bytes)
  return joiner
}

export async function host(t: Test, authority: Authority, init: Partial<HostInit> = {}): Promise<Host> {
  const made = await createHost({ authority, listen: loopback, ...init })
  t.teardown(() => made.stop())
  return made
}

/** Two hosts of one mesh with a connection. */
export async function pair(t: Test): Promise<[Host, Host]> {
  const founder = newAuthority()
  const [a, b] = [await host(t, founder), await host(t, admittedBy(founder))]
  await a.connect(b.peer, b.addresses())
  await until(() => b.connection(a.peer) !== undefined, 'both sides have the connection')
  return [a, b]
}

export interface TestNode {
  mesh: Mesh
  state: State
  directory: string
  /** Stops and frees the folder, as the end of a process does. */
  end(): Promise<void>
}

/** A node of its own folder, or of `directory`; it ends with the test. */
export async function node(t: Test, init: Partial<MeshInit> & { directory?: string } = {}): Promise<TestNode> {
  const directory = init.directory ?? folder(t)
  const state = openState(directory)
  let mesh: Mesh
  try {
    mesh = await startMesh({ listen: loopback, ...init, state })
  } catch (error) {
    state.close()
    throw error
  }
  const end = async () => {
    await mesh.stop()
    state.close()
  }
  t.teardown(end)
  return { mesh, state, directory, end }
}

/** Waits until all of `nodes` see exactly each other alive. */
export async function together(...nodes: TestNode[]): Promise<void> {
  const all = nodes
    .map(n => n.mesh.peer)
    .sort()
    .join()
  await until(() => nodes.every(n => n.mesh.alive().join() === all), `${nodes.length} nodes see each other alive`)
  await until(() => nodes.every(n => n.mesh.connected().length >= nodes.length - 1), `${nodes.length} nodes are connected`)
}

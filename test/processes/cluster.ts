import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { JobEvent, JobSpec, NodeStatus } from '../../actors/training/index.ts'
import { ControlClient } from '../../cli/control/client.ts'
import { defaults } from './embedded.ts'

const launcher = new URL('../../cli/launcher.mjs', import.meta.url).pathname
/** Bound of every wait, ms: far beyond what a busy machine needs, so that only a hang reaches it. */
const PATIENCE = 90_000

/** The line a node says with `--json` once it is up. */
interface Joined {
  peer: string
  mesh: string
  invite: string | null
  addresses: string[]
}

/** A node in a process of its own. */
export interface ClusterNode {
  name: string
  peer: string
  invite: string
  client: ControlClient
  process: ChildProcess
  /** Everything it printed. */
  output(): string
  /** Ends the process at once, as a power cut would. */
  kill(): Promise<void>
}

/** Real nodes on the loopback interface for the length of a test. */
export class Cluster {
  readonly folder: string
  readonly nodes: ClusterNode[] = []
  readonly #running = new Set<ChildProcess>()

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(t: Test): Promise<Cluster> {
    const cluster = new Cluster(await mkdtemp(join(tmpdir(), 'gradmesh-cluster-')))
    t.teardown(() => cluster.close())
    return cluster
  }

  /** Starts a node with one CPU slot; by the invite of a live one if there is any, else by what its folder remembers. */
  async join(name: string, flags: string[] = []): Promise<ClusterNode> {
    const stateDir = join(this.folder, name)
    const host = this.nodes.find(n => n.process?.exitCode === null && n.process.signalCode === null)
    const invited =
      host === undefined || this.nodes.some(n => n.name === name) ? [] : ['--invite', await host.client.invite({ ttl: 600_000 })]
    const before = this.nodes.findIndex(n => n.name === name)
    const place = before >= 0 ? before : this.nodes.length
    // Keeps its place while others start beside it.
    this.nodes[place] ??= { name } as ClusterNode
    const { child, output } = this.command([
      'join',
      '--json',
      '--state-dir',
      stateDir,
      '--cpus',
      '1',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      ...invited,
      ...flags
    ])
    const joined = await until(`${name} to join`, () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${output()}`)
      return jsonLines(output()).find(e => e.type === 'joined') as Joined | undefined
    })
    const node: ClusterNode = {
      name,
      peer: joined.peer,
      invite: joined.invite ?? '',
      client: new ControlClient(join(stateDir, 'control.sock')),
      process: child,
      output,
      kill: async () => {
        child.kill('SIGKILL')
        await ended(child)
      }
    }
    this.nodes.splice(place, 1, node)
    return node
  }

  /** Waits until every live node sees `count` live members. */
  async members(count: number): Promise<void> {
    const running = this.nodes.filter(n => n.process.exitCode === null && n.process.signalCode === null)
    for (const { name, client } of running) {
      await until(`${name} to see ${count} members`, async () => {
        const { members } = await client.status()
        return members.filter(m => m.state === 'alive' && m.devices.length > 0).length === count || undefined
      })
    }
  }

  /** Runs the `mesh` command. */
  command(args: string[], env: Record<string, string> = {}): { child: ChildProcess; output(): string } {
    const child = spawn(process.execPath, [launcher, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', XDG_STATE_HOME: this.folder, GRADMESH_INVITE: '', ...env }
    })
    let text = ''
    child.stdout.on('data', chunk => {
      text += chunk
    })
    child.stderr.on('data', chunk => {
      text += chunk
    })
    this.#running.add(child)
    child.once('close', () => this.#running.delete(child))
    return { child, output: () => text }
  }

  async close(): Promise<void> {
    const running = [...this.#running]
    for (const child of running) child.kill('SIGKILL')
    await Promise.all(running.map(ended))
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** A job of all trainers on a small data set, long enough for a test to happen to it. */
export function spec(overrides: Partial<JobSpec> = {}): JobSpec {
  return { ...defaults, data: 'digits?train=2000&test=100', trainers: 'all', batch: 8, epochs: 2, logEvery: 5, ...overrides }
}

/** Collects a job's events as one node tells them. */
export class Watch {
  readonly events: JobEvent[] = []
  readonly over: Promise<void>

  constructor(client: ControlClient, job: string) {
    this.over = (async () => {
      for await (const event of client.follow(job)) this.events.push(event)
    })()
    this.over.catch(() => {})
  }

  /** The first event that `test` holds for, waiting for it. */
  async event(what: string, test: (event: JobEvent) => boolean): Promise<JobEvent> {
    return await until(what, () => this.events.find(test))
  }

  step(): number {
    return Math.max(0, ...this.events.map(e => (e.type === 'metrics' ? e.step : 0)))
  }

  /** Committed and duplicated samples by epoch: the last word on each. */
  epochs(): Map<number, { committed: number; duplicated: number }> {
    return new Map(this.events.flatMap(e => (e.type === 'epoch' ? [[e.epoch, { committed: e.committed, duplicated: e.duplicated }]] : [])))
  }

  generations(): number[] {
    return this.events.flatMap(e => (e.type === 'generation' ? [e.members.length] : []))
  }
}

export function trainersOf(status: NodeStatus, job: string): string[] {
  return status.jobs.find(j => j.job === job)?.members.map(m => m.peer) ?? []
}

/** Waits for a condition, with a bound that only a hang reaches. */
export async function until<T>(what: string, condition: () => T | undefined | Promise<T | undefined>, patience = PATIENCE): Promise<T> {
  const deadline = performance.now() + patience
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value as T
    if (performance.now() > deadline) throw new Error(`waited ${patience / 1000} s in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 25))
  }
}

/** The JSON lines that a command has printed whole so far. */
export function jsonLines(output: string): any[] {
  return output
    .split('\n')
    .slice(0, -1)
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise(resolve => child.once('close', resolve))
}

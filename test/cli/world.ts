import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { World } from '../../cli/context.ts'
import { type ControlServer, serveControl } from '../../cli/control/server.ts'
import { run } from '../../cli/program.ts'
import { type FakeInit, FakeNode } from './fake-node.ts'

/** Collects what is written to it. */
export class Page {
  text = ''
  isTTY: boolean
  columns: number
  readonly #waiting: { has: string; resolve: () => void }[] = []

  constructor(terminal: { isTTY?: boolean; columns?: number } = {}) {
    this.isTTY = terminal.isTTY ?? false
    this.columns = terminal.columns ?? 80
  }

  write(text: string): void {
    this.text += text
    for (const waiting of this.#waiting) if (this.text.includes(waiting.has)) waiting.resolve()
  }

  /** Resolves once `has` has been written. */
  async shows(has: string): Promise<void> {
    if (this.text.includes(has)) return
    await new Promise<void>(resolve => this.#waiting.push({ has, resolve }))
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1)
  }

  /** As `--json` prints it. */
  get records(): any[] {
    return this.lines.map(line => JSON.parse(line))
  }
}

/** A machine of its own for one test: a folder, a clock that only a test moves, a Ctrl-C key. */
export class TestWorld implements World {
  readonly folder: string
  stdout: Page
  stderr = new Page()
  env: NodeJS.ProcessEnv
  cwd: string
  time = 0
  #handlers = new Set<() => void>()
  #servers = new Map<string, ControlServer>()
  startNode: World['startNode'] = async () => {
    throw new Error('this test starts no node')
  }
  startEmbedded: World['startEmbedded'] = async () => {
    throw new Error('this test starts no embedded mesh')
  }

  constructor(terminal: { isTTY?: boolean; columns?: number } = {}) {
    // Short: a socket's path has room for about a hundred bytes.
    this.folder = mkdtempSync(join(tmpdir(), 'gm-'))
    this.cwd = this.folder
    this.env = { XDG_STATE_HOME: this.folder, TERM: 'xterm' }
    this.stdout = new Page(terminal)
  }

  now = () => this.time
  date = () => new Date(Date.UTC(2026, 0, 31, 23, 59, 58))

  onInterrupt = (handler: () => void) => {
    this.#handlers.add(handler)
    return () => this.#handlers.delete(handler)
  }

  /** Ctrl-C. */
  interrupt(): void {
    for (const handler of this.#handlers) handler()
  }

  /** A node that runs on this machine. */
  async node(name: string, init: Omit<FakeInit, 'stateDir'> = {}): Promise<FakeNode> {
    const node = new FakeNode({ ...init, stateDir: join(this.folder, 'gradmesh', name) })
    this.#servers.set(name, await serveControl({ folder: node.stateDir, service: node }))
    return node
  }

  /** Ends a node that was started. */
  async kill(name: string): Promise<void> {
    await this.#servers.get(name)?.close()
    this.#servers.delete(name)
  }

  /** Runs `mesh ...args`. @returns the exit code */
  mesh(...args: string[]): Promise<number> {
    return run(args, this)
  }

  async close(): Promise<void> {
    for (const name of this.#servers.keys()) await this.kill(name)
    rmSync(this.folder, { recursive: true, force: true })
  }
}

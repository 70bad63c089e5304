import { createRng, type Rng } from '../../common/index.ts'
import { calmDisk, Disk, type DiskSettings } from './disk.ts'
import { Heap } from './heap.ts'
import { calmNetwork, Network, type NetworkSettings } from './network.ts'
import { type Boot, type Host, SimulatedNode } from './node.ts'
import { Trace } from './trace.ts'

/** Something a node or the world itself says to the checkers. */
export interface Observation {
  time: number
  /** '' for the world. */
  node: string
  kind: string
  details: Record<string, unknown>
}

/** Sees all that happens; throws when what must hold does not. */
export interface Observer {
  observe?(observation: Observation, world: World): void
  /** A message leaves a node, before the network does anything to it. */
  sent?(from: string, to: string, message: { kind: string }, world: World): void
}

export interface WorldOptions {
  seed: string | number
  network?: Partial<NetworkSettings>
  disk?: Partial<DiskSettings>
  /** Lines of the trace kept for printing. */
  keepTrace?: number
  /** Moments after which a run is given up: something goes round in circles. @default 20 million */
  maxEvents?: number
}

/**
 * A simulated world: machines, a network and disks in virtual time. One heap of moments ordered by (time, sequence); one generator
 * forked per node and per link. A run is a function of the seed and of what is scheduled.
 */
export class World {
  readonly random: Rng
  readonly network: Network
  readonly nodes = new Map<string, SimulatedNode>()
  readonly trace: Trace
  readonly observers: Observer[] = []
  now = 0
  /** Moments run. */
  events = 0
  readonly #heap = new Heap()
  readonly #disk: DiskSettings
  readonly #maxEvents: number
  #sequence = 0

  constructor(options: WorldOptions) {
    this.random = createRng(options.seed)
    this.network = new Network({ ...calmNetwork, ...options.network }, this.random.fork('network'))
    this.trace = new Trace(options.keepTrace)
    this.#maxEvents = options.maxEvents ?? 20_000_000
    this.#disk = { ...calmDisk, ...options.disk }
  }

  /** Adds a machine that is down until {@link start}. */
  add(name: string, boot: Boot): void {
    const random = this.random.fork(`disk/${name}`)
    this.nodes.set(name, new SimulatedNode(name, new Disk(this.#disk, random, (delay, run) => this.after(delay, run)), boot))
  }

  after(delay: number, run: () => void): void {
    this.#heap.push({ time: this.now + Math.max(0, delay), sequence: this.#sequence++, run })
  }

  at(time: number, run: () => void): void {
    this.after(time - this.now, run)
  }

  /** Runs all moments up to `until`, which becomes the present. */
  run(until: number): void {
    for (let next = this.#heap.peek(); next !== undefined && next.time <= until; next = this.#heap.peek()) {
      this.#heap.pop()
      this.now = next.time
      this.events++
      next.run()
      if (this.events > this.#maxEvents) throw new Error(`the simulated world is at ${this.now} ms after ${this.events} moments: given up`)
    }
    this.now = until
  }

  node(name: string): SimulatedNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`the simulated world has no node ${name}`)
    return node
  }

  start(name: string): void {
    const node = this.node(name)
    if (node.up) return
    node.life++
    this.observe('', 'start', { node: name, life: node.life })
    node.program = node.boot(this.#host(node))
  }

  /** Ends the program at once; writes that are not durable are lost. @param notice - whether the others see their connections close */
  crash(name: string, notice: boolean): void {
    const node = this.node(name)
    if (!node.up) return
    this.observe('', 'crash', { node: name })
    delete node.program
    node.timers.clear()
    node.frozen = 0
    node.backlogTimers = []
    node.backlogInputs = []
    node.disk.crash()
    if (!notice) return
    for (const other of this.nodes.keys()) {
      if (other !== name) this.network.send(name, other, this.now, at => this.at(at, () => this.#input(other, p => p.closed?.(name))))
    }
  }

  /** The node runs no more, until {@link thaw} is called as often. */
  freeze(name: string): void {
    const node = this.node(name)
    if (node.up) node.frozen++
  }

  /** What came meanwhile is handled: timers that are due first, then inputs, as event loops do. */
  thaw(name: string): void {
    const node = this.node(name)
    if (node.frozen === 0 || --node.frozen > 0) return
    const backlog = [...node.backlogTimers, ...node.backlogInputs]
    node.backlogTimers = []
    node.backlogInputs = []
    for (const run of backlog) run()
  }

  /** Freezes the node for a while, unless it stands still already. */
  stall(name: string, duration: number): void {
    const node = this.node(name)
    if (!node.up || node.frozen > 0) return
    const { life } = node
    this.freeze(name)
    this.after(duration, () => {
      if (node.life === life && node.up) this.thaw(name)
    })
  }

  command(name: string, command: string, details: unknown): void {
    this.#input(name, program => program.command?.(command, details))
  }

  observe(node: string, kind: string, details: Record<string, unknown>): void {
    const observation = { time: this.now, node, kind, details }
    this.trace.add(this.now, node, `${kind} ${JSON.stringify(details)}`)
    for (const observer of this.observers) observer.observe?.(observation, this)
  }

  /** Something reaches the node from outside: now, or when it thaws, or never when it is down. */
  #input(name: string, handle: (program: NonNullable<SimulatedNode['program']>) => void): void {
    const node = this.node(name)
    const { life } = node
    const run = () => {
      if (node.life === life && node.program !== undefined) handle(node.program)
    }
    if (node.frozen > 0) node.backlogInputs.push(run)
    else run()
  }

  #send(from: SimulatedNode, to: string, message: { kind: string }): void {
    for (const observer of this.observers) observer.sent?.(from.name, to, message, this)
    if (!this.nodes.has(to)) return
    this.network.send(from.name, to, this.now, at =>
      this.at(at, () => {
        this.trace.add(this.now, to, `${message.kind} from ${from.name}`)
        this.#input(to, program => program.receive(from.name, message))
      })
    )
  }

  #host(node: SimulatedNode): Host {
    const { life, name } = node
    const world = this
    const alive = () => node.life === life && node.program !== undefined
    const later = (delay: number, queue: 'backlogTimers' | 'backlogInputs', run: () => void) => {
      world.after(delay, () => {
        if (!alive()) return
        if (node.frozen > 0) node[queue].push(() => alive() && run())
        else run()
      })
    }
    return {
      name,
      life,
      random: this.random.fork(`node/${name}/${life}`),
      now: () => node.clock(world.now),
      send: (to, message) => world.#send(node, to, message),
      setTimer(id, delay) {
        const number = world.#sequence++
        node.timers.set(id, number)
        later(delay / node.rate, 'backlogTimers', () => {
          if (node.timers.get(id) !== number) return
          node.timers.delete(id)
          node.program!.timer(id)
        })
      },
      cancelTimer: id => void node.timers.delete(id),
      later: (delay, run) => later(delay / node.rate, 'backlogTimers', run),
      write(key, value, done) {
        node.disk.write(world.now, key, value, () => {
          if (node.frozen > 0) node.backlogInputs.push(() => alive() && done())
          else if (alive()) done()
        })
      },
      entries: () => node.disk.entries(),
      observe: (kind, details) => world.observe(name, kind, details)
    }
  }
}

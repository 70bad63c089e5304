import type { Rng } from '../../common/index.ts'
import type { Disk } from './disk.ts'

/** What the software of a simulated node sees of the world. */
export interface Host {
  readonly name: string
  /** 1 in the first life, one more after each restart. */
  readonly life: number
  readonly random: Rng
  /** This node's own clock, ms; it may run faster or slower than the world's. */
  now(): number
  send(to: string, message: { kind: string }): void
  /** Calls `timer(id)` of the program once; setting an id again replaces it. */
  setTimer(id: string, delay: number): void
  cancelTimer(id: string): void
  /** Runs `run` after `delay`, unless this life ended. */
  later(delay: number, run: () => void): void
  /** Durable when `done` runs. */
  write(key: string, value: unknown, done: () => void): void
  entries(): [string, unknown][]
  /** Tells the checkers, and the trace. */
  observe(kind: string, details: Record<string, unknown>): void
}

/** One life of a node's software. */
export interface Program {
  receive(from: string, message: { kind: string }): void
  timer(id: string): void
  /** The connection to a peer closed, because its process ended. */
  closed?(peer: string): void
  /** Something the scenario asks of this node. */
  command?(name: string, details: any): void
}

/** Starts the software on a host, at first and after each restart. */
export type Boot = (host: Host) => Program

/** A machine of the simulated world: runs, is frozen, or is down. */
export class SimulatedNode {
  readonly name: string
  readonly disk: Disk
  readonly boot: Boot
  life = 0
  program: Program | undefined
  /** Timers of this life by id; the number tells a replaced one. */
  readonly timers = new Map<string, number>()
  /** Seconds of its clock per second of the world's. */
  rate = 1
  offset = 0
  /** How many reasons there are that it does not run just now (a freeze, stalls). */
  frozen = 0
  /** What came while it was frozen. */
  backlogTimers: (() => void)[] = []
  backlogInputs: (() => void)[] = []

  constructor(name: string, disk: Disk, boot: Boot) {
    this.name = name
    this.disk = disk
    this.boot = boot
  }

  get up(): boolean {
    return this.program !== undefined
  }

  clock(world: number): number {
    return this.offset + world * this.rate
  }
}

import { type Logger, MalformedError } from '../../common/index.ts'
import type { KeyValue } from '../../mesh/index.ts'
import { applyPatch, decodePatch, decodeState, encodeState, type KeptState } from './kept-state.ts'
import {
  createReplica,
  type Position,
  type ReplicaChange,
  type ReplicaEffect,
  type ReplicaEvent,
  type ReplicaReply,
  type ReplicaRequest,
  type ReplicaState,
  type ReplicaWaiting,
  replicaStep
} from './replica-core.ts'
import { nextTimer } from './timers.ts'
import { decodeValue, encodeValue } from './values.ts'

/** Changes after which a log is folded into its snapshot. */
export const FOLD = 128
/** Actors whose states one node keeps copies of. */
const MAX_REPLICAS = 200_000

/** Snapshot and changes as one snapshot; empty when there is nothing. */
export function fold(base: Uint8Array, log: readonly Uint8Array[]): Uint8Array {
  const state = open(base, log)
  return state === undefined ? base : encodeState(state)
}

/** The state that a snapshot and its changes make; undefined when there is nothing. */
export function open(base: Uint8Array, log: readonly Uint8Array[]): KeptState | undefined {
  if (base.byteLength === 0 && log.length === 0) return undefined
  const state: KeptState = base.byteLength === 0 ? { version: 1, fields: new Map() } : decodeState(base)
  for (const entry of log) applyPatch(state, decodePatch(entry))
  return state
}

interface Copy {
  state: ReplicaState
  /** Changes given to the disk and not there yet. */
  unwritten: number
  /** When the next timer was due at a position. */
  timer?: { held: Position; due: number | undefined }
}

export interface ReplicasInit {
  store: KeyValue
  logger: Logger
  reply(to: string, reply: ReplicaReply): void
}

/** This node's copies of actors' states, on disk before it says that it has them. */
export class Replicas {
  readonly #init: ReplicasInit
  readonly #copies = new Map<string, Copy>()
  readonly #waiting: ReplicaWaiting = { next: 1, after: new Map() }
  readonly #promises = new Map<string, PromiseWithResolvers<Position>>()
  #queue: { name: string; id: number; change: ReplicaChange }[] = []
  #flush: NodeJS.Immediate | undefined
  #sequence = 0

  constructor(init: ReplicasInit) {
    this.#init = init
    const names = init.store.entries().flatMap(([key]) => (key.startsWith('m/') ? [key.slice(2)] : []))
    for (const name of names) this.#load(name)
  }

  names(): string[] {
    return [...this.#copies.keys()]
  }

  held(name: string): Position | undefined {
    return this.#copies.get(name)?.state.held
  }

  /** When the actor's next timer is due, milliseconds since 1970. */
  due(name: string): number | undefined {
    const copy = this.#copies.get(name)
    if (copy === undefined) return undefined
    const { base, log, held } = copy.state
    if (copy.timer?.held.epoch !== held.epoch || copy.timer.held.seq !== held.seq) {
      const state = open(base, log)
      copy.timer = { held: { ...held }, due: state === undefined ? undefined : nextTimer(state.fields) }
    }
    return copy.timer.due
  }

  request(from: string, request: ReplicaRequest): void {
    const copy = this.#copy(request.name)
    if (copy !== undefined) this.#step(request.name, copy, { type: 'request', from, request })
  }

  /** Closes the actor's state to all epochs before `epoch`. @returns how far this copy has come; rejects when a newer epoch is known */
  promise(name: string, epoch: number): Promise<Position> {
    const copy = this.#copy(name)
    if (copy === undefined) return Promise.reject(new MalformedError(`${MAX_REPLICAS} states are kept here already`))
    const id = String(++this.#sequence)
    const waiting = Promise.withResolvers<Position>()
    this.#promises.set(id, waiting)
    this.#step(name, copy, { type: 'promise', id, epoch })
    return waiting.promise
  }

  /** Drops a copy that nobody will ask for again. */
  forget(name: string): void {
    const copy = this.#copies.get(name)
    if (copy === undefined || copy.unwritten > 0) return
    this.#copies.delete(name)
    this.#init.store.write(this.#keys(name).map(key => [key, undefined]))
  }

  close(): void {
    clearImmediate(this.#flush)
    this.#write()
  }

  #copy(name: string): Copy | undefined {
    let copy = this.#copies.get(name)
    if (copy === undefined) {
      if (this.#copies.size >= MAX_REPLICAS) {
        this.#init.logger.warn(`no copy of ${name} is kept: ${MAX_REPLICAS} are kept here already`)
        return undefined
      }
      copy = { state: createReplica(), unwritten: 0 }
      this.#copies.set(name, copy)
    }
    return copy
  }

  #step(name: string, copy: Copy, event: ReplicaEvent): void {
    this.#carryOut(name, copy, replicaStep(copy.state, this.#waiting, event))
  }

  #carryOut(name: string, copy: Copy, effects: ReplicaEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist':
          copy.unwritten++
          this.#queue.push({ name, id: effect.id, change: effect.change })
          // One write for all that comes within a turn of the event loop: a sync costs the same for one and for many.
          this.#flush ??= setImmediate(() => this.#write())
          break
        case 'reply':
          this.#init.reply(effect.to, effect.reply)
          break
        case 'promised':
          this.#promises.get(effect.id)?.resolve(effect.held)
          this.#promises.delete(effect.id)
          break
        case 'refused':
          this.#promises.get(effect.id)?.reject(new MalformedError(`${name} is at epoch ${effect.fence} already`))
          this.#promises.delete(effect.id)
          break
      }
    }
  }

  #write(): void {
    this.#flush = undefined
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    const writes: [string, Uint8Array | undefined][] = []
    for (const { name, change } of queue) writes.push(...this.#changes(name, change))
    try {
      this.#init.store.write(writes)
    } catch (error) {
      this.#init.logger.error(`states of actors cannot be written: ${(error as Error).message}`)
      // What is not on disk must not be spoken of: the copies are what the disk says.
      for (const name of new Set(queue.map(q => q.name))) this.#load(name)
      for (const { id } of queue) this.#waiting.after.delete(id)
      return
    }
    for (const { name, id } of queue) {
      const copy = this.#copies.get(name)
      if (copy === undefined) continue
      copy.unwritten--
      this.#step(name, copy, { type: 'persisted', id })
      if (copy.unwritten === 0 && copy.state.log.length >= FOLD) this.#fold(name, copy)
    }
  }

  #fold(name: string, copy: Copy): void {
    const { state } = copy
    try {
      const base = fold(state.base, state.log)
      const logs = state.log.map((_, i) => logKey(name, state.held.seq - i))
      state.base = base
      state.log = []
      this.#init.store.write([...logs.map(key => [key, undefined] as [string, undefined]), [`b/${name}`, base], meta(name, state)])
    } catch (error) {
      this.#init.logger.error(`the log of ${name} cannot be folded: ${(error as Error).message}`)
    }
  }

  #changes(name: string, change: ReplicaChange): [string, Uint8Array | undefined][] {
    const { state } = this.#copies.get(name)!
    if (change.type === 'fence') return [metaOf(name, change.fence, state.held, state.log.length)]
    const { fence, held } = change
    if (change.type === 'append') {
      const first = held.seq - change.entries.length + 1
      return [...change.entries.map((e, i) => [logKey(name, first + i), e] as [string, Uint8Array]), meta(name, state)]
    }
    const old = this.#keys(name).filter(key => key.startsWith('l/'))
    const first = held.seq - change.log.length + 1
    return [
      ...old.map(key => [key, undefined] as [string, undefined]),
      [`b/${name}`, change.base],
      ...change.log.map((e, i) => [logKey(name, first + i), e] as [string, Uint8Array]),
      metaOf(name, fence, held, change.log.length)
    ]
  }

  #keys(name: string): string[] {
    const bytes = this.#init.store.get(`m/${name}`)
    if (bytes === undefined) return []
    const [, , seq, length] = decodeValue(bytes, 'copy') as number[]
    return [`m/${name}`, `b/${name}`, ...Array.from({ length: length! }, (_, i) => logKey(name, seq! - i))]
  }

  #load(name: string): void {
    const { store } = this.#init
    const bytes = store.get(`m/${name}`)
    if (bytes === undefined) {
      this.#copies.delete(name)
      return
    }
    const [fence, epoch, seq, length] = decodeValue(bytes, 'copy') as [number, number, number, number]
    const log: Uint8Array[] = []
    for (let i = length - 1; i >= 0; i--) {
      const entry = store.get(logKey(name, seq - i))
      if (entry === undefined)
        throw new MalformedError(`the state folder lacks change ${seq - i} of ${name}: delete the folder and join anew`)
      log.push(entry)
    }
    const state = { fence, held: { epoch, seq }, base: store.get(`b/${name}`) ?? new Uint8Array(0), log }
    this.#copies.set(name, { state, unwritten: 0 })
  }
}

function logKey(name: string, seq: number): string {
  return `l/${seq}/${name}`
}

function meta(name: string, state: ReplicaState): [string, Uint8Array] {
  return metaOf(name, state.fence, state.held, state.log.length)
}

function metaOf(name: string, fence: number, held: Position, length: number): [string, Uint8Array] {
  return [`m/${name}`, encodeValue([fence, held.epoch, held.seq, length], 'copy')]
}

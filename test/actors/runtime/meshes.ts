import type { Test } from 'tap'
import { Runtime, type RuntimeInit, type RuntimeMesh } from '../../../actors/runtime/index.ts'
import {
  createRng,
  fromWireError,
  NotFoundError,
  OutcomeUnknownError,
  silentLogger,
  systemClock,
  toWireError,
  UnreachableError
} from '../../../common/index.ts'
import { AGREEMENT_PROTOCOL, type Capabilities, createAgreement, type KeyValue, type Member, type MeshRecord } from '../../../mesh/index.ts'

type Handler = Parameters<RuntimeMesh['handle']>[1]
type StreamHandler = Parameters<RuntimeMesh['handleStream']>[1]
type NotifyHandler = Parameters<RuntimeMesh['onNotify']>[1]
type OnMembers = Parameters<RuntimeMesh['onMembers']>[0]

/** A map in memory that a test may hand from one life of a node to the next. */
export function memoryStore(): KeyValue {
  const map = new Map<string, Uint8Array>()
  return {
    get: key => map.get(key),
    put: (key, value) => void map.set(key, value),
    delete: key => void map.delete(key),
    write: changes => {
      for (const [key, value] of changes) {
        if (value === undefined) map.delete(key)
        else map.set(key, value)
      }
    },
    entries: () => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  }
}

/** One node of {@link Meshes}. */
export interface TestNode {
  peer: string
  runtime: Runtime
  mesh: RuntimeMesh
}

interface Inner {
  peer: string
  up: boolean
  runtime: Runtime
  mesh: RuntimeMesh
  handlers: Map<string, Handler>
  streams: Map<string, StreamHandler>
  notices: Map<string, NotifyHandler>
  members: Set<OnMembers>
  records: Map<string, MeshRecord>
  recordListeners: Map<string, Set<(record: MeshRecord) => void>>
  capabilities: Capabilities
  store: KeyValue
  registers: Map<string, Uint8Array>
}

/** Runtimes joined without a network: what crosses does so as bytes, errors as they would on the wire. */
export class Meshes {
  readonly #nodes = new Map<string, Inner>()
  readonly #cut = new Set<string>()
  /** Cuts that nobody has noticed: the other side is thought to live. */
  readonly #unnoticed = new Set<string>()
  /** Streams under way, which end when their two ends are parted. */
  readonly #open = new Set<() => void>()
  #sequence = 1

  static async of(
    t: Test,
    peers: string[],
    init: (peer: string) => Partial<RuntimeInit & Pick<Capabilities, 'devices' | 'labels'>> = () => ({})
  ) {
    const meshes = new Meshes()
    // The runtime's own timers do not keep a process alive; a node's sockets do.
    const alive = setInterval(() => {}, 1000)
    t.teardown(() => clearInterval(alive))
    for (const peer of peers) meshes.#declare(peer, init(peer))
    for (const peer of peers) await meshes.start(peer, init(peer))
    t.teardown(() => meshes.close())
    return meshes
  }

  node(peer: string): TestNode {
    return this.#nodes.get(peer)!
  }

  get runtimes(): Runtime[] {
    return [...this.#nodes.values()].map(n => n.runtime)
  }

  /** Ends the node at once; the others learn it as membership would tell them. */
  kill(peer: string): void {
    const node = this.#nodes.get(peer)!
    node.up = false
    for (const look of [...this.#open]) look()
    for (const other of this.#nodes.values()) if (other.up) this.#tell(other, peer, 'dead')
  }

  /** The node in a new process, on what it had on disk. */
  async restart(peer: string, init: Partial<RuntimeInit> = {}): Promise<TestNode> {
    const node = this.#nodes.get(peer)!
    await node.runtime.close()
    const records = [...this.#nodes.values()].find(n => n.up && n.peer !== peer)?.records
    if (records !== undefined) node.records = new Map(records)
    await this.start(peer, init)
    for (const other of this.#nodes.values()) if (other.up) this.#tell(other, peer, 'alive')
    return node
  }

  /** Cuts all between the two sides, unnoticed until `notice` says so to their members. */
  cut(left: string[], right: string[], notice = true): void {
    for (const a of left) for (const b of right) this.#cut.add(`${a}>${b}`).add(`${b}>${a}`)
    if (!notice) for (const cut of this.#cut) this.#unnoticed.add(cut)
    if (!notice) return
    for (const a of left) for (const b of right) this.#tell(this.#nodes.get(a)!, b, 'dead')
    for (const b of right) for (const a of left) this.#tell(this.#nodes.get(b)!, a, 'dead')
  }

  heal(): void {
    this.#cut.clear()
    this.#unnoticed.clear()
    for (const node of this.#nodes.values()) {
      for (const other of this.#nodes.values()) {
        if (node === other || !node.up || !other.up) continue
        this.#tell(node, other.peer, 'alive')
        for (const record of other.records.values()) this.#spread(node, record)
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(n => n.runtime.close()))
  }

  #reaches(from: string, to: string): boolean {
    const [a, b] = [this.#nodes.get(from), this.#nodes.get(to)]
    return a?.up === true && b?.up === true && !this.#cut.has(`${from}>${to}`)
  }

  #tell(node: Inner, peer: string, state: 'alive' | 'dead'): void {
    for (const callback of node.members) callback({ change: state, member: { peer, state, incarnation: 1 } as unknown as Member } as never)
  }

  #alive(peer: string): string[] {
    return [...this.#nodes.keys()]
      .filter(other => other === peer || this.#reaches(peer, other) || this.#unnoticed.has(`${peer}>${other}`))
      .sort()
  }

  #declare(peer: string, init: Partial<Pick<Capabilities, 'devices' | 'labels'>>): void {
    this.#nodes.set(peer, {
      peer,
      up: false,
      handlers: new Map(),
      streams: new Map(),
      notices: new Map(),
      members: new Set(),
      records: new Map(),
      recordListeners: new Map(),
      capabilities: { peer, devices: init.devices ?? [], fabrics: [], labels: init.labels ?? {}, free: [] },
      store: memoryStore(),
      registers: new Map()
    } as unknown as Inner)
  }

  async start(peer: string, init: Partial<RuntimeInit> = {}): Promise<TestNode> {
    const node = this.#nodes.get(peer)!
    node.up = true
    for (const map of [node.handlers, node.streams, node.notices, node.recordListeners]) map.clear()
    node.members.clear()
    const agreement = await createAgreement({
      self: peer,
      resend: 50,
      ports: {
        clock: systemClock,
        random: createRng(peer),
        send: (to, bytes) => void mesh.notify(to, AGREEMENT_PROTOCOL, bytes),
        store: {
          load: () => node.registers,
          persist: async (key, value) => void node.registers.set(key, value),
          remove: async key => void node.registers.delete(key)
        }
      }
    })
    node.notices.set(AGREEMENT_PROTOCOL, (from, bytes) => agreement.receive(from, bytes))
    const deliver = async <T>(to: string, run: (other: Inner) => Promise<T>): Promise<T> => {
      if (!this.#reaches(peer, to)) throw new UnreachableError(`${to} is not reached from ${peer}`)
      // Later than what was sent before, as on a wire.
      await new Promise(resolve => setImmediate(resolve))
      if (!this.#reaches(peer, to)) throw new OutcomeUnknownError(`${to} went away`)
      const other = this.#nodes.get(to)!
      const { runtime } = other
      const result = await run(other)
      if (!this.#reaches(to, peer) || other.runtime !== runtime) throw new OutcomeUnknownError(`${to} went away`)
      return result
    }
    const mesh: RuntimeMesh = {
      peer,
      agreement,
      alive: () => this.#alive(peer),
      members: () => [...this.#nodes.keys()].map(p => ({ peer: p, state: this.#alive(peer).includes(p) ? 'alive' : 'dead' }) as Member),
      onMembers: callback => {
        node.members.add(callback)
        return () => node.members.delete(callback)
      },
      capabilities: p => this.#nodes.get(p)?.capabilities,
      publishCapabilities: update => void Object.assign(node.capabilities, update),
      handle: (protocol, handler) => {
        node.handlers.set(protocol, handler)
        return () => node.handlers.delete(protocol)
      },
      handleStream: (protocol, handler) => {
        node.streams.set(protocol, handler)
        return () => node.streams.delete(protocol)
      },
      onNotify: (protocol, handler) => {
        node.notices.set(protocol, handler)
        return () => node.notices.delete(protocol)
      },
      request: (to, protocol, request, { signal = new AbortController().signal, deadline } = {}) =>
        deliver(to, async other => {
          try {
            const handler = other.handlers.get(protocol)
            if (handler === undefined) throw new NotFoundError(`nothing answers ${protocol}`)
            return await handler(request, { from: peer, signal, ...(deadline === undefined ? {} : { deadline }) })
          } catch (error) {
            throw fromWireError(toWireError(error))
          }
        }),
      stream: (to, protocol, request, { signal = new AbortController().signal } = {}) => this.#stream(peer, to, protocol, request, signal),
      notify: (to, protocol, message) => {
        if (!this.#reaches(peer, to)) return false
        setImmediate(() => {
          if (!this.#reaches(peer, to)) return
          try {
            this.#nodes.get(to)!.notices.get(protocol)?.(peer, message)
          } catch {}
        })
        return true
      },
      records: {
        define: () => {},
        put: (kind, key, payload) => {
          const record = { kind, key, author: peer, sequence: this.#sequence++, expiry: Number.MAX_SAFE_INTEGER, payload }
          for (const other of this.#nodes.values()) if (other === node || this.#reaches(peer, other.peer)) this.#spread(other, record)
          return record
        },
        get: (kind, key) => node.records.get(`${kind}\n${key}`),
        list: kind => [...node.records.values()].filter(r => r.kind === kind),
        on: (kind, callback) => {
          const set = node.recordListeners.get(kind) ?? new Set()
          node.recordListeners.set(kind, set.add(callback))
          return () => set.delete(callback)
        },
        forgetAuthor: () => {},
        compare: async () => {},
        stop: () => {}
      }
    }
    node.mesh = mesh
    node.runtime = new Runtime({ mesh, logger: silentLogger, store: node.store, ...init })
    return node
  }

  #spread(node: Inner, record: MeshRecord): void {
    const id = `${record.kind}\n${record.key}`
    const known = node.records.get(id)
    if (known !== undefined && known.sequence >= record.sequence) return
    node.records.set(id, record)
    for (const callback of node.recordListeners.get(record.kind) ?? []) callback(record)
  }

  async *#stream(from: string, to: string, protocol: string, request: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    if (!this.#reaches(from, to)) throw new UnreachableError(`${to} is not reached from ${from}`)
    const other = this.#nodes.get(to)!
    const ended = new AbortController()
    const both = AbortSignal.any([ended.signal, signal])
    const handler = other.streams.get(protocol)
    if (handler === undefined) throw new NotFoundError(`nothing answers ${protocol}`)
    const iterator = handler(request, { from, signal: both })[Symbol.asyncIterator]()
    const aborted = new Promise<IteratorResult<Uint8Array>>(resolve => {
      both.addEventListener('abort', () => resolve({ done: true, value: undefined }), { once: true })
    })
    const look = () => {
      if (!this.#reaches(from, to)) ended.abort()
    }
    this.#open.add(look)
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), aborted])
        if (!this.#reaches(from, to)) throw new OutcomeUnknownError(`${to} went away`)
        if (next.done) return
        yield next.value
      }
    } catch (error) {
      throw fromWireError(toWireError(error))
    } finally {
      this.#open.delete(look)
      ended.abort()
      void iterator.return?.()
    }
  }
}

/** Waits for a condition, with a bound that only a hang reaches. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** A key whose first owner is `node`. */
export function keyOn(runtime: Runtime, actor: string, node: string): string {
  for (let i = 0; ; i++) if (runtime.owner(actor, `k${i}`) === node) return `k${i}`
}

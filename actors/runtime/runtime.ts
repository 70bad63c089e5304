import { randomBytes } from 'node:crypto'
import {
  AdmissionError,
  createRng,
  FencedError,
  InvalidParametersError,
  type Logger,
  NotFoundError,
  systemClock,
  UnreachableError
} from '../../common/index.ts'
import { Activations, type Kind, kindOf } from './activations.ts'
import { type Address, address, formatAddress, parseAddress } from './address.ts'
import { type ActorType, type CallTable, type EventTable, identityOf } from './definition.ts'
import type { Recovery } from './epochs.ts'
import { Fenced, REPLICAS } from './fenced.ts'
import { createHandle, type Handle, type HandleOptions } from './handle.ts'
import type { KeptState } from './kept-state.ts'
import { Ledger } from './ledger.ts'
import { Places } from './places.ts'
import { ProcessHost } from './process-host.ts'
import { Router } from './router.ts'
import type { RuntimeInit, RuntimeMesh } from './runtime-types.ts'
import type { IncomingCall } from './turn.ts'
import { encodeValue } from './values.ts'
import { Watches } from './watches.ts'
import {
  ACTOR_PROTOCOL,
  ADOPT_PROTOCOL,
  DOWN,
  decodeCall,
  decodeHandOver,
  Elsewhere,
  encodeHandOver,
  failureReply,
  INPUT_PROTOCOL,
  type ReceivedCall,
  STREAM_PROTOCOL,
  valueReply,
  WAKE,
  WATCH
} from './wire.ts'

const SETTLE = 300

/** The actors of one node, and the way to all others. */
export class Runtime {
  readonly ledger: Ledger
  readonly #mesh: RuntimeMesh
  readonly #logger: Logger
  readonly #types = new Map<string, { type: ActorType<any>; kind: Kind | undefined }>()
  readonly #processes = new Map<string, ProcessHost>()
  readonly #activations: Activations
  readonly #router: Router
  readonly #watches: Watches
  readonly #fenced: Fenced
  readonly #places: Places
  readonly #offs: (() => void)[] = []
  #settle: (() => void) | undefined
  #closed = false

  constructor(init: RuntimeInit) {
    const { mesh, logger } = init
    this.#mesh = mesh
    this.#logger = logger
    const life = randomBytes(6).toString('base64url')
    this.ledger = new Ledger({
      devices: () => mesh.capabilities(mesh.peer)?.devices ?? [],
      ...(init.memory === undefined ? {} : { memory: init.memory }),
      onChange: () => this.#closed || mesh.publishCapabilities({ free: this.ledger.free() })
    })
    this.#places = new Places({ mesh, kind: actor => this.#kind(actor), ownerOf: name => this.#fenced.ownerOf(name) })
    this.#router = new Router({
      mesh,
      clock: systemClock,
      random: createRng(`${mesh.peer}/${life}`),
      life,
      place: (target, choice) => this.#places.where(target, this.#kind(target.actor), choice),
      here: (target, call, choice, pinned) => this.#here(target, call, choice, pinned),
      isHere: name => this.#activations.get(name)?.active === true,
      subscribeHere: (target, event, signal, choice, pinned) => this.#activation(target, choice, pinned).subscribe(event, signal)
    })
    this.#watches = new Watches({
      callable: this.#router,
      logger,
      down: (watcher, down) => {
        const activation = this.#activations.get(watcher)
        activation?.down(down)
        return activation !== undefined
      }
    })
    this.#fenced = new Fenced({
      ...init,
      life,
      clock: systemClock,
      wake: name => this.#wake(name),
      passivate: name => this.#activations.end(name),
      staying: () => this.#places.candidates().map(c => c.peer)
    })
    this.#activations = new Activations({
      self: mesh.peer,
      life,
      clock: systemClock,
      logger,
      ledger: this.ledger,
      callable: this.#router,
      durable: (target, kind) => this.#fenced.durable(target, kind),
      monitor: (watcher, target, linked, on) => this.#watches.change(watcher, target, linked, on),
      crashed: (name, reason) => this.#watches.crashed(name, reason)
    })
    this.#serve()
  }

  /** Makes a kind of actor known to this node. */
  register(type: ActorType<any>): void {
    if (this.#types.has(type.name)) throw new InvalidParametersError(`an actor named ${type.name} is already registered`)
    const { definition } = type
    this.#types.set(type.name, { type, kind: definition && kindOf(definition, identityOf(definition) === 'fenced') })
  }

  /** The address of an actor; nobody is spawned, the first call activates. `node` pins it. */
  at<Calls extends CallTable, Events extends EventTable = any>(
    type: ActorType<Calls, Events>,
    key: string,
    options: HandleOptions = {}
  ): Handle<Calls, Events> {
    return createHandle(this.#router, type, key, options)
  }

  /** Who runs an actor that is pinned nowhere, as this node sees it. */
  owner(actor: string, key: string): string {
    return this.#places.where(address(actor, key), this.#kind(actor), 0)
  }

  /**
   * Starts an actor that lives in a process of its own on this node.
   *
   * @throws InvalidParametersError when it already runs or the type has no process
   */
  spawn(
    type: ActorType<any>,
    key: string,
    argument: unknown,
    options: { env?: Record<string, string>; onExit?(reason: string, final: boolean): void } = {}
  ): ProcessHost {
    const name = formatAddress(address(type.name, key))
    if (type.process === undefined) throw new InvalidParametersError(`${type.name} does not run in a process of its own`)
    if (this.#processes.has(name)) throw new InvalidParametersError(`${name} already runs here`)
    const host = new ProcessHost({
      definition: type.process,
      actor: type.name,
      key,
      self: this.#mesh.peer,
      argument,
      clock: systemClock,
      logger: this.#logger.child(name),
      route: (call, signal) => this.#router.call(call.to, call.method, call.argument, { signal, deadline: call.deadline }),
      ...options
    })
    this.#processes.set(name, host)
    return host
  }

  /** Stops the process of an actor, for good. */
  async stop(type: ActorType<any>, key: string): Promise<void> {
    const name = `${type.name}/${key}`
    const host = this.#processes.get(name)
    this.#processes.delete(name)
    await host?.stop()
  }

  /** Makes sure that the actor is active in this process and stays here, whoever owns its placement. */
  activate(type: ActorType<any>, key: string): void {
    this.#activation(address(type.name, key), 0, true)
  }

  /** Ends an activation in this process; its next call wakes it. */
  async deactivate(type: ActorType<any>, key: string): Promise<void> {
    await this.#activations.end(`${type.name}/${key}`)
  }

  isActive(type: ActorType<any>, key: string): boolean {
    return this.#activations.get(`${type.name}/${key}`) !== undefined
  }

  /** Nodes that keep the state of a fenced actor; none when it was never active. */
  voters({ actor, key }: Address): string[] {
    return [...(this.#fenced.record(`${actor}/${key}`)?.voters ?? [])]
  }

  /**
   * Lets a fenced actor go on without a majority of its voters. What only the missing ones held is lost; if they still run somewhere,
   * there will be two actors of one name.
   *
   * @throws InvalidParametersError when it is not needed, NotFoundError when no copy is left
   */
  recover({ actor, key }: Address, options: { signal?: AbortSignal } = {}): Promise<Recovery> {
    return this.#fenced.recover(address(actor, key), this.#kind(actor)?.definition.replicas ?? REPLICAS, options)
  }

  /** Moves the actors away, before the node leaves. */
  async drain(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#places.drain()
    await this.#fenced.drain(options)
    for (const { name, activation } of this.#activations.list()) {
      if (!activation.pinned) await this.#activations.end(name, state => this.#handOver(name, state))
    }
    for (const name of this.#activations.stash.names()) {
      const state = this.#activations.stash.take(name)
      if (state !== undefined) await this.#handOver(name, state)
    }
    await this.#fenced.release(options)
  }

  /** Ends every activation and process of this node. */
  async close(): Promise<void> {
    this.#closed = true
    this.#settle?.()
    for (const off of this.#offs) off()
    const processes = [...this.#processes.values()]
    this.#processes.clear()
    await Promise.all([...processes.map(p => p.stop()), this.#activations.close()])
    this.#router.close()
    this.#fenced.close()
  }

  #serve(): void {
    const mesh = this.#mesh
    this.#offs.push(
      on(
        mesh.handle(ACTOR_PROTOCOL, (request, { from, signal, deadline }) =>
          this.#answer(decodeCall(request, from, signal, deadline ?? 30_000))
        )
      ),
      on(
        mesh.handleStream(STREAM_PROTOCOL, (request, { from, signal }) =>
          this.#stream(decodeCall(request, from, signal, Number.POSITIVE_INFINITY))
        )
      ),
      on(
        mesh.handleStream(INPUT_PROTOCOL, (request, { from }) =>
          this.#router.input(new TextDecoder().decode(request.subarray(0, 200)), from)
        )
      ),
      on(mesh.handle(ADOPT_PROTOCOL, request => this.#adopt(request))),
      on(
        mesh.onMembers(({ change, member }) => {
          if (change === 'dead' || change === 'left') {
            this.#watches.nodeGone(member.peer, `its node ${member.peer} ${change === 'dead' ? 'is dead' : 'has left'}`)
          }
          this.#settle ??= systemClock.setTimer(SETTLE, () => {
            this.#settle = undefined
            void this.#moveAway()
          })
        })
      )
    )
  }

  async #answer(received: ReceivedCall): Promise<Uint8Array> {
    const { to, call, choice, pinned } = received
    let life = ''
    try {
      this.#check(received)
      const value = this.#here(to, call, choice, pinned)
      life = this.#activations.get(formatAddress(to))?.id ?? ''
      return valueReply((await value) as Uint8Array, life)
    } catch (error) {
      return failureReply(error, life)
    }
  }

  async *#stream(received: ReceivedCall): AsyncGenerator<Uint8Array> {
    const { to, call, choice, pinned, event, input } = received
    let items: AsyncIterable<Uint8Array>
    try {
      this.#check(received)
      const signal = call.signal!
      if (event !== '') items = this.#activation(to, choice, pinned).subscribe(event, signal)
      else {
        const given = input === '' ? {} : { input: this.#router.pull(call.from, input, signal) }
        const answer = (await this.#here(to, { ...call, ...given, streams: true }, choice, pinned)) as { stream: AsyncIterable<Uint8Array> }
        items = answer.stream
      }
    } catch (error) {
      yield failureReply(error)
      return
    }
    yield valueReply(new Uint8Array(0), '')
    yield* items
  }

  /** What a peer may not do. */
  #check({ to, call, epoch }: ReceivedCall): void {
    if (this.#types.get(to.actor)?.type.process?.remote === false)
      throw new AdmissionError(`${to.actor} takes calls from its own node only`)
    if (epoch > 0 && call.caller !== undefined && this.#fenced.isStale(call.caller, epoch)) {
      throw new FencedError(`${call.caller} of epoch ${epoch} is not the current one`)
    }
  }

  #kind(actor: string): Kind | undefined {
    return this.#types.get(actor)?.kind
  }

  /** Executes a call on this node. Nothing is awaited before it is in its mailbox, so that calls stay in order. */
  #here(target: Address, call: IncomingCall, choice: number, pinned: boolean): Promise<unknown> {
    try {
      const known = this.#types.get(target.actor)
      if (known?.type.process !== undefined) return this.#inProcess(target, call)
      if (call.method === DOWN) {
        this.#watches.told(formatAddress(target), call.argument)
        return Promise.resolve(call.reply === 'bytes' ? encodeValue(null, 'result') : null)
      }
      const activation = this.#activation(target, choice, pinned)
      if (call.method !== WAKE && call.method !== WATCH) return activation.call(call)
      if (call.method === WATCH) this.#watches.asked(formatAddress(target), call.argument)
      const { peer } = this.#mesh
      return activation.created.then(() => (call.reply === 'bytes' ? encodeValue(peer, 'result') : peer))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @throws Elsewhere, Refused, NotFoundError, UnreachableError */
  #activation(target: Address, choice: number, pinned: boolean) {
    const name = formatAddress(target)
    const known = this.#activations.get(name)
    if (known !== undefined) return known
    if (this.#closed) throw new UnreachableError('this node is stopping')
    const kind = this.#kind(target.actor)
    if (kind === undefined) throw new NotFoundError(`no actor is named ${target.actor} here`)
    if (!pinned || kind.fenced) {
      const owner = this.#places.where(target, kind, choice)
      if (owner !== this.#mesh.peer) throw new Elsewhere(owner)
    }
    const activation = this.#activations.activate(target, kind, choice)
    activation.pinned = pinned && !kind.fenced
    return activation
  }

  async #inProcess(target: Address, call: IncomingCall): Promise<unknown> {
    if (this.#closed) throw new UnreachableError('this node is stopping')
    const host = this.#processes.get(formatAddress(target))
    if (host === undefined) throw new UnreachableError(`${formatAddress(target)} does not run on this node`)
    const { signal, deadline } = call
    const value = await host.call(call.method, call.argument, call.from, signal === undefined ? { deadline } : { deadline, signal })
    return call.reply === 'bytes' ? encodeValue(value, `result of ${target.actor}.${call.method}`) : value
  }

  #wake(name: string): void {
    this.#router
      .call(parseAddress(name), WAKE, null, { idempotent: true })
      .catch(error => this.#logger.debug(`${name} was not woken: ${error.message}`))
  }

  /** Soft actors follow their placement when the mesh changes. */
  async #moveAway(): Promise<void> {
    if (this.#closed || this.#places.draining) return
    const self = this.#mesh.peer
    const stays = (name: string, choice: number) => {
      const target = parseAddress(name)
      return this.#places.order(target, this.#kind(target.actor)).indexOf(self) <= choice
    }
    for (const { name, activation, kind, choice } of this.#activations.list()) {
      if (activation.pinned || kind.fenced || stays(name, choice)) continue
      await this.#activations.end(name, state => this.#handOver(name, state))
    }
    let looked = 0
    for (const name of this.#activations.stash.names()) {
      if (++looked % 500 === 0) await new Promise(resolve => setImmediate(resolve))
      if (stays(name, 0)) continue
      const state = this.#activations.stash.take(name)
      if (state !== undefined) await this.#handOver(name, state)
    }
  }

  async #handOver(name: string, state: KeptState): Promise<void> {
    const target = parseAddress(name)
    const node = this.#places.order(target, this.#kind(target.actor)).find(peer => peer !== this.#mesh.peer)
    if (node === undefined) return
    try {
      await this.#mesh.request(node, ADOPT_PROTOCOL, encodeHandOver(name, state), { deadline: 5000 })
    } catch (error) {
      this.#logger.warn(`the state of ${name} was not taken by ${node}: ${(error as Error).message}`)
    }
  }

  async #adopt(request: Uint8Array): Promise<Uint8Array> {
    const { name, state } = decodeHandOver(request)
    // One that lives here already has a state of its own.
    if (this.#activations.get(name) === undefined) this.#activations.stash.put(name, state)
    return new Uint8Array(0)
  }
}

/** What takes a registration back, where there is something to take back. */
function on(off: unknown): () => void {
  return typeof off === 'function' ? (off as () => void) : () => {}
}

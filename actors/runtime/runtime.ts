import { decode, encode } from 'cborg'
import {
  AbortedError,
  AdmissionError,
  DeadlineError,
  InvalidParametersError,
  type Logger,
  MalformedError,
  NotFoundError,
  rendezvousOwner,
  systemClock,
  TooLargeError,
  UnreachableError
} from '../../common/index.ts'
import { Activation } from './activation.ts'
import { type Address, address, formatAddress } from './address.ts'
import type { ActorType, CallTable } from './definition.ts'
import { createHandle, type Handle } from './handle.ts'
import { type CallOptions, type CallTarget, DEFAULT_DEADLINE } from './ipc.ts'
import { ActorCall, ActorReply } from './pb/actor.ts'
import { ProcessHost } from './process-host.ts'

export const ACTOR_PROTOCOL = '/gradmesh/actor/1.0.0'
/** Largest argument or result of a remote call, bytes. */
export const MAX_VALUE = 3 * 1024 * 1024

/** What the runtime needs of the mesh below it. */
export interface RuntimeMesh {
  readonly peer: string
  /** Live members, this node included. */
  alive(): string[]
  handle(protocol: string, handler: (request: Uint8Array, context: { from: string; signal: AbortSignal }) => Promise<Uint8Array>): unknown
  request(peer: string, protocol: string, request: Uint8Array, options?: CallOptions): Promise<Uint8Array>
}

export interface RuntimeInit {
  mesh: RuntimeMesh
  logger: Logger
}

/** The actors of one node, and the way to all others. */
export class Runtime {
  readonly #mesh: RuntimeMesh
  readonly #logger: Logger
  readonly #types = new Map<string, ActorType<any>>()
  readonly #activations = new Map<string, Activation>()
  readonly #processes = new Map<string, ProcessHost>()
  #closed = false

  constructor(init: RuntimeInit) {
    this.#mesh = init.mesh
    this.#logger = init.logger
    init.mesh.handle(ACTOR_PROTOCOL, async (request, { from, signal }) => {
      const { call, argument } = parseCall(request)
      if (this.#types.get(call.actor)?.process?.remote === false) {
        throw new AdmissionError(`${call.actor} takes calls from its own node only`)
      }
      const value = await this.#here(address(call.actor, call.key), call.method, argument, from, { signal })
      return ActorReply.encode({ value: encodeValue(value, 'result') })
    })
  }

  /** Makes a kind of actor known to this node. */
  register(type: ActorType<any>): void {
    if (this.#types.has(type.name)) throw new InvalidParametersError(`an actor named ${type.name} is already registered`)
    this.#types.set(type.name, type)
  }

  /** The address of an actor; nobody is spawned, the first call activates. `node` pins it. */
  at<Calls extends CallTable>(type: ActorType<Calls>, key: string, options: { node?: string } = {}): Handle<Calls> {
    return createHandle(this, type, key, options.node)
  }

  /** Who runs an actor that is pinned nowhere: the first live member in rendezvous order on its address. */
  owner(type: string, key: string): string {
    return rendezvousOwner(formatAddress(address(type, key)), this.#mesh.alive()) ?? this.#mesh.peer
  }

  /** Carries a call to wherever its target lives. */
  async call(to: CallTarget, method: string, argument: unknown, options: CallOptions = {}): Promise<unknown> {
    const target = address(to.actor, to.key)
    const node = to.node ?? this.owner(to.actor, to.key)
    if (node === this.#mesh.peer) return this.#here(target, method, argument, node, options)
    const request = ActorCall.encode({ ...target, method, argument: encodeValue(argument, 'argument') })
    const reply = await this.#mesh.request(node, ACTOR_PROTOCOL, request, {
      deadline: DEFAULT_DEADLINE,
      ...options
    })
    return decode(ActorReply.decode(reply).value)
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
      env: options.env,
      clock: systemClock,
      logger: this.#logger.child(name),
      route: (call, signal) => this.call(call.to, call.method, call.argument, { signal, deadline: call.deadline }),
      onExit: options.onExit
    })
    this.#processes.set(name, host)
    return host
  }

  process(type: ActorType<any>, key: string): ProcessHost | undefined {
    return this.#processes.get(`${type.name}/${key}`)
  }

  /** Stops the process of an actor, for good. */
  async stop(type: ActorType<any>, key: string): Promise<void> {
    const name = `${type.name}/${key}`
    const host = this.#processes.get(name)
    this.#processes.delete(name)
    await host?.stop()
  }

  /** Makes sure that the actor is active in this process, whoever owns its placement. */
  activate(type: ActorType<any>, key: string): void {
    this.#activation(address(type.name, key))
  }

  /** Ends an activation in this process. */
  async deactivate(type: ActorType<any>, key: string): Promise<void> {
    const name = `${type.name}/${key}`
    const activation = this.#activations.get(name)
    this.#activations.delete(name)
    await activation?.end()
  }

  isActive(type: ActorType<any>, key: string): boolean {
    return this.#activations.has(`${type.name}/${key}`)
  }

  /** Ends every activation and process of this node. */
  async close(): Promise<void> {
    this.#closed = true
    const processes = [...this.#processes.values()]
    const activations = [...this.#activations.values()]
    this.#processes.clear()
    this.#activations.clear()
    await Promise.all([...processes.map(p => p.stop()), ...activations.map(a => a.end())])
  }

  async #here(target: Address, method: string, argument: unknown, from: string, options: CallOptions): Promise<unknown> {
    if (this.#closed) throw new UnreachableError('this node is stopping')
    const type = this.#types.get(target.actor)
    if (type === undefined) throw new NotFoundError(`no actor is named ${target.actor} here`)
    if (type.process !== undefined) {
      const host = this.#processes.get(formatAddress(target))
      if (host === undefined) throw new UnreachableError(`${formatAddress(target)} does not run on this node`)
      return host.call(method, argument, from, options)
    }
    const deadline = AbortSignal.timeout(options.deadline ?? DEFAULT_DEADLINE)
    const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline])
    try {
      return await this.#activation(target).call(method, argument, from, signal)
    } catch (error) {
      if (error instanceof AbortedError && deadline.aborted && options.signal?.aborted !== true) {
        throw new DeadlineError(`${formatAddress(target)}.${method} did not answer in time`)
      }
      throw error
    }
  }

  #activation(target: Address): Activation {
    const name = formatAddress(target)
    const known = this.#activations.get(name)
    if (known !== undefined) return known
    const definition = this.#types.get(target.actor)?.local
    if (definition === undefined) throw new NotFoundError(`no actor is named ${target.actor} here`)
    const activation = new Activation(definition, target, this.#logger.child(name))
    this.#activations.set(name, activation)
    // One that could not be made is made anew with the next call, and takes no place until then.
    activation.created.catch(() => {
      if (this.#activations.get(name) === activation) this.#activations.delete(name)
    })
    return activation
  }
}

/** @throws MalformedError */
function parseCall(request: Uint8Array): { call: ActorCall; argument: unknown } {
  try {
    const call = ActorCall.decode(request)
    return { call, argument: decode(call.argument) }
  } catch (error) {
    throw new MalformedError(`an actor call that is none: ${error instanceof Error ? error.message.slice(0, 200) : error}`)
  }
}

function encodeValue(value: unknown, what: string): Uint8Array<ArrayBuffer> {
  const bytes = encode(value === undefined ? null : value) as Uint8Array<ArrayBuffer>
  if (bytes.length > MAX_VALUE) throw new TooLargeError(`the ${what} of a call may hold ${MAX_VALUE} bytes, not ${bytes.length}`)
  return bytes
}

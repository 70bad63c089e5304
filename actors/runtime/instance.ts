import { AbortedError, InvalidParametersError, type Logger, NotFoundError } from '../../common/index.ts'
import { type Address, formatAddress } from './address.ts'
import { type Actions, Context, type Effect } from './context.ts'
import type { AnyDefinition, CallHandler, Down, InboxMessage } from './definition.ts'
import type { Callable } from './handle.ts'
import { Kept, type KeptState, type Patch, readKept } from './kept.ts'
import { Queue } from './queue.ts'
import { openState, validate, versioned } from './schema.ts'
import { inTurn, type TurnScope } from './scope.ts'
import { type TraceHeaders, traced } from './trace.ts'

/** One message as the code of an actor gets it. */
export interface TurnInput {
  method: string
  argument: unknown
  from: string
  caller: string | undefined
  /** Made when it is asked for. */
  signal(): AbortSignal
  deadline: number
  chain: readonly string[]
  trace: TraceHeaders | undefined
  input: AsyncIterable<unknown>
}

/** What an instance has from its activation. */
export interface InstanceServices {
  address: Address
  /** Known once the activation is open. */
  epoch(): number
  logger: Logger
  callable: Callable
  effect(effect: Effect): void
}

/** Messages that wait for a `run` loop; the mailbox lets one in at a time, or as many as a reentrant actor may have. */
const MAX_INBOX = 1024
const nothing: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) }
export const noInput: AsyncIterable<unknown> = nothing

/** The code and the state of one activation, in the process that runs them. */
export class Instance {
  readonly #definition: AnyDefinition
  readonly #services: InstanceServices
  readonly #name: string
  readonly #ended = new AbortController()
  readonly #inbox: Queue<InboxMessage> | undefined
  readonly #actions: Actions
  #state: unknown
  #kept: Kept | undefined
  #opened = false

  constructor(definition: AnyDefinition, services: InstanceServices) {
    this.#definition = definition
    this.#services = services
    this.#name = formatAddress(services.address)
    if (definition.run !== undefined) this.#inbox = new Queue(MAX_INBOX)
    const instance = this
    this.#actions = {
      ...services,
      get state() {
        return instance.#state
      },
      set state(value) {
        instance.#state = value
      },
      events: definition.events ?? {},
      keeps: definition.state !== undefined
    }
  }

  /** Makes the state. @throws VersionError, InvalidParametersError, or what `create` throws */
  async open(kept: KeptState | undefined): Promise<void> {
    const { definition, key } = { definition: this.#definition, key: this.#services.address.key }
    if (definition.state !== undefined) {
      const { version } = versioned(definition.state)
      this.#state = await openState(definition.state, this.#name, key, kept === undefined ? undefined : readKept(kept))
      this.#kept = new Kept(version, kept, this.#state)
    } else if (definition.create !== undefined) {
      this.#state = await definition.create({ key, logger: this.#services.logger, signal: this.#ended.signal })
    }
    this.#opened = true
  }

  /** Executes one message. @throws what the handler throws; changes of kept state are then undone, unless turns interleave */
  turn(t: TurnInput): unknown {
    if (t.method === '$down') return this.#execute(t, (context, down) => this.#definition.down?.(context as any, down as Down))
    const { calls } = this.#definition
    const handler = Object.hasOwn(calls, t.method) ? (calls[t.method] as CallHandler<any, any>) : undefined
    if (handler === undefined) throw new NotFoundError(`${this.#name} has no method ${JSON.stringify(t.method.slice(0, 80))}`)
    if (this.#inbox !== undefined) return this.#queue(t, handler)
    return this.#checked(t, handler)
  }

  /** The loop of the actor's own; undefined when it has none. Settles when it ends. */
  run(): Promise<void> | undefined {
    const { run } = this.#definition
    if (run === undefined || this.#inbox === undefined) return undefined
    const inbox = this.#inbox
    const context = Object.assign(new Context(this.#actions, undefined), { inbox })
    Object.defineProperty(context, 'signal', { value: this.#ended.signal })
    const scope: TurnScope = {
      actor: this.#name,
      epoch: this.#services.epoch(),
      chain: [],
      deadline: Number.POSITIVE_INFINITY,
      trace: undefined,
      ended: false
    }
    return inTurn(scope, async () => run(context as any)).finally(() => {
      for (const message of inbox.close()) (message as Pending).drop()
    })
  }

  /** What the state has changed since it was asked last; undefined when it has not, or is not kept. */
  patch(): Patch | undefined {
    return this.#kept?.change(this.#state)
  }

  /** The whole of the kept state. */
  whole(): KeptState | undefined {
    return this.#kept?.whole(this.#state)
  }

  async close(): Promise<void> {
    this.#ended.abort()
    for (const message of this.#inbox?.close() ?? []) (message as Pending).drop()
    if (this.#opened && this.#definition.create !== undefined) await this.#definition.destroy?.(this.#state)
  }

  #checked(t: TurnInput, handler: CallHandler<any, any>): unknown {
    if (handler.schema === undefined) return this.#execute(t, handler)
    return validate(handler.schema, t.argument, `the argument of ${this.#name}.${t.method}`).then(argument =>
      this.#execute({ ...t, argument }, handler)
    )
  }

  #execute(t: TurnInput, handler: (context: any, argument: unknown, input: AsyncIterable<unknown>) => unknown): unknown {
    const epoch = this.#services.epoch()
    const scope: TurnScope = {
      actor: this.#name,
      epoch,
      chain: [...t.chain, this.#name],
      deadline: t.deadline,
      trace: t.trace,
      ended: false
    }
    const context = new Context(this.#actions, t)
    const run = () => inTurn(scope, () => handler(context, t.argument, t.input))
    const undo = this.#kept !== undefined && this.#definition.reentrant !== true
    if (undo || t.trace !== undefined) return this.#guarded(t, scope, run, undo)
    let result: unknown
    try {
      result = run()
    } finally {
      scope.ended = !(result instanceof Promise)
    }
    return result instanceof Promise ? ended(result, scope) : result
  }

  async #guarded(t: TurnInput, scope: TurnScope, run: () => unknown, undo: boolean): Promise<unknown> {
    try {
      return t.trace === undefined ? await run() : await traced(`${this.#name}.${t.method}`, t.trace, async () => run())
    } catch (error) {
      if (undo) this.#state = this.#kept!.read()
      throw error
    } finally {
      scope.ended = true
    }
  }

  #queue(t: TurnInput, handler: CallHandler<any, any>): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const message: Pending = {
      method: t.method,
      argument: t.argument,
      from: t.from,
      handle: async () => {
        try {
          resolve(await this.#checked(t, handler))
        } catch (error) {
          reject(error)
        }
      },
      drop: () => reject(new AbortedError(`${this.#name} ended before it took the message`, { retryable: true }))
    }
    if (!this.#inbox!.push(message)) reject(new InvalidParametersError(`${this.#name} has ended its run loop and takes no messages`))
    return promise
  }
}

async function ended(result: Promise<unknown>, scope: TurnScope): Promise<unknown> {
  try {
    return await result
  } finally {
    scope.ended = true
  }
}

interface Pending extends InboxMessage {
  drop(): void
}

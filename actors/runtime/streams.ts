import {
  AbortedError,
  DeadlineError,
  MalformedError,
  NotDeliveredError,
  NotFoundError,
  OutcomeUnknownError,
  OverloadedError,
  UnreachableError
} from '../../common/index.ts'
import { Moved } from './activation-types.ts'
import { address, formatAddress } from './address.ts'
import { type CallTarget, DEFAULT_DEADLINE, type StreamOptions } from './handle.ts'
import { Queue } from './queue.ts'
import { incoming, type RouterInit, wireOf } from './router.ts'
import { currentTurn, type TurnScope } from './scope.ts'
import { decodeValue, encodeValue, isolate } from './values.ts'
import { decodeReply, Elsewhere, encodeCall, INPUT_PROTOCOL, Refused, STREAM_PROTOCOL } from './wire.ts'

/** Streams that callers of this node offer at a time. */
const MAX_INPUTS = 1024
/** Longest wait between two attempts to find the actor, ms. */
const MAX_PAUSE = 500
/** Events that wait for whoever reads a subscription. */
const MAX_BEHIND = 256

interface Input {
  to: string
  items: AsyncIterable<unknown>
}

interface Opened {
  items: AsyncIterable<unknown>
}

/** Streams of results, of input and of events, from this node to actors wherever they live. */
export class Streams {
  readonly #init: RouterInit
  readonly #inputs = new Map<string, Input>()
  #sequence = 0

  constructor(init: RouterInit) {
    this.#init = init
  }

  async *call(
    to: CallTarget,
    method: string,
    argument: unknown,
    options: StreamOptions,
    scope: TurnScope | undefined
  ): AsyncGenerator<unknown> {
    const ended = new AbortController()
    const signal = options.signal === undefined ? ended.signal : AbortSignal.any([ended.signal, options.signal])
    const what = `${formatAddress(to)}.${method}`
    const encoded = encodeValue(argument, `argument of ${to.actor}.${method}`)
    const input = options.input === undefined ? '' : this.#offer(formatAddress(to), options.input)
    try {
      const { items } = await this.#find(to, what, signal, async (node, choice) => {
        if (node === this.#init.mesh.peer) {
          const call = {
            ...incoming(node, method, decodeValue(encoded, 'argument'), { ...options, signal }, scope, Number.POSITIVE_INFINITY, 'as-is'),
            streams: true,
            ...(options.input === undefined ? {} : { input: isolated(options.input) })
          }
          const { stream } = (await this.#init.here(to, call, choice, to.node !== undefined)) as { stream: AsyncIterable<Uint8Array> }
          return { items: decoded(stream, what) }
        }
        const wire = { ...wireOf(to, method, encoded, options, scope), input, choice, pinned: to.node !== undefined }
        return await this.#open(node, encodeCall(wire), signal, what)
      })
      for await (const item of items) yield item
      if (options.signal?.aborted) throw new AbortedError(`the stream of ${what} was given up`)
    } finally {
      ended.abort()
      this.#inputs.delete(input)
    }
  }

  async subscribe(to: CallTarget, event: string, options: { signal?: AbortSignal }): Promise<AsyncIterable<unknown>> {
    const ended = new AbortController()
    const signal = options.signal === undefined ? ended.signal : AbortSignal.any([ended.signal, options.signal])
    const what = `event ${event} of ${formatAddress(to)}`
    const queue = new Queue<unknown>(MAX_BEHIND)
    signal.addEventListener('abort', () => queue.finish(), { once: true })
    const open = () => this.#find(to, what, signal, (node, choice) => this.#listen(to, event, node, choice, signal, what))
    const first = await open()
    void (async () => {
      let opened = first
      for (;;) {
        try {
          for await (const item of opened.items) {
            if (!queue.push(item)) throw new OverloadedError(`${MAX_BEHIND} of ${what} wait to be read: read faster, then subscribe again`)
          }
          if (signal.aborted) return
        } catch (error) {
          if (signal.aborted) return
          if (!lost(error)) return void queue.close(error)
        }
        try {
          // The actor has moved, or its node is gone: the subscription follows it.
          await paused(MAX_PAUSE / 10, signal)
          opened = await open()
        } catch (error) {
          queue.close(signal.aborted ? undefined : error)
          return
        }
      }
    })()
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => queue.next(),
        return: async () => {
          ended.abort()
          queue.close()
          return { done: true as const, value: undefined }
        }
      })
    }
  }

  /** The items of an input that `from` may read, once. */
  async *input(id: string, from: string): AsyncGenerator<Uint8Array> {
    const input = this.#inputs.get(id)
    if (input === undefined) throw new NotFoundError(`${from} asks for an input that is not offered, or not any more`)
    this.#inputs.delete(id)
    for await (const item of input.items) yield encodeValue(item, `item for ${input.to}`)
  }

  /** The input of a call that came from `from`, read when the method reads. */
  async *pull(from: string, id: string, signal: AbortSignal): AsyncGenerator<unknown> {
    const request = new TextEncoder().encode(id)
    for await (const item of this.#init.mesh.stream(from, INPUT_PROTOCOL, request, { signal })) yield decodeValue(item, 'item of an input')
  }

  #offer(to: string, items: AsyncIterable<unknown>): string {
    if (this.#inputs.size >= MAX_INPUTS) throw new OverloadedError(`${MAX_INPUTS} input streams are offered here already`)
    const id = `${this.#init.life}.${++this.#sequence}.${Math.floor(this.#init.random.float() * 2 ** 32).toString(36)}`
    this.#inputs.set(id, { to, items })
    return id
  }

  async #listen(to: CallTarget, event: string, node: string, choice: number, signal: AbortSignal, what: string): Promise<Opened> {
    if (node === this.#init.mesh.peer) {
      const items = this.#init.subscribeHere(address(to.actor, to.key), event, signal, choice, to.node !== undefined)
      return { items: decoded(items, what) }
    }
    const scope = currentTurn()
    const none = new Uint8Array(0)
    const wire = { ...wireOf(to, '', none, {}, scope), event, choice, pinned: to.node !== undefined }
    return await this.#open(node, encodeCall(wire), signal, what)
  }

  /** Asks `node`; its first frame says whether it is the right one. */
  async #open(node: string, request: Uint8Array, signal: AbortSignal, what: string): Promise<Opened> {
    const iterator = this.#init.mesh.stream(node, STREAM_PROTOCOL, request, { signal })[Symbol.asyncIterator]()
    const first = await iterator.next()
    if (first.done === true) throw new MalformedError(`${node} answered ${what} with nothing`)
    const reply = decodeReply(first.value)
    if (reply.type !== 'value') {
      await iterator.return?.()
      if (reply.type === 'elsewhere') throw new Elsewhere(reply.node)
      throw reply.type === 'refused' ? new Refused(reply.reason) : reply.error
    }
    return { items: decoded({ [Symbol.asyncIterator]: () => iterator }, what) }
  }

  /** Tries nodes until one takes it. Nothing has been executed by those that did not. */
  async #find(
    to: CallTarget,
    what: string,
    signal: AbortSignal,
    attempt: (node: string, choice: number) => Promise<Opened>
  ): Promise<Opened> {
    const end = performance.now() + DEFAULT_DEADLINE
    let node = to.node
    let choice = 0
    let reason = ''
    for (let tries = 0; performance.now() < end; tries++) {
      if (signal.aborted) throw new AbortedError(`${what} was given up`)
      try {
        return await attempt(node ?? this.#init.place(to, choice), choice)
      } catch (error) {
        if (to.node !== undefined && (error instanceof Moved || error instanceof Refused))
          throw new UnreachableError(`${what} is not on ${to.node}`)
        node = undefined
        if (error instanceof Elsewhere && error.node !== undefined && tries < 6) node = error.node
        else if (error instanceof Refused) {
          choice++
          reason = error.message
          continue
        } else if (!(error instanceof Moved) && !(error instanceof UnreachableError) && !(error instanceof NotDeliveredError)) throw error
        reason = error instanceof Moved ? 'it is moving' : (error as Error).message
        if (node === undefined) await paused(Math.min(MAX_PAUSE, 20 * 2 ** tries), signal)
      }
    }
    throw new DeadlineError(`${what} was not found within ${DEFAULT_DEADLINE} ms (${reason})`)
  }
}

function lost(error: unknown): boolean {
  return error instanceof OutcomeUnknownError || error instanceof UnreachableError || error instanceof NotDeliveredError
}

async function* decoded(items: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<unknown> {
  for await (const item of items) yield decodeValue(item, `item of ${what}`)
}

async function* isolated(items: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const item of items) yield isolate(item, 'item of an input')
}

async function paused(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
  })
}

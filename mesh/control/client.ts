import type { Stream } from '@libp2p/interface'
import { AbortedError, DeadlineError, NotDeliveredError, OutcomeUnknownError, OverloadedError } from '../../common/index.ts'
import { Channel, type Ticket } from './channel.ts'
import { MAX_FRAME, MAX_IN_FLIGHT, MAX_QUEUE } from './limits.ts'
import { cancelFrame, decodeFrame, errorOf, requestFrame } from './messages.ts'
import type { RequestOptions } from './types.ts'

interface Pending {
  protocol: string
  ticket: Ticket
  resolve(reply: Uint8Array): void
  reject(error: Error): void
}

/** Our requests to one peer, all on one stream: numbered, so that replies may come in any order. */
export class RequestLink {
  readonly #peer: string
  readonly #channel: Channel
  readonly #pending = new Map<number, Pending>()
  #nextId = 1

  constructor(peer: string, stream: Stream) {
    this.#peer = peer
    this.#channel = new Channel(stream, {
      maxFrame: MAX_FRAME,
      maxQueue: MAX_QUEUE,
      onFrame: frame => this.#receive(frame),
      onClose: error => this.#lost(error)
    })
  }

  get open(): boolean {
    return this.#channel.open
  }

  /** @see Control.request */
  request(protocol: string, message: Uint8Array, deadline: number, options: RequestOptions): Promise<Uint8Array> {
    if (this.#pending.size >= MAX_IN_FLIGHT) {
      throw new OverloadedError(`${MAX_IN_FLIGHT} requests to ${this.#peer} wait for their replies; slow down`)
    }
    const id = this.#takeId()
    const ticket = this.#channel.send(requestFrame(id, protocol, message, deadline))
    if (ticket === undefined) {
      if (this.open) throw new OverloadedError(`${MAX_QUEUE} bytes wait to be sent to ${this.#peer}; slow down`)
      throw new NotDeliveredError(`the connection to ${this.#peer} was lost before ${protocol} was asked`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const settle = () => {
      this.#pending.delete(id)
      if (timer !== undefined) clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    }
    const giveUp = (error: Error) => {
      if (!this.#pending.has(id)) return
      settle()
      this.#channel.send(cancelFrame(id))
      reject(error)
    }
    const onAbort = () => giveUp(new AbortedError(`${protocol} to ${this.#peer} was aborted`, { cause: options.signal?.reason }))
    const timer = Number.isFinite(deadline)
      ? setTimeout(() => giveUp(new DeadlineError(`${this.#peer} did not answer ${protocol} within ${Math.round(deadline)} ms`)), deadline)
      : undefined
    options.signal?.addEventListener('abort', onAbort, { once: true })
    this.#pending.set(id, {
      protocol,
      ticket,
      resolve(reply) {
        settle()
        resolve(reply)
      },
      reject(error) {
        settle()
        reject(error)
      }
    })
    return promise
  }

  close(): void {
    this.#channel.abort(new Error('stopped'))
  }

  #takeId(): number {
    do {
      this.#nextId = this.#nextId === 0xffffffff ? 1 : this.#nextId + 1
    } while (this.#pending.has(this.#nextId))
    return this.#nextId
  }

  #receive(bytes: Uint8Array): void {
    const { id, reply, failure } = decodeFrame(bytes)
    // A reply to a request that was given up is nobody's.
    const pending = this.#pending.get(id)
    if (reply !== undefined) pending?.resolve(reply)
    else if (failure !== undefined) pending?.reject(errorOf(failure))
  }

  #lost(error?: Error): void {
    for (const { protocol, ticket, reject } of Array.from(this.#pending.values())) {
      const options = { cause: error }
      if (ticket.handed) reject(new OutcomeUnknownError(`the connection to ${this.#peer} was lost before it answered ${protocol}`, options))
      else reject(new NotDeliveredError(`the connection to ${this.#peer} was lost before ${protocol} was asked`, options))
    }
  }
}

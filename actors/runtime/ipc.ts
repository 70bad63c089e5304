import type { ChildProcess } from 'node:child_process'
import { AbortedError, CrashedError, DeadlineError, fromWireError, toWireError, type WireError } from '../../common/index.ts'
import { type CallOptions, type CallTarget, DEFAULT_DEADLINE } from './handle.ts'

/** What travels between a node and the process of one of its actors, by structured cloning. */
export type IpcMessage =
  | { type: 'init'; key: string; self: string; argument: unknown }
  | { type: 'ready' }
  /** An empty actor name means the receiving process's own actor. */
  | { type: 'call'; id: number; to: CallTarget; method: string; argument: unknown; from: string; deadline: number }
  | { type: 'cancel'; id: number }
  | { type: 'reply'; id: number; value: unknown }
  | { type: 'failed'; id: number; error: WireError }

/** The end of a process channel: `process` in the child, the `ChildProcess` in the parent. */
export type IpcPort = Pick<ChildProcess, 'send' | 'on' | 'connected'>

/** Calls in both directions over one process channel. */
export class IpcPeer {
  readonly #port: IpcPort
  readonly #pending = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  readonly #serving = new Map<number, AbortController>()
  readonly #serve: (call: Extract<IpcMessage, { type: 'call' }>, signal: AbortSignal) => Promise<unknown>
  #sequence = 0
  #closed: Error | undefined

  constructor(port: IpcPort, serve: (call: Extract<IpcMessage, { type: 'call' }>, signal: AbortSignal) => Promise<unknown>) {
    this.#port = port
    this.#serve = serve
  }

  send(message: IpcMessage): void {
    if (this.#port.connected) this.#port.send(message, () => {})
  }

  /** Handles a message of the other side; `init` and `ready` are the caller's. */
  receive(message: IpcMessage): void {
    if (message.type === 'call') void this.#answer(message)
    else if (message.type === 'cancel') this.#serving.get(message.id)?.abort()
    else if (message.type === 'reply') this.#take(message.id)?.resolve(message.value)
    else if (message.type === 'failed') this.#take(message.id)?.reject(fromWireError(message.error))
  }

  call(to: CallTarget, method: string, argument: unknown, from: string, options: CallOptions = {}): Promise<any> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const id = ++this.#sequence
    const deadline = options.deadline ?? DEFAULT_DEADLINE
    return new Promise((resolve, reject) => {
      const giveUp = (error: Error) => {
        if (this.#take(id) === undefined) return
        this.send({ type: 'cancel', id })
        finish()
        reject(error)
      }
      const abort = () => giveUp(new AbortedError(`the call of ${method} was given up`))
      const timer = setTimeout(
        () => giveUp(new DeadlineError(`${to.actor}/${to.key}.${method} did not answer within ${deadline} ms`)),
        deadline
      )
      const finish = () => {
        clearTimeout(timer)
        options.signal?.removeEventListener('abort', abort)
      }
      this.#pending.set(id, {
        resolve: value => {
          finish()
          resolve(value)
        },
        reject: error => {
          finish()
          reject(error)
        }
      })
      if (options.signal?.aborted) return abort()
      options.signal?.addEventListener('abort', abort, { once: true })
      this.send({ type: 'call', id, to, method, argument, from, deadline })
    })
  }

  /** The other process is gone: everything under way fails. */
  close(reason: string): void {
    this.#closed = new CrashedError(reason)
    for (const pending of this.#pending.values()) pending.reject(this.#closed)
    this.#pending.clear()
    for (const controller of this.#serving.values()) controller.abort()
    this.#serving.clear()
  }

  #take(id: number) {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  async #answer(call: Extract<IpcMessage, { type: 'call' }>): Promise<void> {
    const controller = new AbortController()
    this.#serving.set(call.id, controller)
    try {
      const value = await this.#serve(call, controller.signal)
      this.send({ type: 'reply', id: call.id, value })
    } catch (error) {
      this.send({ type: 'failed', id: call.id, error: toWireError(error) })
    } finally {
      this.#serving.delete(call.id)
    }
  }
}

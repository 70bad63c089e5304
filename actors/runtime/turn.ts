import { AbortedError, DeadlineError } from '../../common/index.ts'
import type { Numbered } from './mailbox-core.ts'
import type { TraceHeaders } from './trace.ts'

/** One call as it reaches an activation. */
export interface IncomingCall {
  method: string
  argument: unknown
  /** Peer id of the node that called. */
  from: string
  /** `name/key` of the actor that called. */
  caller?: string
  /** Addresses in mid-turn that led here, the outermost first. */
  chain?: readonly string[]
  signal?: AbortSignal
  /** Milliseconds. */
  deadline: number
  numbered?: Numbered
  trace?: TraceHeaders
  input?: AsyncIterable<unknown>
  /** What becomes of the value: sent away as bytes, copied for a caller in this process, or handed over as it is. */
  reply: 'bytes' | 'copy' | 'as-is'
  /** The caller reads a stream. */
  streams?: boolean
}

/** One call in its activation: its way to an answer. */
export class Turn {
  readonly id: number
  readonly call: IncomingCall
  readonly deadlineAt: number
  readonly promise: Promise<unknown>
  settled = false
  /** Its handler has ended; what it changed may not be safe yet. */
  executed = false
  /** Kept after its answer, for a copy of the request. */
  kept: boolean
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  readonly #what: string
  #controller: AbortController | undefined
  #onAbort: (() => void) | undefined

  constructor(id: number, call: IncomingCall, what: string) {
    this.id = id
    this.call = call
    this.#what = what
    this.kept = call.numbered !== undefined
    this.deadlineAt = performance.now() + call.deadline
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.promise = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Calls back when the caller gives up. */
  onAbort(callback: () => void): void {
    const { signal } = this.call
    if (signal === undefined) return
    this.#onAbort = () => {
      this.#controller?.abort(signal.reason)
      callback()
    }
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** What the handler sees; made only when it looks. */
  signal(): AbortSignal {
    this.#controller ??= new AbortController()
    // A stream is handed over at once and its turn goes on.
    if (this.call.signal?.aborted || (this.settled && this.call.streams !== true)) this.#controller.abort()
    return this.#controller.signal
  }

  resolve(value: unknown): void {
    if (this.#settle()) this.#resolve(value)
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error)
  }

  /** Tells the handler of a stream that nobody reads it any more. */
  abort(): void {
    this.#controller?.abort()
  }

  giveUp(): void {
    this.reject(new AbortedError(`the call of ${this.#what} was given up`))
  }

  late(): void {
    this.#controller?.abort()
    this.reject(new DeadlineError(`${this.#what} did not answer within ${Math.round(this.call.deadline)} ms`))
  }

  #settle(): boolean {
    if (this.settled) return false
    this.settled = true
    if (this.#onAbort !== undefined) this.call.signal?.removeEventListener('abort', this.#onAbort)
    return true
  }
}

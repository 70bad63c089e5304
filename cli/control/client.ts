import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { CallOptions, JobEvent, JobFile, JobSpec, JobStatus, NodeService, NodeStatus } from '../../actors/training/service-types.ts'
import {
  AbortedError,
  fromWireError,
  MalformedError,
  OutcomeUnknownError,
  TooLargeError,
  UnreachableError,
  type WireError
} from '../../common/index.ts'
import { API, MAX_ANSWER, MAX_EVENT } from './protocol.ts'

interface Call {
  method: 'GET' | 'POST'
  path: string
  body?: unknown
  signal?: AbortSignal
  /** Give up when no answer has begun after so long, ms. */
  timeout?: number
}

/** The service of a node in another process, through its control socket. */
export class ControlClient implements NodeService {
  readonly #socket: string

  /** @param socket - path of the control socket */
  constructor(socket: string) {
    this.#socket = socket
  }

  /** @throws UnreachableError when nothing answers at the socket */
  async ping(options: CallOptions & { timeout?: number } = {}): Promise<{ pid: number }> {
    return this.#json({ method: 'GET', path: '/ping', timeout: 2000, ...options })
  }

  status(options?: CallOptions): Promise<NodeStatus> {
    return this.#json({ method: 'GET', path: '/status', ...options })
  }

  submit(spec: JobSpec, options?: CallOptions): Promise<{ job: string; warnings: string[] }> {
    return this.#json({ method: 'POST', path: '/jobs', body: spec, ...options })
  }

  jobs(options?: CallOptions): Promise<JobStatus[]> {
    return this.#json({ method: 'GET', path: '/jobs', ...options })
  }

  job(id: string, options?: CallOptions): Promise<JobStatus> {
    return this.#json({ method: 'GET', path: `/jobs/${encodeURIComponent(id)}`, ...options })
  }

  async *follow(id: string, options: CallOptions & { from?: number; live?: boolean } = {}): AsyncGenerator<JobEvent> {
    const { from = 0, live = true, signal } = options
    const path = `/jobs/${encodeURIComponent(id)}/events?from=${from}&live=${live}`
    const response = await this.#send({ method: 'GET', path, signal })
    for await (const line of lines(response, this.#socket, signal)) {
      const event = parse(line, this.#socket) as JobEvent | { type: 'error'; error: WireError }
      if (event.type === 'error') throw fromWireError(event.error)
      yield event
    }
  }

  async stop(id: string, options?: CallOptions): Promise<void> {
    await this.#json({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/stop`, ...options })
  }

  files(id: string, options?: CallOptions): Promise<JobFile[]> {
    return this.#json({ method: 'GET', path: `/jobs/${encodeURIComponent(id)}/files`, ...options })
  }

  async *file(id: string, name: string, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    const path = `/jobs/${encodeURIComponent(id)}/files/${encodeURIComponent(name)}`
    const response = await this.#send({ method: 'GET', path, ...options })
    yield* chunks(response, this.#socket, options.signal)
  }

  async invite({ ttl, signal }: CallOptions & { ttl: number }): Promise<string> {
    const { invite } = await this.#json<{ invite: string }>({ method: 'POST', path: '/invite', body: { ttl }, signal })
    return invite
  }

  async leave(options?: CallOptions): Promise<void> {
    await this.#json({ method: 'POST', path: '/leave', ...options })
  }

  /** Nothing to close: every call has a connection of its own. */
  async close(): Promise<void> {}

  async #json<T>(call: Call): Promise<T> {
    const response = await this.#send(call)
    return parse(await text(response, this.#socket, call.signal), this.#socket) as T
  }

  /** Sends a request. @returns the answer once its status says success; else throws the error it carries */
  async #send(call: Call): Promise<IncomingMessage> {
    const response = await this.#exchange(call)
    if (response.statusCode === 200) return response
    const answer = parse(await text(response, this.#socket, call.signal), this.#socket) as { error?: WireError }
    if (typeof answer.error?.message !== 'string')
      throw new MalformedError(`${this.#socket} answered ${response.statusCode} without an error`)
    throw fromWireError(answer.error)
  }

  #exchange({ method, path, body, signal, timeout }: Call): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(new AbortedError(`${method} ${path} was aborted`))
        return
      }
      let connected = false
      const outgoing: ClientRequest = request(
        {
          agent: false,
          socketPath: this.#socket,
          method,
          path: API + path,
          signal,
          headers: { 'content-type': 'application/json', host: 'node' }
        },
        resolve
      )
      outgoing.once('socket', socket => socket.once('connect', () => (connected = true)))
      if (timeout !== undefined) {
        outgoing.setTimeout(timeout, () => outgoing.destroy(new Error(`no answer within ${timeout} ms`)))
        outgoing.once('response', () => outgoing.setTimeout(0))
      }
      outgoing.once('error', error => reject(failure(error, this.#socket, connected && method === 'POST', signal)))
      outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
}

/** @param sent - whether the node may have acted on the request */
function failure(error: Error, socket: string, sent: boolean, signal?: AbortSignal): Error {
  if (signal?.aborted) return new AbortedError('the call was aborted', { cause: error })
  if (sent) return new OutcomeUnknownError(`the node at ${socket} went away before it answered: ${error.message}`, { cause: error })
  return new UnreachableError(`no node answers at ${socket} (${error.message}); start one with mesh join`, { cause: error })
}

async function* chunks(response: IncomingMessage, socket: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* response as AsyncIterable<Buffer>
  } catch (error) {
    if (signal?.aborted) throw new AbortedError('the call was aborted', { cause: error })
    throw new UnreachableError(`the node at ${socket} went away in the middle of its answer`, { cause: error })
  }
}

async function text(response: IncomingMessage, socket: string, signal?: AbortSignal): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks(response, socket, signal)) {
    size += chunk.length
    if (size > MAX_ANSWER) throw new TooLargeError(`the answer of the node at ${socket} has more than ${MAX_ANSWER} bytes`)
    parts.push(chunk)
  }
  return Buffer.concat(parts).toString('utf8')
}

async function* lines(response: IncomingMessage, socket: string, signal?: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks(response, socket, signal)) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() as string
    if (rest.length > MAX_EVENT) throw new TooLargeError(`an event from the node at ${socket} has more than ${MAX_EVENT} characters`)
    for (const line of parts) if (line !== '') yield line
  }
}

function parse(text: string, socket: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new MalformedError(`the answer of the node at ${socket} is not JSON; use the same version of mesh on both`, { cause: error })
  }
}

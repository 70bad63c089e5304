import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { MalformedError } from '../../common/index.ts'
import { CHUNK_BYTES, LANE_TIMEOUT, MAX_UNDECIDED } from './limits.ts'
import type { Pipe, PipeEvents } from './pipe.ts'

/**
 * Lanes: TLS 1.3 connections beside a libp2p stream, that carry the same frames at a third of the processor time (OpenSSL encrypts
 * whole records in place; Noise and yamux in JavaScript copy and allocate for every 64 KiB).
 *
 * A lane is bound to the two peer ids by its key: 32 random bytes that one side made for this lane and sent over the stream, which
 * Noise has authenticated. TLS uses it as a pre-shared key with an ephemeral exchange, so that a key that leaks later opens nothing;
 * there are no certificates. The listening port takes nobody without such a key, and each key once.
 */
const TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // what OpenSSL allows with a pre-shared key that has no hash of its own
  ciphers: 'TLS_AES_128_GCM_SHA256'
} as const

const TOKEN_BYTES = 16
const KEY_BYTES = 32
/** port, token, key */
export const OFFER_BYTES = 2 + TOKEN_BYTES + KEY_BYTES

interface Expected {
  readonly key: Buffer
  readonly timer: NodeJS.Timeout
  taken(pipe: Pipe): void
}

export interface LaneListenerOptions {
  /** Address to listen on; all by default. */
  host?: string
  /** First and last port that may be used; any free one by default. */
  ports?: readonly [number, number]
}

/** Takes lanes from peers that were offered one. Listens from the first offer on. */
export class LaneListener {
  readonly #options: LaneListenerOptions
  readonly #expected = new Map<string, Expected>()
  #server: Promise<Server> | undefined
  #closed = false

  constructor(options: LaneListenerOptions) {
    this.#options = options
  }

  /**
   * Expect one lane.
   *
   * @param taken - called with the lane, if the peer makes it within {@link LANE_TIMEOUT}
   * @returns what the peer must be told, over an encrypted stream; undefined when this machine cannot listen
   */
  async offer(taken: (pipe: Pipe) => void): Promise<Uint8Array | undefined> {
    if (this.#closed || this.#expected.size >= MAX_UNDECIDED) return undefined
    this.#server ??= this.#listen()
    const server = await this.#server.catch(() => undefined)
    if (!server || this.#closed) return undefined
    const token = randomBytes(TOKEN_BYTES)
    const key = randomBytes(KEY_BYTES)
    const name = token.toString('hex')
    const timer = setTimeout(() => this.#expected.delete(name), LANE_TIMEOUT)
    timer.unref()
    this.#expected.set(name, { key, timer, taken })
    const port = Buffer.alloc(2)
    port.writeUInt16LE((server.address() as AddressInfo).port)
    return Buffer.concat([port, token, key])
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { timer } of this.#expected.values()) clearTimeout(timer)
    this.#expected.clear()
    const server = await this.#server?.catch(() => undefined)
    server?.close()
  }

  async #listen(): Promise<Server> {
    const [first, last] = this.#options.ports ?? [0, 0]
    for (let port = first; ; port++) {
      const server = this.#createServer()
      try {
        server.listen(port, this.#options.host)
        await once(server, 'listening')
        server.on('error', () => {})
        server.unref()
        return server
      } catch (error) {
        if (port >= last) throw error
      }
    }
  }

  #createServer(): Server {
    const names = new WeakMap<TLSSocket, string>()
    const server = createServer({
      ...TLS,
      handshakeTimeout: LANE_TIMEOUT,
      pskCallback: (socket, name) => {
        names.set(socket, name)
        return this.#expected.get(name)?.key ?? null
      }
    } as Parameters<typeof createServer>[0])
    // strangers hold a socket for one handshake at most
    server.maxConnections = 4 * MAX_UNDECIDED
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    server.on('secureConnection', socket => {
      const name = names.get(socket) ?? ''
      const expected = this.#expected.get(name)
      this.#expected.delete(name)
      if (!expected) {
        socket.destroy()
        return
      }
      clearTimeout(expected.timer)
      expected.taken(new SocketPipe(socket))
    })
    return server
  }
}

/**
 * Make the lane that `offer` describes.
 *
 * @throws MalformedError when it is no offer; the socket's error when nobody answers with the key in time
 */
export async function connectLane(host: string, offer: Uint8Array): Promise<Pipe> {
  if (offer.length !== OFFER_BYTES) throw new MalformedError(`bulk: an offer of a lane has ${OFFER_BYTES} bytes, not ${offer.length}`)
  const bytes = Buffer.from(offer)
  const socket = connect({
    ...TLS,
    host,
    port: bytes.readUInt16LE(),
    pskCallback: () => ({ identity: bytes.subarray(2, 2 + TOKEN_BYTES).toString('hex'), psk: bytes.subarray(2 + TOKEN_BYTES) }),
    // the key says who answers
    checkServerIdentity: () => undefined
  })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(LANE_TIMEOUT) })
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  }
  return new SocketPipe(socket)
}

/** A TLS socket as a pipe. */
class SocketPipe implements Pipe {
  readonly #socket: TLSSocket
  #events: PipeEvents | undefined
  #ended = false

  constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.pause()
    // before anyone listens, an error shows as the socket's destruction
    socket.on('error', error => this.#end(error))
  }

  get writable(): boolean {
    return !this.#ended && this.#socket.writableLength < CHUNK_BYTES
  }

  get buffered(): number {
    return this.#socket.writableLength
  }

  start(events: PipeEvents): void {
    this.#events = events
    const socket = this.#socket
    socket.on('data', piece => events.data(piece))
    socket.on('drain', () => events.writable())
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end(new Error('the connection was reset')))
    if (socket.destroyed) queueMicrotask(() => this.#end(socket.errored ?? new Error('the connection was reset')))
  }

  write(bytes: Uint8Array, released?: (bytes: Uint8Array) => void): void {
    if (this.#ended) return
    this.#socket.write(bytes, released && (error => error || released(bytes)))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#ended = true
    if (this.#socket.closed) return
    const closed = once(this.#socket, 'close', options)
    this.#socket.end()
    await closed
  }

  abort(): void {
    this.#ended = true
    this.#socket.destroy()
  }

  #end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#events?.end(error)
  }
}

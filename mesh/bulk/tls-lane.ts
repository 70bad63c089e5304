import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from 'node:tls'
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
/** What is read at a time. */
const READ_BYTES = 64 * 1024
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
  let pipe: SocketPipe | undefined
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  const early: Buffer[] = []
  const socket = connect({
    ...TLS,
    host,
    port: bytes.readUInt16LE(),
    pskCallback: () => ({ identity: bytes.subarray(2, 2 + TOKEN_BYTES).toString('hex'), psk: bytes.subarray(2 + TOKEN_BYTES) }),
    // the key says who answers
    checkServerIdentity: () => undefined,
    // one buffer for all that comes, a third less work than a new one each time; Node has this for the connecting side only
    onread: {
      buffer,
      callback(length: number) {
        const piece = buffer.subarray(0, length)
        if (pipe) return pipe.take(piece)
        early.push(Buffer.from(piece))
        return false
      }
    }
  } as ConnectionOptions)
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(LANE_TIMEOUT) })
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  }
  pipe = new SocketPipe(socket, early)
  return pipe
}

/** A TLS socket as a pipe; paused until `resume`. */
class SocketPipe implements Pipe {
  readonly #socket: TLSSocket
  #events: PipeEvents | undefined
  #paused = true
  /** Came while paused. */
  readonly #early: Uint8Array[]
  #orderlyEnd = false
  #ended = false

  constructor(socket: TLSSocket, early: Uint8Array[] = []) {
    this.#socket = socket
    this.#early = early
    socket.setNoDelay(true)
    socket.pause()
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
    socket.on('data', piece => this.take(piece))
    socket.on('drain', () => events.writable())
    socket.on('end', () => {
      this.#orderlyEnd = true
      if (this.#early.length === 0) this.#end()
    })
    socket.on('close', () => {
      if (!this.#orderlyEnd) this.#end(new Error('the connection was reset'))
    })
    // 'data' has set it going
    socket.pause()
    if (socket.destroyed) queueMicrotask(() => this.#end(socket.errored ?? new Error('the connection was reset')))
  }

  /** Something came. @returns whether more may come at once */
  take(piece: Uint8Array): boolean {
    if (this.#ended) return true
    if (this.#paused) this.#early.push(Uint8Array.from(piece))
    else this.#events?.data(piece)
    return !this.#paused
  }

  write(bytes: Uint8Array, released?: (bytes: Uint8Array) => void): void {
    if (this.#ended) return
    this.#socket.write(bytes, released && (error => error || released(bytes)))
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    while (this.#early.length > 0 && !this.#paused) this.#events?.data(this.#early.shift()!)
    if (this.#paused) return
    if (this.#orderlyEnd) this.#end()
    else this.#socket.resume()
  }

  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#ended = true
    if (this.#socket.closed) return
    const closed = once(this.#socket, 'close', options)
    this.#socket.end()
    // what still comes is for nobody; it must be read for the end behind it to be seen
    this.#socket.resume()
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

import type { Connection, ConnectionGater, Libp2p, MultiaddrConnection, StreamMiddleware } from '@libp2p/interface'
import { AdmissionError, type Logger, UnreachableError } from '../../common/index.ts'
import type { Authority } from './authority.ts'
import type { CertificateChain } from './certificate.ts'
import { ADMISSION_PROTOCOL, type Admitted, answerAdmission, requestAdmission } from './exchange.ts'

/** Bytes that one connection may send before it is admitted, Noise and the muxer included. */
const MAX_UNADMITTED_BYTES = 96 * 1024
/** How long it may take, ms. */
const MAX_UNADMITTED_TIME = 5000
/** How many inbound ones there may be. */
const MAX_UNADMITTED = 64

/** The limits on connections that are not yet admitted. */
export interface GateLimits {
  bytes: number
  time: number
  connections: number
}

interface Pending {
  inbound: boolean
  connection: MultiaddrConnection
  timer: ReturnType<typeof setTimeout>
}

interface Standing {
  /** Set once we accept the other side; its streams are answered from then on. */
  chain?: CertificateChain
  /** Settles when both sides have accepted each other. */
  admitted: PromiseWithResolvers<CertificateChain>
  complete: boolean
}

/**
 * Holds every connection at the door until both sides have verified each other's certificate: counts what an unadmitted one sends,
 * how long it takes and how many there are, and lets no protocol but admission through, identify included.
 */
export class AdmissionGate {
  readonly #authority: Authority
  readonly #log: Logger
  readonly #limits: GateLimits
  readonly #hold: Promise<unknown> | undefined
  readonly #pending = new Map<object, Pending>()
  #inbound = 0
  readonly #standing = new WeakMap<Connection, Standing>()
  readonly #onAdmitted: (connection: Connection, admitted: Admitted) => void
  readonly #onRefused: (peer: string, error: Error, direction: 'inbound' | 'outbound') => void

  constructor(init: {
    authority: Authority
    log: Logger
    limits?: Partial<GateLimits>
    hold?: Promise<unknown>
    onAdmitted: (connection: Connection, admitted: Admitted) => void
    onRefused?: (peer: string, error: Error, direction: 'inbound' | 'outbound') => void
  }) {
    this.#authority = init.authority
    this.#log = init.log
    this.#limits = { bytes: MAX_UNADMITTED_BYTES, time: MAX_UNADMITTED_TIME, connections: MAX_UNADMITTED, ...init.limits }
    this.#hold = init.hold
    this.#onAdmitted = init.onAdmitted
    this.#onRefused = init.onRefused ?? (() => {})
  }

  /** For libp2p's `connectionGater`. */
  readonly gater: ConnectionGater = {
    denyInboundConnection: connection => {
      if (this.#inbound >= this.#limits.connections) {
        this.#log.debug('refused a connection: too many await admission', { limit: this.#limits.connections })
        return true
      }
      this.#watch(connection, true)
      return false
    },
    denyOutboundEncryptedConnection: (_peer, connection) => {
      this.#watch(connection, false)
      return false
    },
    // The gate's own concern is who speaks, not where they are: loopback and private addresses are ordinary for a mesh.
    denyDialMultiaddr: () => false
  }

  /** In front of the handler of every protocol and of every stream we open. */
  readonly middleware: StreamMiddleware = (stream, connection, next) => {
    if (stream.protocol !== ADMISSION_PROTOCOL) {
      const standing = this.#standing.get(connection)
      const open = stream.direction === 'inbound' ? standing?.chain !== undefined : standing?.complete === true
      if (!open) throw new AdmissionError(`${connection.remotePeer} is not admitted`)
    }
    next(stream, connection)
  }

  /** Begins to admit `libp2p`'s connections. */
  async attach(libp2p: Libp2p): Promise<void> {
    libp2p.addEventListener('connection:open', event => this.#opened(event.detail))
    const handler = async (stream: Parameters<typeof answerAdmission>[0], connection: Connection) => {
      const standing = this.#standing.get(connection)
      if (standing === undefined || standing.chain !== undefined || connection.direction !== 'inbound') {
        stream.abort(new AdmissionError('admission is asked for once a connection, by its dialer'))
        return
      }
      const peer = connection.remotePeer.toString()
      await this.#run(connection, standing, async signal => {
        await raceSignal(this.#hold, signal)
        return await answerAdmission(stream, peer, this.#authority, chain => this.#accept(connection, standing, chain), signal)
      })
    }
    await libp2p.handle(ADMISSION_PROTOCOL, handler, { maxInboundStreams: 1, maxOutboundStreams: 1 })
  }

  /** The verified chain of the other side of `connection`, once we have accepted it. */
  chain(connection: Connection): CertificateChain | undefined {
    return this.#standing.get(connection)?.chain
  }

  /** Resolves when `connection` is admitted. @throws AdmissionError when it is refused */
  async admission(connection: Connection): Promise<CertificateChain> {
    const standing = this.#standing.get(connection)
    if (standing === undefined) throw new AdmissionError(`the connection to ${connection.remotePeer} is closed`)
    return await standing.admitted.promise
  }

  stop(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer)
    this.#pending.clear()
  }

  #watch(connection: MultiaddrConnection, inbound: boolean): void {
    const key = connection.timeline
    const timer = setTimeout(() => {
      connection.abort(new AdmissionError(`not admitted within ${this.#limits.time} ms`))
    }, this.#limits.time)
    timer.unref()
    this.#pending.set(key, { inbound, connection, timer })
    if (inbound) this.#inbound++
    let bytes = 0
    const counted = connection as MultiaddrConnection & { onData(data: { byteLength: number }): void }
    const deliver = counted.onData
    // The transport hands what it reads to `onData`; standing in front of it counts before anything is parsed.
    counted.onData = data => {
      bytes += data.byteLength
      if (this.#pending.has(key) && bytes > this.#limits.bytes) {
        connection.abort(new AdmissionError(`more than ${this.#limits.bytes} bytes before admission`))
        return
      }
      deliver.call(counted, data)
    }
    connection.addEventListener('close', () => this.#release(key), { once: true })
  }

  #release(key: object): void {
    const pending = this.#pending.get(key)
    if (pending === undefined) return
    clearTimeout(pending.timer)
    this.#pending.delete(key)
    if (pending.inbound) this.#inbound--
    // The prototype's own `onData` is back from here on.
    Reflect.deleteProperty(pending.connection, 'onData')
  }

  #opened(connection: Connection): void {
    const standing: Standing = { admitted: Promise.withResolvers(), complete: false }
    standing.admitted.promise.catch(() => {})
    this.#standing.set(connection, standing)
    if (connection.direction !== 'outbound') {
      // Of an outbound one the exchange itself tells, and knows why.
      connection.addEventListener('close', () => {
        standing.admitted.reject(new AdmissionError(`${connection.remotePeer} closed the connection before it was admitted`))
      })
      return
    }
    const peer = connection.remotePeer.toString()
    void this.#run(connection, standing, async signal => {
      const stream = await connection.newStream(ADMISSION_PROTOCOL, { signal })
      return await requestAdmission(stream, peer, this.#authority, chain => this.#accept(connection, standing, chain), signal)
    })
  }

  #accept(connection: Connection, standing: Standing, chain: CertificateChain): void {
    standing.chain = chain
    if (connection.direction === 'inbound') standing.complete = true
  }

  async #run(connection: Connection, standing: Standing, exchange: (signal: AbortSignal) => Promise<Admitted>): Promise<void> {
    const peer = connection.remotePeer.toString()
    try {
      const admitted = await exchange(AbortSignal.timeout(this.#limits.time))
      standing.complete = true
      this.#release(connection.timeline)
      this.#onAdmitted(connection, admitted)
      standing.admitted.resolve(admitted.chain)
    } catch (error) {
      standing.chain = undefined
      standing.complete = false
      // Not a refusal but silence or a lost connection: worth another try.
      const refusal =
        error instanceof AdmissionError || error instanceof UnreachableError
          ? error
          : new UnreachableError(`${peer} did not finish admission: ${(error as Error).message}`, { cause: error })
      standing.admitted.reject(refusal)
      this.#onRefused(peer, refusal, connection.direction)
      // The refusal itself is still on its way to the other side: a graceful close flushes it.
      await connection.close().catch(() => connection.abort(refusal))
    }
  }
}

/** Waits for `promise`, at most until `signal` is aborted. */
async function raceSignal(promise: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
  if (promise === undefined) return
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  await Promise.race([promise, aborted])
}

import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { AbortedError, GradmeshError, InvalidParametersError, MalformedError, UnreachableError, VersionError } from '../../common/index.ts'
import { Boarding, type FastWay, type Travels } from './boarding.ts'
import type { BulkChannel, BulkEndpoint } from './channel.ts'
import { encodeFrame, FrameType, RefuseReason } from './frames.ts'
import { greetingSink } from './greeting.ts'
import {
  BULK_PROTOCOL,
  CONNECT_TIMEOUT,
  MAX_CANDIDATE_LENGTH,
  MAX_CANDIDATES,
  MAX_UNDECIDED,
  MAX_UNDECIDED_PER_PEER,
  UNDECIDED_TIMEOUT
} from './limits.ts'
import { type Dialer, Link, type LinkContext, refuse } from './link.ts'
import { StreamPipe } from './pipe.ts'
import { shield } from './shield.ts'
import { connectLane, LaneListener } from './tls-lane.ts'
import { Wire, type WireOptions } from './wire.ts'

/** Settings of an endpoint; the defaults are in `limits.ts`. */
export interface BulkEndpointOptions extends WireOptions {
  /** Time a stream of a peer may stay undecided, ms: not yet allowed, or a dial of our own to the same peer under way. @default 15000 */
  undecidedTimeout?: number
  /** Time a dial may take until the peer has accepted, ms. @default 20000 */
  connectTimeout?: number
  /** Resolves once both ends of a dialed connection have admitted each other: `host.admission` of a mesh host. @default at once */
  admitted?(connection: Connection): Promise<unknown>
  /** Move channels from their libp2p stream to a TLS 1.3 connection beside it, see `tls-lane.ts`. @default true */
  lanes?: boolean
  /** Faster ways to try before the stream, see {@link fastWays}. @default none */
  ways?: readonly FastWay[]
  /** Told how the bytes to a peer travel from now on, and why not by a faster way that was tried. */
  onTravel?(peer: string, kind: BulkChannel['kind'], reason?: Error): void
  /** First and last port on which lanes are taken; any free one by default. */
  ports?: readonly [number, number]
}

/**
 * An endpoint on a started host. It registers the bulk protocol there; a host has one endpoint.
 */
export function createBulkEndpoint(host: Libp2p, options: BulkEndpointOptions = {}): BulkEndpoint {
  return new StreamEndpoint(host, options)
}

class StreamEndpoint implements BulkEndpoint, LinkContext {
  readonly self: string
  readonly connectTimeout: number
  readonly #host: Libp2p
  readonly #options: BulkEndpointOptions
  readonly #registered: Promise<void>
  readonly #links = new Map<string, Link>()
  readonly #callbacks = new Set<(channel: BulkChannel) => void>()
  /** Inbound streams not decided on, with their peers. */
  readonly #undecided = new Map<Wire, { peer: string; timer: NodeJS.Timeout }>()
  /** Under which connection a wire runs. */
  readonly #connections = new WeakMap<Wire, Connection>()
  #lanes: LaneListener | undefined
  #predicate: (peer: string) => boolean = () => false
  #lastAttempt = 0
  #closed = false

  constructor(host: Libp2p, options: BulkEndpointOptions) {
    this.#host = host
    this.#options = options
    this.self = host.peerId.toString()
    this.connectTimeout = options.connectTimeout ?? CONNECT_TIMEOUT
    this.#registered = host.handle(BULK_PROTOCOL, (stream, connection) => this.#onStream(stream, connection), {
      maxInboundStreams: 4,
      maxOutboundStreams: 4
    })
    // reported by connect and close
    this.#registered.catch(() => {})
  }

  async connect(peer: string, candidates: string[], options: { signal?: AbortSignal } = {}): Promise<BulkChannel> {
    if (this.#closed) throw new UnreachableError('bulk: this endpoint was closed', { retryable: false })
    if (peer === this.self) throw new InvalidParametersError('bulk: a trainer has no channel to itself')
    if (!this.#predicate(peer)) {
      throw new InvalidParametersError(`bulk: ${peer} is not in the group this endpoint allows; call allow() for its generation first`)
    }
    const open = this.channel(peer)
    if (open) return open
    parseCandidates(peer, candidates)
    return this.#link(peer).connect(candidates, options.signal)
  }

  onChannel(callback: (channel: BulkChannel) => void): () => void {
    this.#callbacks.add(callback)
    return () => this.#callbacks.delete(callback)
  }

  channel(peer: string): BulkChannel | undefined {
    return this.#links.get(peer)?.channel
  }

  allow(predicate: (peer: string) => boolean): void {
    this.#predicate = predicate
    for (const link of [...this.#links.values()]) link.decide()
  }

  endpoints(): string[] {
    return this.#host.getMultiaddrs().map(address => address.toString())
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#callbacks.clear()
    await Promise.all([...this.#links.values()].map(link => link.close()))
    await this.#lanes?.close()
    await this.#registered
    await this.#host.unhandle(BULK_PROTOCOL)
  }

  allowed(peer: string): boolean {
    return !this.#closed && this.#predicate(peer)
  }

  nextAttempt(): number {
    this.#lastAttempt = Math.max(this.#lastAttempt + 1, Date.now())
    return this.#lastAttempt
  }

  opened(channel: BulkChannel): void {
    for (const callback of [...this.#callbacks]) shield(() => callback(channel))
  }

  decided(peer: string, wire: Wire): void {
    this.#forget(wire)
    const lanes = this.#options.lanes !== false
    const ip = ipOf(this.#connections.get(wire)?.remoteAddr)
    wire.onOffer = offer => {
      if (lanes && ip) connectLane(ip, offer).then(wire.receiveOver.bind(wire), () => {})
    }
    if (lanes) void this.#offerLane(wire)
    const travels: Travels = (kind, reason) => this.#options.onTravel?.(peer, kind, reason)
    const boarding = new Boarding({ wire, peer, first: this.self < peer, ways: this.#options.ways ?? [], travels })
    wire.onEnd(() => boarding.end())
  }

  /** Each side offers a lane to send over, and the other fetches it; a direction in which that fails stays on the stream. */
  async #offerLane(wire: Wire): Promise<void> {
    const loopback = this.#host.getMultiaddrs().every(address => ipOf(address)?.startsWith('127.'))
    this.#lanes ??= new LaneListener({ host: loopback ? '127.0.0.1' : undefined, ports: this.#options.ports })
    const offer = await this.#lanes.offer(lane => wire.sendOver(lane))
    if (offer) wire.control(encodeFrame(FrameType.offer, 0, 0, offer))
  }

  #forget(wire: Wire): void {
    clearTimeout(this.#undecided.get(wire)?.timer)
    this.#undecided.delete(wire)
  }

  empty(link: Link): void {
    if (this.#links.get(link.peer) === link) this.#links.delete(link.peer)
  }

  async dial(peer: string, candidates: string[], attempt: number, signal: AbortSignal, dialer: Dialer): Promise<void> {
    await this.#registered
    const connection = await this.#open(peer, parseCandidates(peer, candidates), signal)
    let accepted = false
    try {
      const stream = await this.#newStream(peer, connection, signal)
      await new Promise<void>((resolve, reject) => {
        const wire: Wire = new Wire(
          peer,
          new StreamPipe(stream, connection),
          greetingSink(peer, {
            accept: voids => {
              accepted = true
              resolve()
              dialer.accepted(wire, voids)
            },
            refuse: reason => {
              resolve()
              dialer.refused(reason)
            },
            end: reject
          }),
          this.#options
        )
        this.#connections.set(wire, connection)
        // the connection is the channel's own and ends with it
        wire.onEnd(error => (error ? connection.abort(error) : connection.close().catch(reason => connection.abort(reason))))
        signal.addEventListener('abort', () => accepted || wire.fail(signal.reason), { once: true })
        wire.control(encodeFrame(FrameType.hello, 0, attempt))
      })
    } finally {
      if (!accepted) connection.close().catch(error => connection.abort(error))
    }
  }

  /** A connection of its own to `peer`: bulk never shares one with control. */
  async #open(peer: string, addresses: Multiaddr[], signal: AbortSignal): Promise<Connection> {
    try {
      const connection = await this.#host.dial(addresses, { signal, force: true })
      if (connection.remotePeer.toString() !== peer) {
        connection.abort(new Error('another peer answered'))
        throw new UnreachableError(`bulk: another peer than ${peer} answered at its address`)
      }
      return connection
    } catch (error) {
      throw unreachable(peer, error, signal)
    }
  }

  /** The bulk stream on a fresh connection, which is spoken on only once both sides have admitted each other. */
  async #newStream(peer: string, connection: Connection, signal: AbortSignal): Promise<Stream> {
    try {
      await this.#options.admitted?.(connection)
      return await connection.newStream(BULK_PROTOCOL, { signal })
    } catch (error) {
      if ((error as Error).name === 'UnsupportedProtocolError') {
        throw new VersionError(`bulk: ${peer} does not speak ${BULK_PROTOCOL}; run the same release on both machines`, { cause: error })
      }
      throw unreachable(peer, error, signal)
    }
  }

  #onStream(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const wire: Wire = new Wire(
      peer,
      new StreamPipe(stream, connection),
      greetingSink(peer, {
        hello: attempt => {
          if (this.#closed) refuse(wire, RefuseReason.closed)
          else this.#link(peer).hello(wire, attempt)
        },
        end: () => this.#links.get(peer)?.gone(wire)
      }),
      this.#options
    )
    this.#connections.set(wire, connection)
    let ofPeer = 0
    for (const other of this.#undecided.values()) if (other.peer === peer) ofPeer++
    if (this.#undecided.size >= MAX_UNDECIDED || ofPeer >= MAX_UNDECIDED_PER_PEER) {
      refuse(wire, RefuseReason.overloaded)
      return
    }
    const timer = setTimeout(() => {
      const link = this.#links.get(peer)
      if (link?.holds(wire)) link.expire(wire)
      else wire.fail(new UnreachableError(`bulk: ${peer} opened a stream and did not greet`))
    }, this.#options.undecidedTimeout ?? UNDECIDED_TIMEOUT)
    timer.unref()
    this.#undecided.set(wire, { peer, timer })
    wire.onEnd(error => {
      this.#forget(wire)
      // an orderly end leaves the connection to its dialer
      if (error instanceof MalformedError) connection.abort(error)
    })
  }

  #link(peer: string): Link {
    let link = this.#links.get(peer)
    if (!link) {
      link = new Link(peer, this)
      this.#links.set(peer, link)
    }
    return link
  }
}

/** The usable candidates as addresses that name the peer, so that the handshake proves who answers. */
function parseCandidates(peer: string, candidates: string[]): Multiaddr[] {
  const addresses: Multiaddr[] = []
  for (const candidate of candidates.slice(0, MAX_CANDIDATES)) {
    if (candidate.length > MAX_CANDIDATE_LENGTH) continue
    try {
      const address = multiaddr(candidate)
      const named = address.getComponents().findLast(component => component.name === 'p2p')?.value
      if (named === undefined) addresses.push(address.encapsulate(`/p2p/${peer}`))
      else if (named === peer) addresses.push(address)
    } catch {
      // another release's kind of candidate
    }
  }
  if (addresses.length === 0) {
    throw new InvalidParametersError(`bulk: none of the ${candidates.length} endpoint candidates of ${peer} is an address of it`)
  }
  return addresses
}

/** The address of a plain TCP connection; undefined for any other. */
function ipOf(address: Multiaddr | undefined): string | undefined {
  const [network, transport] = address?.getComponents() ?? []
  return (network?.name === 'ip4' || network?.name === 'ip6') && transport?.name === 'tcp' ? network.value : undefined
}

function unreachable(peer: string, error: unknown, signal: AbortSignal): Error {
  if (signal.aborted && signal.reason instanceof GradmeshError) return signal.reason
  if (error instanceof GradmeshError) return error
  const message = error instanceof Error ? error.message : String(error)
  if (signal.aborted) return new AbortedError(`bulk: connecting to ${peer} was aborted`, { cause: error })
  return new UnreachableError(`bulk: ${peer} cannot be reached at any of its candidates: ${message}`, { cause: error })
}

import { noise } from '@chainsafe/libp2p-noise'
import { type Identify, identify } from '@libp2p/identify'
import type { Connection, Libp2p, Stream, StreamMiddleware, StreamMuxerFactory } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import {
  AbortedError,
  AdmissionError,
  InUseError,
  InvalidParametersError,
  type Logger,
  NotDeliveredError,
  silentLogger,
  UnreachableError,
  VersionError
} from '../common/index.ts'
import { AdmissionGate, type Authority, type CertificateChain, type GateLimits } from './admission/index.ts'

/** Service name of mDNS, one for all meshes, so that a newcomer can be told that there is one. */
const MDNS_TAG = '_gradmesh._udp.local'
const MAX_CONNECTIONS = 4096
/** For all addresses of a peer, which are tried one after another. */
const DIAL_TIMEOUT = 15_000
/** For one address: some of a machine’s are not routed to us and never answer. */
const ADDRESS_TIMEOUT = 5000
/** For opening a stream, and for identify. */
const STREAM_TIMEOUT = 5000
/** Streams of one protocol on one connection; the protocols above it bound their own further. */
const MAX_STREAMS = 256

/** Settings of {@link createHost}. */
export interface HostInit {
  authority: Authority
  /** Multiaddrs to listen on; port 0 takes a free one. */
  listen: string[]
  /** Find other nodes on the local network. Always off when every listening address is loopback. @default false */
  mdns?: boolean
  logger?: Logger
  limits?: Partial<GateLimits>
  /** Inbound connections wait for it before they are answered: until then nobody here can speak with them. */
  hold?: Promise<unknown>
  /** Offered before yamux with its standard window; both ends of a connection must know them. */
  streamMuxers?: ((components: any) => StreamMuxerFactory)[]
}

/** Who opened a stream to us. */
export interface Remote {
  peer: string
  certificate: CertificateChain
  connection: Connection
}

/** Called for every stream of a protocol that an admitted peer opens. */
export type HostHandler = (stream: Stream, from: Remote) => void | Promise<void>

/** A libp2p node on which nothing but admission is spoken with strangers. */
export interface Host {
  peer: string
  libp2p: Libp2p
  authority: Authority
  /** Multiaddrs with our peer id. */
  addresses(): string[]
  /** Answers `protocol` to admitted peers. @param options.maxInboundStreams - per connection, 256 by default */
  handle(protocol: string, handler: HostHandler, options?: { maxInboundStreams?: number }): Promise<void>
  unhandle(protocol: string): Promise<void>
  /**
   * An admitted connection to `peer`; an existing one where there is.
   *
   * @param addresses - where to dial; without any, only an existing connection serves
   * @throws UnreachableError, AdmissionError
   */
  connect(peer: string | undefined, addresses: string[], options?: { signal?: AbortSignal }): Promise<Connection>
  /** An admitted, open connection to `peer`. */
  connection(peer: string): Connection | undefined
  /** What the peer of an admitted connection showed. */
  certificate(peer: string): CertificateChain | undefined
  /** Whether other nodes are looked for on the local network. */
  discovers: boolean
  /** Resolves once both ends of `connection` may speak. @throws AdmissionError */
  admission(connection: Connection): Promise<unknown>
  /** Peers with an admitted connection. */
  peers(): string[]
  /**
   * Opens a stream on an existing connection.
   *
   * @throws UnreachableError without a connection, VersionError when the peer does not speak `protocol`, NotDeliveredError
   */
  openStream(peer: string, protocol: string, options?: { signal?: AbortSignal }): Promise<Stream>
  /** Calls back when the first connection to a peer is admitted and when the last one is gone. @returns unsubscribes */
  onPeer(callback: (peer: string, connected: boolean, certificate: CertificateChain) => void): () => void
  /** Calls back when either side refuses the other. @returns unsubscribes */
  onRefused(callback: (peer: string, error: Error, direction: 'inbound' | 'outbound') => void): () => void
  /** Calls back with the multiaddrs of nodes found on the local network. @returns unsubscribes */
  onDiscovered(callback: (peer: string, addresses: string[]) => void): () => void
  /** Ends every connection to `peer`. */
  disconnect(peer: string): Promise<void>
  stop(): Promise<void>
}

interface Tracked {
  connections: Connection[]
  certificate: CertificateChain
}

/**
 * Starts a libp2p node: TCP, Noise, yamux, identify, ping; mDNS where asked.
 *
 * @throws InUseError when a port is taken
 * @throws InvalidParametersError when an address is none
 */
export async function createHost(init: HostInit): Promise<Host> {
  const { authority } = init
  const log = (init.logger ?? silentLogger).child('host')
  const peers = new Map<string, Tracked>()
  const dials = new Map<string, Promise<Connection>>()
  const peerCallbacks = new Set<Parameters<Host['onPeer']>[0]>()
  const refusedCallbacks = new Set<Parameters<Host['onRefused']>[0]>()
  const discoveredCallbacks = new Set<Parameters<Host['onDiscovered']>[0]>()

  const gate = new AdmissionGate({
    authority,
    log,
    limits: init.limits,
    hold: init.hold,
    onAdmitted: (connection, admitted) => {
      if (admitted.issued !== undefined) adopt(admitted.issued)
      track(connection, admitted.chain)
    },
    onRefused: (peer, error, direction) => {
      for (const callback of refusedCallbacks) callback(peer, error, direction)
    }
  })

  function adopt(bytes: Uint8Array): void {
    try {
      authority.adopt(bytes)
    } catch (error) {
      log.warn(`a member issued a certificate that does not verify: ${(error as Error).message}`)
    }
  }

  function track(connection: Connection, certificate: CertificateChain): void {
    const peer = connection.remotePeer.toString()
    if (connection.status !== 'open') return
    const tracked = peers.get(peer) ?? { connections: [], certificate }
    tracked.certificate = certificate
    tracked.connections.push(connection)
    peers.set(peer, tracked)
    connection.addEventListener('close', () => {
      const index = tracked.connections.indexOf(connection)
      if (index >= 0) tracked.connections.splice(index, 1)
      if (tracked.connections.length > 0 || peers.get(peer) !== tracked) return
      peers.delete(peer)
      for (const callback of peerCallbacks) callback(peer, false, certificate)
    })
    if (tracked.connections.length > 1) return
    for (const callback of peerCallbacks) callback(peer, true, certificate)
    libp2p.services.identify.identify(connection, { signal: AbortSignal.timeout(STREAM_TIMEOUT) }).catch(() => {})
  }

  const libp2p = await startLibp2p(init, gate)
  await gate.attach(libp2p)
  // Every stranger's id would otherwise stay in libp2p's peer store.
  libp2p.addEventListener('peer:disconnect', event => void libp2p.peerStore.delete(event.detail).catch(() => {}))
  libp2p.addEventListener('peer:discovery', event => {
    const addresses = event.detail.multiaddrs.map(a => a.toString())
    for (const callback of discoveredCallbacks) callback(event.detail.id.toString(), addresses)
  })

  const connection = (peer: string) => peers.get(peer)?.connections.find(c => c.status === 'open')

  async function dial(peer: string | undefined, addresses: Multiaddr[]): Promise<Connection> {
    let opened: Connection
    try {
      opened = await libp2p.dial(addresses, { signal: AbortSignal.timeout(DIAL_TIMEOUT) })
    } catch (error) {
      throw new UnreachableError(`${peer ?? addresses[0]} does not answer at ${addresses.join(', ')}: ${dialReason(error)}`, {
        cause: error
      })
    }
    await gate.admission(opened)
    return opened
  }

  return {
    peer: authority.identity.peer,
    libp2p,
    authority,
    addresses: () => libp2p.getMultiaddrs().map(a => a.toString()),
    async handle(protocol, handler, options = {}) {
      const onStream = (stream: Stream, connection: Connection) => {
        const certificate = gate.chain(connection)
        if (certificate === undefined) return stream.abort(new AdmissionError('not admitted'))
        return handler(stream, { peer: connection.remotePeer.toString(), certificate, connection })
      }
      const limit = options.maxInboundStreams ?? MAX_STREAMS
      await libp2p.handle(protocol, onStream, { maxInboundStreams: limit, maxOutboundStreams: limit, force: true })
    },
    unhandle: protocol => libp2p.unhandle(protocol),
    async connect(peer, addresses, options = {}) {
      if (options.signal?.aborted) throw new AbortedError(`dialing ${peer ?? addresses[0]} was aborted`)
      const existing = peer === undefined ? undefined : connection(peer)
      if (existing !== undefined) return existing
      const targets = dialable(peer, addresses)
      if (targets.length === 0) throw new UnreachableError(`no address of ${peer ?? 'the peer'} is known`)
      const key = peer ?? targets.join()
      // Shared by all who ask for the same peer, so that no single caller's signal ends it.
      const dialing = dials.get(key) ?? dial(peer, targets).finally(() => dials.delete(key))
      dials.set(key, dialing)
      return await orAborted(dialing, `dialing ${key}`, options.signal)
    },
    connection,
    admission: opened => gate.admission(opened),
    certificate: peer => peers.get(peer)?.certificate,
    discovers: discovers(init),
    peers: () => Array.from(peers.keys()),
    async openStream(peer, protocol, options = {}) {
      const open = connection(peer)
      if (open === undefined) throw new UnreachableError(`there is no connection to ${peer}`)
      const signal = AbortSignal.any([AbortSignal.timeout(STREAM_TIMEOUT), ...(options.signal ? [options.signal] : [])])
      try {
        return await open.newStream(protocol, { signal, maxOutboundStreams: MAX_STREAMS })
      } catch (error) {
        if ((error as Error).name === 'UnsupportedProtocolError') {
          throw new VersionError(`${peer} does not speak ${protocol}; run the same release on both machines`, { cause: error })
        }
        if (options.signal?.aborted) throw new AbortedError(`opening ${protocol} to ${peer} was aborted`, { cause: error })
        throw new NotDeliveredError(`${peer} did not take a stream of ${protocol}: ${(error as Error).message}`, { cause: error })
      }
    },
    onPeer: callback => subscribe(peerCallbacks, callback),
    onRefused: callback => subscribe(refusedCallbacks, callback),
    onDiscovered: callback => subscribe(discoveredCallbacks, callback),
    async disconnect(peer) {
      await Promise.all(Array.from(peers.get(peer)?.connections ?? [], c => c.close().catch(() => c.abort(new Error('disconnected')))))
    },
    async stop() {
      gate.stop()
      await libp2p.stop()
    }
  }
}

async function startLibp2p(init: HostInit, gate: AdmissionGate): Promise<Libp2p<{ identify: Identify; ping: Ping }>> {
  const listen = init.listen.map(address => checkAddress(address).toString())
  try {
    return await createLibp2p({
      privateKey: init.authority.identity.privateKey,
      addresses: { listen },
      transports: [tcp({ inboundSocketInactivityTimeout: 0, outboundSocketInactivityTimeout: 0 } as object)],
      connectionEncrypters: [noise()],
      // A reader that pauses must have room for a whole window: libp2p resets a stream with more than 4 MiB unread.
      streamMuxers: [...(init.streamMuxers ?? []), yamux({ streamOptions: { maxStreamWindowSize: 2 ** 20 } })],
      connectionGater: gate.gater,
      peerDiscovery: discovers(init) ? [mdns({ serviceTag: MDNS_TAG, interval: 10_000 })] : [],
      connectionManager: {
        // Peers restart in numbers, several nodes share a host, and admission bounds strangers: the defaults (5 a second, 10 pending) starve a mesh.
        inboundConnectionThreshold: 256,
        maxIncomingPendingConnections: 256,
        maxConnections: MAX_CONNECTIONS,
        maxParallelDials: 32,
        dialTimeout: DIAL_TIMEOUT,
        addressDialTimeout: ADDRESS_TIMEOUT,
        reconnectRetries: 0
      },
      // Membership judges who is alive. A ping that a busy core answers late must not end a connection.
      connectionMonitor: { enabled: false },
      services: {
        // Identify would otherwise be asked before admission, and refused.
        identify: identify({ runOnConnectionOpen: false }),
        ping: ping(),
        gate: (components: { registrar: Registrar }) => installMiddleware(components.registrar, gate.middleware)
      }
    })
  } catch (error) {
    const message = (error as Error).message
    if (message.includes('EADDRINUSE')) {
      const address = listen.find(a => message.includes(a)) ?? listen.join(', ')
      throw new InUseError(`the address ${address} is in use; give another --listen`, { cause: error })
    }
    if (/EADDRNOTAVAIL|EACCES|UnsupportedListen|failed to be listened/.test(message)) {
      throw new InvalidParametersError(`this machine cannot listen on ${listen.join(', ')}; give another --listen`, { cause: error })
    }
    throw error
  }
}

interface Registrar {
  getMiddleware(protocol: string): StreamMiddleware[]
}

/**
 * Puts `middleware` in front of every protocol. `registrar.use` serves one protocol, and libp2p 3.3 pushes each stream's handler onto
 * the very array that was given to it, so that the second stream would run two handlers: a fresh array each time does not.
 */
function installMiddleware(registrar: Registrar, middleware: StreamMiddleware): object {
  registrar.getMiddleware = () => [middleware]
  return {}
}

/** @throws InvalidParametersError when `address` is no multiaddr */
export function checkAddress(address: string): Multiaddr {
  try {
    return multiaddr(address)
  } catch (error) {
    throw new InvalidParametersError(`'${address}' is not a multiaddr; it looks like /ip4/0.0.0.0/tcp/4001`, { cause: error })
  }
}

/** The multiaddrs to dial for `peer`: each ends in its id, so that Noise refuses anybody else who listens there. */
function dialable(peer: string | undefined, addresses: string[]): Multiaddr[] {
  const targets: Multiaddr[] = []
  for (const address of addresses.slice(0, 16)) {
    let parsed: Multiaddr
    try {
      parsed = multiaddr(address)
    } catch {
      // What a peer says of itself is not always of use; its other addresses may be.
      continue
    }
    const named = parsed.getComponents().findLast(c => c.name === 'p2p')?.value
    if (peer === undefined || named === peer) targets.push(parsed)
    else if (named === undefined) targets.push(parsed.encapsulate(`/p2p/${peer}`))
  }
  return targets
}

function discovers(init: HostInit): boolean {
  return init.mdns === true && !init.listen.every(isLoopback)
}

function isLoopback(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\/|^\/dns[46]?\/localhost\//.test(address)
}

function dialReason(error: unknown): string {
  const inner = error instanceof AggregateError ? (error.errors.at(-1) as Error) : (error as Error)
  const code = (inner as NodeJS.ErrnoException).code ?? ((inner as Error).cause as NodeJS.ErrnoException | undefined)?.code
  if (code === 'ECONNREFUSED') return 'connection refused'
  return inner.name === 'TimeoutError' || inner.name === 'AbortError' ? `no answer within ${DIAL_TIMEOUT} ms` : inner.message
}

async function orAborted<T>(promise: Promise<T>, what: string, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new AbortedError(`${what} was aborted`, { cause: signal.reason }))
  signal.addEventListener('abort', onAbort, { once: true })
  promise.catch(() => {})
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function subscribe<T>(set: Set<T>, callback: T): () => void {
  set.add(callback)
  return () => set.delete(callback)
}

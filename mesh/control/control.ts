import {
  AbortedError,
  AdmissionError,
  DeadlineError,
  type Logger,
  OverloadedError,
  silentLogger,
  UnreachableError
} from '../../common/index.ts'
import type { Role } from '../admission/index.ts'
import type { Host, Remote } from '../host.ts'
import { RequestLink } from './client.ts'
import { DEFAULT_DEADLINE, MAX_STREAMS_PER_PEER } from './limits.ts'
import { Notifier } from './notify.ts'
import { checkProtocol, Registry } from './registry.ts'
import { answer, checkSize, serveRequests } from './server.ts'
import { abortable, readStream, serveStream } from './streams.ts'
import type { Control, NotifyHandler, RequestHandler, RequestOptions, StreamHandler } from './types.ts'

const REQUEST_PROTOCOL = '/gradmesh/request/1.0.0'
const STREAM_PROTOCOL = '/gradmesh/stream/1.0.0'

/** Settings of {@link createControl}. */
export interface ControlInit {
  host: Host
  /** Where a member that has no connection to us can be dialed. Without it only connected peers are asked. */
  addresses?: (peer: string) => string[]
  /** Whose requests are answered. @default ['node'] */
  roles?: Role[]
  logger?: Logger
}

/** Resolves as `promise` does, unless the caller gives up or its time is over first. */
async function settled<T>(promise: Promise<T>, what: string, deadline: number, signal?: AbortSignal, timeout?: AbortSignal): Promise<T> {
  if (signal === undefined && timeout === undefined) return await promise
  const { promise: given, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new AbortedError(`${what} was aborted`, { cause: signal?.reason }))
  const onTimeout = () => reject(new DeadlineError(`${what} was not answered within ${Math.round(deadline)} ms`))
  signal?.addEventListener('abort', onAbort, { once: true })
  timeout?.addEventListener('abort', onTimeout, { once: true })
  try {
    return await Promise.race([promise, given])
  } finally {
    signal?.removeEventListener('abort', onAbort)
    timeout?.removeEventListener('abort', onTimeout)
  }
}

/** Requests, streamed replies and one-way messages over `host`. */
export async function createControl(init: ControlInit): Promise<Control> {
  const { host } = init
  const log = (init.logger ?? silentLogger).child('control')
  const roles = init.roles ?? ['node']
  const requests = new Registry<RequestHandler>()
  const streams = new Registry<StreamHandler>()
  const notices = new Registry<NotifyHandler>()
  const notifier = new Notifier(host, log)
  const links = new Map<string, RequestLink>()
  const opening = new Map<string, Promise<RequestLink>>()
  const streaming = new Map<string, number>()
  const stopping = new AbortController()

  const mayAsk = (stream: { abort(error: Error): void }, remote: Remote): boolean => {
    if (roles.includes(remote.certificate.leaf.role)) return true
    stream.abort(new AdmissionError(`a ${remote.certificate.leaf.role} may not ask here`))
    return false
  }

  await host.handle(
    REQUEST_PROTOCOL,
    (stream, remote) => {
      if (mayAsk(stream, remote)) serveRequests(stream, remote.peer, requests, log)
    },
    { maxInboundStreams: 4 }
  )
  await host.handle(
    STREAM_PROTOCOL,
    (stream, remote) => {
      if (mayAsk(stream, remote)) serveStream(stream, remote.peer, streams, log)
    },
    { maxInboundStreams: MAX_STREAMS_PER_PEER }
  )
  const unsubscribe = host.onPeer((peer, connected) => {
    if (!connected) links.delete(peer)
  })

  async function connect(peer: string, signal?: AbortSignal): Promise<void> {
    if (stopping.signal.aborted) throw new UnreachableError('this node is stopping')
    if (host.connection(peer) === undefined) await host.connect(peer, init.addresses?.(peer) ?? [], { signal })
  }

  /** The link is shared by all that wait for it, so that no single caller's signal ends its opening. */
  function openLink(peer: string): Promise<RequestLink> {
    const running = opening.get(peer)
    if (running !== undefined) return running
    const link = (async () => {
      await connect(peer, stopping.signal)
      const link = new RequestLink(peer, await host.openStream(peer, REQUEST_PROTOCOL))
      links.set(peer, link)
      return link
    })().finally(() => opening.delete(peer))
    opening.set(peer, link)
    return link
  }

  async function askSelf(protocol: string, message: Uint8Array, deadline: number, signal?: AbortSignal): Promise<Uint8Array> {
    const timeout = Number.isFinite(deadline) ? AbortSignal.timeout(deadline) : undefined
    const both = AbortSignal.any([signal, timeout].filter(s => s !== undefined))
    const reply = answer(requests, protocol, message, {
      from: host.peer,
      signal: both,
      deadline: Number.isFinite(deadline) ? deadline : undefined
    })
    return await settled(reply, `${protocol} to ourselves`, deadline, signal, timeout)
  }

  return {
    handle: (protocol, handler) => requests.add(protocol, handler),
    handleStream: (protocol, handler) => streams.add(protocol, handler),
    onNotify(protocol, handler) {
      checkProtocol(protocol)
      const remove = notices.add(protocol, handler)
      notifier.listen(protocol, mayAsk, handler).catch(error => log.debug(`${protocol} is not listened to: ${(error as Error).message}`))
      return () => {
        remove()
        host.unhandle(protocol).catch(() => {})
      }
    },
    async request(peer, protocol, message, options: RequestOptions = {}) {
      checkProtocol(protocol)
      checkSize(protocol, message)
      const { signal, deadline = DEFAULT_DEADLINE } = options
      if (signal?.aborted) throw new AbortedError(`${protocol} to ${peer} was aborted`)
      if (peer === host.peer) return await askSelf(protocol, message, deadline, signal)
      const link = links.get(peer)
      if (link?.open) return await link.request(protocol, message, deadline, options)
      const start = performance.now()
      const timeout = Number.isFinite(deadline) ? AbortSignal.timeout(deadline) : undefined
      const opened = await settled(openLink(peer), `${protocol} to ${peer}`, deadline, signal, timeout)
      return await opened.request(protocol, message, deadline - (performance.now() - start), options)
    },
    async *stream(peer, protocol, message, options = {}) {
      checkProtocol(protocol)
      checkSize(protocol, message)
      const { signal } = options
      if (signal?.aborted) throw new AbortedError(`${protocol} from ${peer} was aborted`)
      if (peer === host.peer) {
        const controller = new AbortController()
        const both = AbortSignal.any([controller.signal, ...(signal ? [signal] : [])])
        try {
          yield* abortable(streams.get(protocol)(message, { from: host.peer, signal: both }), both)
          if (signal?.aborted) throw new AbortedError(`${protocol} from ${peer} was aborted`)
        } finally {
          controller.abort()
        }
        return
      }
      const running = streaming.get(peer) ?? 0
      if (running >= MAX_STREAMS_PER_PEER)
        throw new OverloadedError(`${MAX_STREAMS_PER_PEER} streamed replies of ${peer} are being read; end one`)
      streaming.set(peer, running + 1)
      try {
        await connect(peer, signal)
        yield* readStream(await host.openStream(peer, STREAM_PROTOCOL, { signal }), peer, protocol, message, signal)
      } finally {
        if (streaming.get(peer) === 1) streaming.delete(peer)
        else streaming.set(peer, streaming.get(peer)! - 1)
      }
    },
    notify(peer, protocol, message) {
      checkSize(protocol, message)
      if (peer !== host.peer) return notifier.notify(peer, protocol, message)
      const handler = notices.find(protocol)
      if (handler !== undefined) queueMicrotask(() => handler(peer, message))
      return handler !== undefined
    },
    flush: ({ signal }) => notifier.flush(signal),
    stop() {
      stopping.abort()
      unsubscribe()
      for (const link of links.values()) link.close()
      links.clear()
      notifier.stop()
    }
  }
}

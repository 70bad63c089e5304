import type { Stream } from '@libp2p/interface'
import { type Logger, MAX_CONTROL_MESSAGE } from '../../common/index.ts'
import type { Host, Remote } from '../host.ts'
import { Channel } from './channel.ts'
import { MAX_NOTIFY_QUEUE } from './limits.ts'
import type { NotifyHandler } from './types.ts'

/** Messages that wait while their stream is being opened. */
const MAX_WAITING = 256

interface Outlet {
  channel?: Channel
  /** Settles when the stream is open, or could not be opened. */
  opened: Promise<void>
  /** Messages from before the stream was open. */
  waiting: Uint8Array[]
  bytes: number
}

/** One-way messages: a long-lived stream for each peer and protocol, under the protocol's own id. */
export class Notifier {
  readonly #host: Host
  readonly #log: Logger
  readonly #outlets = new Map<string, Map<string, Outlet>>()
  #stopped = false

  constructor(host: Host, log: Logger) {
    this.#host = host
    this.#log = log
    host.onPeer((peer, connected) => {
      if (!connected) this.#outlets.delete(peer)
    })
  }

  /** @see Control.notify */
  notify(peer: string, protocol: string, message: Uint8Array): boolean {
    if (this.#stopped) return false
    const outlet = this.#outlets.get(peer)?.get(protocol)
    if (outlet === undefined) return this.#open(peer, protocol, message)
    if (outlet.channel !== undefined) {
      if (outlet.channel.send(message) !== undefined) return true
      if (outlet.channel.open) return false
      this.#drop(peer, protocol, outlet)
      return this.#open(peer, protocol, message)
    }
    if (outlet.waiting.length >= MAX_WAITING || outlet.bytes + message.byteLength > MAX_NOTIFY_QUEUE) return false
    outlet.waiting.push(message)
    outlet.bytes += message.byteLength
    return true
  }

  /** Takes one-way messages of `protocol`. */
  async listen(protocol: string, allowed: (stream: Stream, remote: Remote) => boolean, handler: NotifyHandler): Promise<void> {
    await this.#host.handle(
      protocol,
      (stream, remote) => {
        if (!allowed(stream, remote)) return
        new Channel(stream, {
          maxFrame: MAX_CONTROL_MESSAGE,
          maxQueue: 0,
          onFrame: frame => this.#deliver(handler, remote.peer, protocol, frame),
          onClose: () => {}
        })
      },
      // One at a time; a second is there for a moment when the peer opens anew.
      { maxInboundStreams: 4 }
    )
  }

  /** Resolves when all that was taken is with the transport, or `signal` is aborted. */
  async flush(signal: AbortSignal): Promise<void> {
    for (const outlets of Array.from(this.#outlets.values())) {
      for (const outlet of Array.from(outlets.values())) {
        await Promise.race([outlet.opened, aborted(signal)])
        await outlet.channel?.drained(0, signal)
      }
    }
  }

  stop(): void {
    this.#stopped = true
    // Closed, not reset: what was said last, a leave perhaps, is still on its way.
    for (const outlets of this.#outlets.values()) for (const outlet of outlets.values()) outlet.channel?.close()
    this.#outlets.clear()
  }

  #deliver(handler: NotifyHandler, from: string, protocol: string, frame: Uint8Array): void {
    try {
      handler(from, frame)
    } catch (error) {
      this.#log.debug(`a message of ${protocol} from ${from} was refused: ${(error as Error).message}`)
    }
  }

  #open(peer: string, protocol: string, message: Uint8Array): boolean {
    if (this.#host.connection(peer) === undefined) return false
    const { promise, resolve } = Promise.withResolvers<void>()
    const outlet: Outlet = { opened: promise, waiting: [message], bytes: message.byteLength }
    const outlets = this.#outlets.get(peer) ?? new Map<string, Outlet>()
    outlets.set(protocol, outlet)
    this.#outlets.set(peer, outlets)
    this.#host
      .openStream(peer, protocol)
      .then(
        stream => {
          if (this.#stopped || this.#outlets.get(peer)?.get(protocol) !== outlet) {
            stream.abort(new Error('no longer wanted'))
            return
          }
          outlet.channel = new Channel(stream, {
            maxFrame: 0,
            maxQueue: MAX_NOTIFY_QUEUE,
            onFrame: () => {},
            onClose: () => this.#drop(peer, protocol, outlet)
          })
          for (const message of outlet.waiting) outlet.channel.send(message)
          outlet.waiting = []
        },
        error => {
          this.#drop(peer, protocol, outlet)
          this.#log.debug(`no stream of ${protocol} to ${peer}: ${(error as Error).message}`)
        }
      )
      .finally(resolve)
    return true
  }

  #drop(peer: string, protocol: string, outlet: Outlet): void {
    const outlets = this.#outlets.get(peer)
    if (outlets?.get(protocol) !== outlet) return
    outlets.delete(protocol)
    if (outlets.size === 0) this.#outlets.delete(peer)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

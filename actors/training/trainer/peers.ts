import { type Logger, pause, systemClock } from '../../../common/index.ts'
import type { BulkChannel, BulkEndpoint } from '../../../mesh/bulk/index.ts'
import { decodeMessage, encodeMessage, type TrainerMessage } from './messages.ts'

/** Another trainer of the job and where its bulk endpoint listens. */
export interface PeerAddress {
  trainer: string
  endpoints: string[]
}

/** The channels of one trainer to the others of its job. */
export class Peers {
  /** This trainer's own name. */
  readonly self: string
  readonly #endpoint: BulkEndpoint
  readonly #logger: Logger
  readonly #onMessage: (from: string, message: TrainerMessage) => void
  /** Peers with a channel. */
  readonly #open = new Set<string>()
  readonly #onChange: (peer: string, connected: boolean) => void

  constructor(init: {
    endpoint: BulkEndpoint
    self: string
    logger: Logger
    onMessage(from: string, message: TrainerMessage): void
    /** A channel opened or closed. */
    onChange(peer: string, connected: boolean): void
  }) {
    this.#endpoint = init.endpoint
    this.self = init.self
    this.#logger = init.logger
    this.#onMessage = init.onMessage
    this.#onChange = init.onChange
    this.#endpoint.onChannel(channel => this.#adopt(channel))
  }

  channel(peer: string): BulkChannel | undefined {
    return this.#endpoint.channel(peer)
  }

  /** How many open channels travel by which way. */
  ways(): Record<string, number> {
    const ways: Record<string, number> = {}
    for (const peer of this.#open) {
      const kind = this.channel(peer)?.kind
      if (kind !== undefined) ways[kind] = (ways[kind] ?? 0) + 1
    }
    return ways
  }

  /** Who may connect from now on. */
  allow(peers: Iterable<string>): void {
    const allowed = new Set(peers)
    this.#endpoint.allow(peer => allowed.has(peer))
  }

  /** Opens channels to all of `peers`, trying again until they stand or `signal` is aborted. */
  async connect(peers: readonly PeerAddress[], signal: AbortSignal): Promise<void> {
    await Promise.all(
      peers.map(async ({ trainer, endpoints }) => {
        for (let attempt = 0; this.channel(trainer) === undefined; attempt++) {
          signal.throwIfAborted()
          try {
            await this.#endpoint.connect(trainer, endpoints, { signal })
          } catch (error) {
            signal.throwIfAborted()
            this.#logger.debug(`no channel to ${trainer} yet: ${error instanceof Error ? error.message : error}`)
            await pause(systemClock, Math.min(50 * 2 ** attempt, 1000), signal)
          }
        }
      })
    )
  }

  /** Sends a message if there is a channel. @returns whether there was */
  send(peer: string, message: TrainerMessage): boolean {
    const channel = this.channel(peer)
    if (channel === undefined) return false
    try {
      channel.message(encodeMessage(message))
      return true
    } catch (error) {
      this.#logger.debug(`a message to ${peer} was dropped: ${error instanceof Error ? error.message : error}`)
      return false
    }
  }

  #adopt(channel: BulkChannel): void {
    channel.onMessage(bytes => {
      try {
        this.#onMessage(channel.peer, decodeMessage(bytes))
      } catch (error) {
        this.#logger.warn(`closing the channel to ${channel.peer}: ${error instanceof Error ? error.message : error}`)
        void channel.close()
      }
    })
    this.#open.add(channel.peer)
    channel.onClose(() => {
      if (this.channel(channel.peer) === undefined) this.#open.delete(channel.peer)
      this.#onChange(channel.peer, false)
    })
    this.#onChange(channel.peer, true)
  }
}

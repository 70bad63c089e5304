/** Figures of one channel since it was opened. */
export interface BulkStatistics {
  /** Bytes handed to the transport, headers included, encryption excluded. */
  bytesSent: number
  /** Bytes taken from the transport, headers included, encryption excluded. */
  bytesReceived: number
  /** Transfers that the peer acknowledged. */
  transfersSent: number
  /** Transfers that landed whole. */
  transfersReceived: number
  messagesSent: number
  messagesReceived: number
  /** Payload bytes that came for regions no longer named, and were dropped. */
  bytesDropped: number
}

/**
 * Ordered, reliable movement of bytes between two trainers, into regions that the receiver named in advance.
 *
 * A transfer id is at most 128 bytes of UTF-8. It should hold the generation, so that `cancel` can tell generations apart.
 */
export interface BulkChannel {
  /** Peer id of the trainer at the other end. */
  readonly peer: string
  /**
   * By which way this side sends at present. A channel begins on a stream, goes over to a faster way where both sides have one, and
   * falls back to the next when that fails: no transfer notices.
   */
  readonly kind: 'stream' | 'shm' | 'rdma'
  /**
   * What protects the bytes on their way: a stream opens on Noise and goes over to TLS 1.3 where a lane could be made; nothing within
   * a host's memory or a fabric.
   */
  readonly encryption: 'noise' | 'tls' | 'none'
  readonly statistics: Readonly<BulkStatistics>

  /**
   * Name where transfer `id` shall land; only then may the peer send it.
   *
   * @param into - exactly as long as what the peer sends; may view a SharedArrayBuffer. Until the promise settles its content is
   * undefined; after it settled, however it did, no byte of this transfer is written any more.
   * @throws FencedError when the id was cancelled here or the transfer abandoned by the peer, UnreachableError when the channel
   * ended, MalformedError when the peer sends another length, OverloadedError when too many regions are named
   */
  receive(id: string, into: Uint8Array, options?: { signal?: AbortSignal }): Promise<void>

  /**
   * Send bytes as transfer `id` once the peer has named a region of exactly that length. Resolves when the peer holds it whole.
   *
   * @param from - must stay untouched until the promise settles; after it settled, however it did, it is not read any more
   * @throws FencedError when the id was cancelled here or abandoned by the peer, UnreachableError when the channel ended,
   * MalformedError when the peer named another length, OverloadedError when too many transfers wait
   */
  send(id: string, from: Uint8Array, options?: { signal?: AbortSignal }): Promise<void>

  /**
   * A small (at most 64 KiB) ordered message beside the transfers, held up by them for one chunk at most. The body is copied.
   *
   * @throws OverloadedError when the queue is full, UnreachableError when the channel ended, TooLargeError
   */
  message(body: Uint8Array): void

  /**
   * Calls back for every message in order; messages that came before the first callback was added are kept for it (bounded: the
   * peer is then held up). @returns a function that removes the callback
   */
  onMessage(callback: (body: Uint8Array) => void): () => void

  /**
   * Forget all transfers whose id `match` holds for, in both directions: their promises reject with FencedError, late chunks are
   * dropped and never land.
   */
  cancel(match: (id: string) => boolean): void

  /** Reject what is under way, let queued messages leave, and close. */
  close(): Promise<void>

  /** Calls back once when the channel has ended, with the error if it did not end in order. @returns a function that removes it */
  onClose(callback: (error?: Error) => void): () => void
}

/** Opens channels: one for a pair of trainers, whoever dials. */
export interface BulkEndpoint {
  /**
   * The channel to `peer`: the one there is, or a new one.
   *
   * @param candidates - where the peer can be reached, in the order to try; opaque to the caller (multiaddrs now)
   * @throws InvalidParametersError when `peer` is not allowed here or no candidate is usable, UnreachableError, AdmissionError
   * when the peer did not allow this trainer in time
   */
  connect(peer: string, candidates: string[], options?: { signal?: AbortSignal }): Promise<BulkChannel>
  /** Calls back for every new channel, whoever dialed. @returns a function that removes the callback */
  onChannel(callback: (channel: BulkChannel) => void): () => void
  /** The open channel to `peer`. */
  channel(peer: string): BulkChannel | undefined
  /** Who may connect, by peer id; nobody until it is called. Channels to peers it no longer holds for are closed. */
  allow(predicate: (peer: string) => boolean): void
  /** Candidates under which others reach this endpoint. */
  endpoints(): string[]
  /** Close every channel and accept none any more. */
  close(): Promise<void>
}

/** Who asks, and whether it still waits. */
export interface RequestContext {
  /** Peer id of the asker; our own when a node asks itself. */
  from: string
  /** Aborted when the asker gave up, its deadline passed, or its connection is gone. */
  signal: AbortSignal
  /** Milliseconds from receipt after which nobody waits; undefined when the asker set none. */
  deadline?: number
}

/** Answers requests of one protocol. What it throws travels back as the error it is. */
export type RequestHandler = (request: Uint8Array, context: RequestContext) => Promise<Uint8Array> | Uint8Array

/** Answers requests of one protocol with a sequence; it is asked for the next item only when the reader has room. */
export type StreamHandler = (request: Uint8Array, context: RequestContext) => AsyncIterable<Uint8Array>

/** Takes one-way messages of one protocol, in the order in which one peer sent them. */
export type NotifyHandler = (from: string, message: Uint8Array) => void

export interface RequestOptions {
  signal?: AbortSignal
  /** Milliseconds until the request fails with DeadlineError; Infinity for none. @default 30000 */
  deadline?: number
}

/** Requests, streamed replies and one-way messages between the members of a mesh. */
export interface Control {
  /** Answers `protocol`, an id like `/gradmesh/jobs/1.0.0`. @returns stops answering */
  handle(protocol: string, handler: RequestHandler): () => void
  /** @see Control.handle */
  handleStream(protocol: string, handler: StreamHandler): () => void
  /** @see Control.handle */
  onNotify(protocol: string, handler: NotifyHandler): () => void
  /**
   * Sends a request of at most 4 MiB and waits for its reply.
   *
   * @throws UnreachableError when there is no way to the peer: nothing was sent
   * @throws NotDeliveredError when the request never left: nothing was executed
   * @throws OverloadedError when either side is full: nothing was executed
   * @throws OutcomeUnknownError when the connection was lost before the reply
   * @throws DeadlineError, AbortedError, NotFoundError or VersionError (the peer does not answer that protocol), TooLargeError
   * @throws what the handler threw, when it is of the closed set of errors
   */
  request(peer: string, protocol: string, message: Uint8Array, options?: RequestOptions): Promise<Uint8Array>
  /** Like {@link Control.request}, for a handler that answers with a sequence. Ending the iteration ends the handler's. */
  stream(peer: string, protocol: string, message: Uint8Array, options?: { signal?: AbortSignal }): AsyncIterable<Uint8Array>
  /**
   * Sends a message that nobody confirms, in order with the others of the same peer and protocol.
   *
   * @returns false when it was dropped at once: no connection, or a full queue
   */
  notify(peer: string, protocol: string, message: Uint8Array): boolean
  /** Resolves when the one-way messages that were taken so far are with the transport. */
  flush(options: { signal: AbortSignal }): Promise<void>
  stop(): void
}

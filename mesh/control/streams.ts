import type { Stream } from '@libp2p/interface'
import { AbortedError, GradmeshError, type Logger, MalformedError, OutcomeUnknownError } from '../../common/index.ts'
import { Channel } from './channel.ts'
import { MAX_FRAME, STREAM_BUFFER } from './limits.ts'
import { decodeFrame, endFrame, errorOf, failureFrame, itemFrame, requestFrame } from './messages.ts'
import type { Registry } from './registry.ts'
import { checkSize } from './server.ts'
import type { StreamHandler } from './types.ts'

/**
 * Asks on a stream of its own and yields what comes back. The peer is held up when {@link STREAM_BUFFER} bytes wait here.
 *
 * @throws what the handler threw; OutcomeUnknownError when the connection is lost before the end; AbortedError
 */
export async function* readStream(
  stream: Stream,
  peer: string,
  protocol: string,
  message: Uint8Array,
  signal?: AbortSignal
): AsyncGenerator<Uint8Array> {
  const items: Uint8Array[] = []
  let waiting = 0
  let ended = false
  let failure: Error | undefined
  let wake = () => {}
  const channel = new Channel(stream, {
    maxFrame: MAX_FRAME,
    // Our one message, of whatever size is allowed.
    maxQueue: MAX_FRAME,
    onFrame(frame) {
      const { item, end, failure: failed } = decodeFrame(frame)
      if (item !== undefined) {
        items.push(item)
        waiting += item.byteLength + 1
        if (waiting > STREAM_BUFFER) channel.pause()
      } else if (end !== undefined) ended = true
      else if (failed !== undefined) failure = errorOf(failed)
      else throw new MalformedError(`${peer} sent a frame that is no item`)
      wake()
    },
    onClose(error) {
      if (!ended)
        failure ??= new OutcomeUnknownError(`the connection to ${peer} was lost within the reply to ${protocol}`, { cause: error })
      wake()
    }
  })
  const onAbort = () => {
    failure = new AbortedError(`${protocol} from ${peer} was aborted`, { cause: signal?.reason })
    items.length = 0
    wake()
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    channel.send(requestFrame(1, protocol, message, Number.POSITIVE_INFINITY))
    if (signal?.aborted) onAbort()
    for (;;) {
      const item = items.shift()
      if (item !== undefined) {
        waiting -= item.byteLength + 1
        if (waiting <= STREAM_BUFFER / 2) channel.resume()
        yield item
      } else if (failure !== undefined) throw failure
      else if (ended) return
      else {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    if (ended) channel.close()
    else channel.abort(new GradmeshError('the reader is done'))
  }
}

/** Answers one streamed request. The handler is asked for its next item only when the network has taken the ones before. */
export function serveStream(stream: Stream, from: string, handlers: Registry<StreamHandler>, log: Logger): void {
  const controller = new AbortController()
  const { signal } = controller
  let asked = false
  const channel = new Channel(stream, {
    maxFrame: MAX_FRAME,
    maxQueue: 2 * MAX_FRAME,
    onFrame(frame) {
      const { request } = decodeFrame(frame)
      if (request === undefined || asked) throw new MalformedError(`${from} sent a frame that is no request`)
      asked = true
      void run(request.protocol, request.payload)
    },
    onClose(error) {
      if (error !== undefined) log.debug(`a streamed reply to ${from} ended: ${error.message}`)
      controller.abort()
    }
  })

  async function run(protocol: string, payload: Uint8Array): Promise<void> {
    try {
      for await (const item of abortable(handlers.get(protocol)(payload, { from, signal }), signal)) {
        checkSize(protocol, item)
        channel.send(itemFrame(item))
        await channel.drained(STREAM_BUFFER, signal)
        if (signal.aborted) return
      }
      channel.send(endFrame())
    } catch (error) {
      if (!signal.aborted) channel.send(failureFrame(1, error))
    }
    channel.close()
  }
}

/** `items` until `signal` is aborted; then the source is told to end, even when it is waiting for its next item. */
export async function* abortable<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>()
  const onAbort = () => resolve(undefined)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted])
      if (next === undefined || next.done) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: a source that waits for something of its own must not hold us up.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

import type { Stream } from '@libp2p/interface'
import { type Logger, MAX_CONTROL_MESSAGE, MalformedError, OverloadedError, TooLargeError } from '../../common/index.ts'
import { Channel } from './channel.ts'
import { MAX_FRAME, MAX_IN_FLIGHT, MAX_QUEUE, MAX_REPLIES } from './limits.ts'
import { decodeFrame, failureFrame, replyFrame } from './messages.ts'
import type { Request } from './pb/control.ts'
import type { Registry } from './registry.ts'
import type { RequestContext, RequestHandler } from './types.ts'

/** Answers the requests that `from` sends on `stream`, many at a time, until it ends. */
export function serveRequests(stream: Stream, from: string, handlers: Registry<RequestHandler>, log: Logger): void {
  const running = new Map<number, AbortController>()
  let bytes = 0

  const channel = new Channel(stream, {
    maxFrame: MAX_FRAME,
    maxQueue: MAX_REPLIES,
    onFrame(frame) {
      const { id, request, cancel } = decodeFrame(frame)
      if (request !== undefined) accept(id, request)
      else if (cancel !== undefined) running.get(id)?.abort()
      else throw new MalformedError(`${from} sent a frame that is no request`)
    },
    onClose(error) {
      if (error !== undefined) log.debug(`requests of ${from} ended: ${error.message}`)
      for (const controller of running.values()) controller.abort()
    }
  })

  function accept(id: number, request: Request): void {
    if (running.has(id)) throw new MalformedError(`${from} used request number ${id} twice`)
    const size = request.payload.byteLength
    if (size > MAX_CONTROL_MESSAGE) throw new TooLargeError(`${from} sent a request of ${size} bytes; the most is ${MAX_CONTROL_MESSAGE}`)
    if (running.size >= MAX_IN_FLIGHT || bytes + size > MAX_QUEUE || channel.queued > MAX_QUEUE) {
      send(failureFrame(id, new OverloadedError('too many requests wait here; slow down')))
      return
    }
    const controller = new AbortController()
    running.set(id, controller)
    bytes += size
    const context = { from, signal: controller.signal, deadline: request.deadline === 0 ? undefined : request.deadline }
    void answer(handlers, request.protocol, request.payload, context)
      .then(
        reply => send(replyFrame(id, reply)),
        error => send(failureFrame(id, error))
      )
      .finally(() => {
        running.delete(id)
        bytes -= size
      })
  }

  function send(frame: Uint8Array): void {
    // A peer that asks and never reads would otherwise fill the memory with its replies.
    if (channel.send(frame) === undefined && channel.open) channel.abort(new OverloadedError(`${from} does not read its replies`))
  }
}

/** Runs the handler of `protocol`. @throws what the handler throws, NotFoundError, VersionError, TooLargeError */
export async function answer(
  handlers: Registry<RequestHandler>,
  protocol: string,
  payload: Uint8Array,
  context: RequestContext
): Promise<Uint8Array> {
  const reply = await handlers.get(protocol)(payload, context)
  checkSize(protocol, reply)
  return reply
}

/** @throws TooLargeError */
export function checkSize(protocol: string, message: Uint8Array): void {
  if (message.byteLength <= MAX_CONTROL_MESSAGE) return
  throw new TooLargeError(`a message of ${protocol} has ${message.byteLength} bytes; the most is ${MAX_CONTROL_MESSAGE}`)
}

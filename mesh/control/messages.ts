import { fromWireError, type GradmeshError, toWireError } from '../../common/index.ts'
import { type Failure, Frame } from './pb/control.ts'

const MAX_DEADLINE = 2 ** 32 - 1
/** Longest text of an error that travels, characters. */
const MAX_ERROR = 4000

export function requestFrame(id: number, protocol: string, payload: Uint8Array, deadline: number): Uint8Array {
  const milliseconds = Number.isFinite(deadline) ? Math.min(MAX_DEADLINE, Math.max(1, Math.round(deadline))) : 0
  return Frame.encode({ id, request: { protocol, payload: payload as Uint8Array<ArrayBuffer>, deadline: milliseconds } })
}

export function replyFrame(id: number, reply: Uint8Array): Uint8Array {
  return Frame.encode({ id, reply: reply as Uint8Array<ArrayBuffer> })
}

export function itemFrame(item: Uint8Array): Uint8Array {
  return Frame.encode({ item: item as Uint8Array<ArrayBuffer> })
}

export function endFrame(): Uint8Array {
  return Frame.encode({ end: {} })
}

export function cancelFrame(id: number): Uint8Array {
  return Frame.encode({ id, cancel: {} })
}

export function failureFrame(id: number, error: unknown): Uint8Array {
  const { name, message, retryable } = toWireError(error)
  return Frame.encode({ id, failure: { name, message: message.slice(0, MAX_ERROR), retryable } })
}

/** @throws when the bytes are no frame */
export function decodeFrame(bytes: Uint8Array): Frame {
  return Frame.decode(bytes)
}

/** The error that a peer reported. */
export function errorOf(failure: Failure): GradmeshError {
  return fromWireError({ name: failure.name, message: failure.message.slice(0, MAX_ERROR), retryable: failure.retryable })
}

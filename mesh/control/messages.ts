import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { fromWireError, type GradmeshError, toWireError } from '../../common/index.ts'
import { CancelSchema, EndSchema, type Failure, FailureSchema, type Frame, FrameSchema, RequestSchema } from './pb/control_pb.ts'

export function requestFrame(id: number, protocol: string, payload: Uint8Array, deadline: number): Uint8Array {
  const value = create(RequestSchema, {
    protocol,
    payload,
    deadline: Number.isFinite(deadline) ? Math.max(1, Math.min(2 ** 32 - 1, Math.round(deadline))) : 0
  })
  return encode(create(FrameSchema, { id, body: { case: 'request', value } }))
}

export function replyFrame(id: number, value: Uint8Array): Uint8Array {
  return encode(create(FrameSchema, { id, body: { case: 'reply', value } }))
}

export function itemFrame(value: Uint8Array): Uint8Array {
  return encode(create(FrameSchema, { body: { case: 'item', value } }))
}

export function endFrame(): Uint8Array {
  return encode(create(FrameSchema, { body: { case: 'end', value: create(EndSchema) } }))
}

export function cancelFrame(id: number): Uint8Array {
  return encode(create(FrameSchema, { id, body: { case: 'cancel', value: create(CancelSchema) } }))
}

export function failureFrame(id: number, error: unknown): Uint8Array {
  const { name, message, retryable } = toWireError(error)
  const value = create(FailureSchema, { name, message: message.slice(0, 4000), retryable })
  return encode(create(FrameSchema, { id, body: { case: 'failure', value } }))
}

/** @throws when the bytes are no frame */
export function decodeFrame(bytes: Uint8Array): Frame {
  return fromBinary(FrameSchema, bytes, { readUnknownFields: false })
}

/** The error that a peer reported. */
export function errorOf(failure: Failure): GradmeshError {
  return fromWireError({ name: failure.name, message: failure.message.slice(0, 4000), retryable: failure.retryable })
}

function encode(frame: Frame): Uint8Array {
  return toBinary(FrameSchema, frame)
}

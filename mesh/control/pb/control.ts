// @ts-nocheck
// Generated from control.proto by scripts/protons.ts; do not edit.
/* eslint-disable require-yield */

import { decodeMessage, encodeMessage, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface Frame {
  id: number
  request?: Request
  reply?: Uint8Array<ArrayBuffer>
  failure?: Failure
  cancel?: Cancel
  item?: Uint8Array<ArrayBuffer>
  end?: End
}

export const Frame = (() => {
  let _codec: Codec<Frame>

  const codec = (): Codec<Frame> => {
    if (_codec == null) {
      _codec = message<Frame>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        obj = { ...obj }

        if (obj.end != null) {
          obj.item = undefined
          obj.cancel = undefined
          obj.failure = undefined
          obj.reply = undefined
          obj.request = undefined
        }

        if (obj.item != null) {
          obj.end = undefined
          obj.cancel = undefined
          obj.failure = undefined
          obj.reply = undefined
          obj.request = undefined
        }

        if (obj.cancel != null) {
          obj.end = undefined
          obj.item = undefined
          obj.failure = undefined
          obj.reply = undefined
          obj.request = undefined
        }

        if (obj.failure != null) {
          obj.end = undefined
          obj.item = undefined
          obj.cancel = undefined
          obj.reply = undefined
          obj.request = undefined
        }

        if (obj.reply != null) {
          obj.end = undefined
          obj.item = undefined
          obj.cancel = undefined
          obj.failure = undefined
          obj.request = undefined
        }

        if (obj.request != null) {
          obj.end = undefined
          obj.item = undefined
          obj.cancel = undefined
          obj.failure = undefined
          obj.reply = undefined
        }

        if ((obj.id != null && obj.id !== 0)) {
          w.uint32(8)
          w.uint32(obj.id)
        }

        if (obj.request != null) {
          w.uint32(18)
          Request.codec().encode(obj.request, w)
        }

        if (obj.reply != null) {
          w.uint32(26)
          w.bytes(obj.reply)
        }

        if (obj.failure != null) {
          w.uint32(34)
          Failure.codec().encode(obj.failure, w)
        }

        if (obj.cancel != null) {
          w.uint32(42)
          Cancel.codec().encode(obj.cancel, w)
        }

        if (obj.item != null) {
          w.uint32(50)
          w.bytes(obj.item)
        }

        if (obj.end != null) {
          w.uint32(58)
          End.codec().encode(obj.end, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          id: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.id = reader.uint32()
              break
            }
            case 2: {
              obj.request = Request.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.request
              })
              break
            }
            case 3: {
              obj.reply = reader.bytes()
              break
            }
            case 4: {
              obj.failure = Failure.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.failure
              })
              break
            }
            case 5: {
              obj.cancel = Cancel.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.cancel
              })
              break
            }
            case 6: {
              obj.item = reader.bytes()
              break
            }
            case 7: {
              obj.end = End.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.end
              })
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        if (obj.end != null) {
          delete obj.item
          delete obj.cancel
          delete obj.failure
          delete obj.reply
          delete obj.request
        }

        if (obj.item != null) {
          delete obj.end
          delete obj.cancel
          delete obj.failure
          delete obj.reply
          delete obj.request
        }

        if (obj.cancel != null) {
          delete obj.end
          delete obj.item
          delete obj.failure
          delete obj.reply
          delete obj.request
        }

        if (obj.failure != null) {
          delete obj.end
          delete obj.item
          delete obj.cancel
          delete obj.reply
          delete obj.request
        }

        if (obj.reply != null) {
          delete obj.end
          delete obj.item
          delete obj.cancel
          delete obj.failure
          delete obj.request
        }

        if (obj.request != null) {
          delete obj.end
          delete obj.item
          delete obj.cancel
          delete obj.failure
          delete obj.reply
        }

        return obj
      }, function * () {})
    }

    return _codec
  }

  function encode (obj: Partial<Frame>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Frame.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Frame>): Frame {
    return decodeMessage(buf, Frame.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface Request {
  protocol: string
  payload: Uint8Array<ArrayBuffer>
  deadline: number
}

export const Request = (() => {
  let _codec: Codec<Request>

  const codec = (): Codec<Request> => {
    if (_codec == null) {
      _codec = message<Request>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.protocol != null && obj.protocol !== '')) {
          w.uint32(10)
          w.string(obj.protocol)
        }

        if ((obj.payload != null && obj.payload.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.payload)
        }

        if ((obj.deadline != null && obj.deadline !== 0)) {
          w.uint32(24)
          w.uint32(obj.deadline)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          protocol: '',
          payload: uint8ArrayAlloc(0),
          deadline: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.protocol = reader.string()
              break
            }
            case 2: {
              obj.payload = reader.bytes()
              break
            }
            case 3: {
              obj.deadline = reader.uint32()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, function * () {})
    }

    return _codec
  }

  function encode (obj: Partial<Request>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Request.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Request>): Request {
    return decodeMessage(buf, Request.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface Failure {
  name: string
  message: string
  retryable: boolean
}

export const Failure = (() => {
  let _codec: Codec<Failure>

  const codec = (): Codec<Failure> => {
    if (_codec == null) {
      _codec = message<Failure>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.name != null && obj.name !== '')) {
          w.uint32(10)
          w.string(obj.name)
        }

        if ((obj.message != null && obj.message !== '')) {
          w.uint32(18)
          w.string(obj.message)
        }

        if ((obj.retryable != null && obj.retryable !== false)) {
          w.uint32(24)
          w.bool(obj.retryable)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          name: '',
          message: '',
          retryable: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.name = reader.string()
              break
            }
            case 2: {
              obj.message = reader.string()
              break
            }
            case 3: {
              obj.retryable = reader.bool()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, function * () {})
    }

    return _codec
  }

  function encode (obj: Partial<Failure>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Failure.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Failure>): Failure {
    return decodeMessage(buf, Failure.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface Cancel {}

export const Cancel = (() => {
  let _codec: Codec<Cancel>

  const codec = (): Codec<Cancel> => {
    if (_codec == null) {
      _codec = message<Cancel>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {}

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, function * () {})
    }

    return _codec
  }

  function encode (obj: Partial<Cancel>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Cancel.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Cancel>): Cancel {
    return decodeMessage(buf, Cancel.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface End {}

export const End = (() => {
  let _codec: Codec<End>

  const codec = (): Codec<End> => {
    if (_codec == null) {
      _codec = message<End>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {}

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, function * () {})
    }

    return _codec
  }

  function encode (obj: Partial<End>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, End.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<End>): End {
    return decodeMessage(buf, End.codec(), opts)
  }

  return { codec, encode, decode }
})()

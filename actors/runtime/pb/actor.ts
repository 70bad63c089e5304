// @ts-nocheck
// Generated from actor.proto by scripts/protons.ts; do not edit.
import { decodeMessage, encodeMessage, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface ActorCall {
  actor: string
  key: string
  method: string
  argument: Uint8Array<ArrayBuffer>
}

export const ActorCall = (() => {
  let _codec: Codec<ActorCall>

  const codec = (): Codec<ActorCall> => {
    if (_codec == null) {
      _codec = message<ActorCall>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.actor != null && obj.actor !== '')) {
          w.uint32(10)
          w.string(obj.actor)
        }

        if ((obj.key != null && obj.key !== '')) {
          w.uint32(18)
          w.string(obj.key)
        }

        if ((obj.method != null && obj.method !== '')) {
          w.uint32(26)
          w.string(obj.method)
        }

        if ((obj.argument != null && obj.argument.byteLength > 0)) {
          w.uint32(34)
          w.bytes(obj.argument)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          actor: '',
          key: '',
          method: '',
          argument: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.actor = reader.string()
              break
            }
            case 2: {
              obj.key = reader.string()
              break
            }
            case 3: {
              obj.method = reader.string()
              break
            }
            case 4: {
              obj.argument = reader.bytes()
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

  function encode (obj: Partial<ActorCall>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, ActorCall.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ActorCall>): ActorCall {
    return decodeMessage(buf, ActorCall.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface ActorReply {
  value: Uint8Array<ArrayBuffer>
}

export const ActorReply = (() => {
  let _codec: Codec<ActorReply>

  const codec = (): Codec<ActorReply> => {
    if (_codec == null) {
      _codec = message<ActorReply>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.value != null && obj.value.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.value)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          value: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.value = reader.bytes()
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

  function encode (obj: Partial<ActorReply>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, ActorReply.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ActorReply>): ActorReply {
    return decodeMessage(buf, ActorReply.codec(), opts)
  }

  return { codec, encode, decode }
})()

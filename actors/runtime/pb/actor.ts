// @ts-nocheck
// Generated from actor.proto by scripts/protons.ts; do not edit.
import { decodeMessage, encodeMessage, MaxLengthError, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface ActorCall {
  actor: string
  key: string
  method: string
  argument: Uint8Array<ArrayBuffer>
  caller: string
  sequence: number
  again: boolean
  activation: string
  sender: string
  epoch: number
  chain: string[]
  traceparent: string
  tracestate: string
  choice: number
  pinned: boolean
  event: string
  input: string
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

        if ((obj.caller != null && obj.caller !== '')) {
          w.uint32(42)
          w.string(obj.caller)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(48)
          w.uint64Number(obj.sequence)
        }

        if ((obj.again != null && obj.again !== false)) {
          w.uint32(56)
          w.bool(obj.again)
        }

        if ((obj.activation != null && obj.activation !== '')) {
          w.uint32(66)
          w.string(obj.activation)
        }

        if ((obj.sender != null && obj.sender !== '')) {
          w.uint32(74)
          w.string(obj.sender)
        }

        if ((obj.epoch != null && obj.epoch !== 0)) {
          w.uint32(80)
          w.uint64Number(obj.epoch)
        }

        if (obj.chain != null && obj.chain.length > 0) {
          for (const value of obj.chain) {
            w.uint32(90)
            w.string(value)
          }
        }

        if ((obj.traceparent != null && obj.traceparent !== '')) {
          w.uint32(98)
          w.string(obj.traceparent)
        }

        if ((obj.tracestate != null && obj.tracestate !== '')) {
          w.uint32(106)
          w.string(obj.tracestate)
        }

        if ((obj.choice != null && obj.choice !== 0)) {
          w.uint32(112)
          w.uint32(obj.choice)
        }

        if ((obj.pinned != null && obj.pinned !== false)) {
          w.uint32(120)
          w.bool(obj.pinned)
        }

        if ((obj.event != null && obj.event !== '')) {
          w.uint32(130)
          w.string(obj.event)
        }

        if ((obj.input != null && obj.input !== '')) {
          w.uint32(138)
          w.string(obj.input)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          actor: '',
          key: '',
          method: '',
          argument: uint8ArrayAlloc(0),
          caller: '',
          sequence: 0,
          again: false,
          activation: '',
          sender: '',
          epoch: 0,
          chain: [],
          traceparent: '',
          tracestate: '',
          choice: 0,
          pinned: false,
          event: '',
          input: ''
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
            case 5: {
              obj.caller = reader.string()
              break
            }
            case 6: {
              obj.sequence = reader.uint64Number()
              break
            }
            case 7: {
              obj.again = reader.bool()
              break
            }
            case 8: {
              obj.activation = reader.string()
              break
            }
            case 9: {
              obj.sender = reader.string()
              break
            }
            case 10: {
              obj.epoch = reader.uint64Number()
              break
            }
            case 11: {
              if (opts.limits?.chain != null && obj.chain.length === opts.limits.chain) {
                throw new MaxLengthError('Decode error - repeated field "chain" had too many elements')
              }

              obj.chain.push(reader.string())
              break
            }
            case 12: {
              obj.traceparent = reader.string()
              break
            }
            case 13: {
              obj.tracestate = reader.string()
              break
            }
            case 14: {
              obj.choice = reader.uint32()
              break
            }
            case 15: {
              obj.pinned = reader.bool()
              break
            }
            case 16: {
              obj.event = reader.string()
              break
            }
            case 17: {
              obj.input = reader.string()
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
  activation: string
  elsewhere?: string
  refused?: string
  failure?: ActorFailure
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

        if ((obj.activation != null && obj.activation !== '')) {
          w.uint32(18)
          w.string(obj.activation)
        }

        if (obj.elsewhere != null) {
          w.uint32(26)
          w.string(obj.elsewhere)
        }

        if (obj.refused != null) {
          w.uint32(34)
          w.string(obj.refused)
        }

        if (obj.failure != null) {
          w.uint32(42)
          ActorFailure.codec().encode(obj.failure, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          value: uint8ArrayAlloc(0),
          activation: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.value = reader.bytes()
              break
            }
            case 2: {
              obj.activation = reader.string()
              break
            }
            case 3: {
              obj.elsewhere = reader.string()
              break
            }
            case 4: {
              obj.refused = reader.string()
              break
            }
            case 5: {
              obj.failure = ActorFailure.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.failure
              })
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

export interface ActorFailure {
  name: string
  message: string
  retryable: boolean
}

export const ActorFailure = (() => {
  let _codec: Codec<ActorFailure>

  const codec = (): Codec<ActorFailure> => {
    if (_codec == null) {
      _codec = message<ActorFailure>((obj, w, opts = {}) => {
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

  function encode (obj: Partial<ActorFailure>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, ActorFailure.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ActorFailure>): ActorFailure {
    return decodeMessage(buf, ActorFailure.codec(), opts)
  }

  return { codec, encode, decode }
})()

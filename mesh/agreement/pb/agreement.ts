// @ts-nocheck
// Generated from agreement.proto by scripts/protons.ts; do not edit.
import { decodeMessage, encodeMessage, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface Ballot {
  round: number
  peer: string
  nonce: number
}

export const Ballot = (() => {
  let _codec: Codec<Ballot>

  const codec = (): Codec<Ballot> => {
    if (_codec == null) {
      _codec = message<Ballot>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.round != null && obj.round !== 0)) {
          w.uint32(8)
          w.uint32(obj.round)
        }

        if ((obj.peer != null && obj.peer !== '')) {
          w.uint32(18)
          w.string(obj.peer)
        }

        if ((obj.nonce != null && obj.nonce !== 0)) {
          w.uint32(24)
          w.uint32(obj.nonce)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          round: 0,
          peer: '',
          nonce: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.round = reader.uint32()
              break
            }
            case 2: {
              obj.peer = reader.string()
              break
            }
            case 3: {
              obj.nonce = reader.uint32()
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

  function encode (obj: Partial<Ballot>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Ballot.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Ballot>): Ballot {
    return decodeMessage(buf, Ballot.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface AgreementMessage {
  kind: number
  key: string
  ballot?: Ballot
  other?: Ballot
  value: Uint8Array<ArrayBuffer>
  report: Uint8Array<ArrayBuffer>
  group: string
  reason: number
  forced: boolean
}

export const AgreementMessage = (() => {
  let _codec: Codec<AgreementMessage>

  const codec = (): Codec<AgreementMessage> => {
    if (_codec == null) {
      _codec = message<AgreementMessage>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.kind != null && obj.kind !== 0)) {
          w.uint32(8)
          w.uint32(obj.kind)
        }

        if ((obj.key != null && obj.key !== '')) {
          w.uint32(18)
          w.string(obj.key)
        }

        if (obj.ballot != null) {
          w.uint32(26)
          Ballot.codec().encode(obj.ballot, w)
        }

        if (obj.other != null) {
          w.uint32(34)
          Ballot.codec().encode(obj.other, w)
        }

        if ((obj.value != null && obj.value.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.value)
        }

        if ((obj.report != null && obj.report.byteLength > 0)) {
          w.uint32(50)
          w.bytes(obj.report)
        }

        if ((obj.group != null && obj.group !== '')) {
          w.uint32(58)
          w.string(obj.group)
        }

        if ((obj.reason != null && obj.reason !== 0)) {
          w.uint32(64)
          w.uint32(obj.reason)
        }

        if ((obj.forced != null && obj.forced !== false)) {
          w.uint32(72)
          w.bool(obj.forced)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          kind: 0,
          key: '',
          value: uint8ArrayAlloc(0),
          report: uint8ArrayAlloc(0),
          group: '',
          reason: 0,
          forced: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.kind = reader.uint32()
              break
            }
            case 2: {
              obj.key = reader.string()
              break
            }
            case 3: {
              obj.ballot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ballot
              })
              break
            }
            case 4: {
              obj.other = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.other
              })
              break
            }
            case 5: {
              obj.value = reader.bytes()
              break
            }
            case 6: {
              obj.report = reader.bytes()
              break
            }
            case 7: {
              obj.group = reader.string()
              break
            }
            case 8: {
              obj.reason = reader.uint32()
              break
            }
            case 9: {
              obj.forced = reader.bool()
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

  function encode (obj: Partial<AgreementMessage>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, AgreementMessage.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AgreementMessage>): AgreementMessage {
    return decodeMessage(buf, AgreementMessage.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface StoredRegister {
  form: number
  group: string
  promised?: Ballot
  accepted?: Ballot
  value: Uint8Array<ArrayBuffer>
  decided: boolean
  forced: boolean
}

export const StoredRegister = (() => {
  let _codec: Codec<StoredRegister>

  const codec = (): Codec<StoredRegister> => {
    if (_codec == null) {
      _codec = message<StoredRegister>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.form != null && obj.form !== 0)) {
          w.uint32(8)
          w.uint32(obj.form)
        }

        if ((obj.group != null && obj.group !== '')) {
          w.uint32(18)
          w.string(obj.group)
        }

        if (obj.promised != null) {
          w.uint32(26)
          Ballot.codec().encode(obj.promised, w)
        }

        if (obj.accepted != null) {
          w.uint32(34)
          Ballot.codec().encode(obj.accepted, w)
        }

        if ((obj.value != null && obj.value.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.value)
        }

        if ((obj.decided != null && obj.decided !== false)) {
          w.uint32(48)
          w.bool(obj.decided)
        }

        if ((obj.forced != null && obj.forced !== false)) {
          w.uint32(56)
          w.bool(obj.forced)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          form: 0,
          group: '',
          value: uint8ArrayAlloc(0),
          decided: false,
          forced: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.form = reader.uint32()
              break
            }
            case 2: {
              obj.group = reader.string()
              break
            }
            case 3: {
              obj.promised = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.promised
              })
              break
            }
            case 4: {
              obj.accepted = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.accepted
              })
              break
            }
            case 5: {
              obj.value = reader.bytes()
              break
            }
            case 6: {
              obj.decided = reader.bool()
              break
            }
            case 7: {
              obj.forced = reader.bool()
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

  function encode (obj: Partial<StoredRegister>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, StoredRegister.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoredRegister>): StoredRegister {
    return decodeMessage(buf, StoredRegister.codec(), opts)
  }

  return { codec, encode, decode }
})()

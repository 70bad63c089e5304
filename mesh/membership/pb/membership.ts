// @ts-nocheck
// Generated from membership.proto by scripts/protons.ts; do not edit.
import { decodeMessage, encodeMessage, MaxLengthError, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface MemberRecord {
  peer: string
  epoch: number
  incarnation: number
  state: number
  addresses: string[]
  version: Uint8Array<ArrayBuffer>
  by: string
  proof: Uint8Array<ArrayBuffer>
}

export const MemberRecord = (() => {
  let _codec: Codec<MemberRecord>

  const codec = (): Codec<MemberRecord> => {
    if (_codec == null) {
      _codec = message<MemberRecord>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.peer != null && obj.peer !== '')) {
          w.uint32(10)
          w.string(obj.peer)
        }

        if ((obj.epoch != null && obj.epoch !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.epoch)
        }

        if ((obj.incarnation != null && obj.incarnation !== 0)) {
          w.uint32(24)
          w.uint32(obj.incarnation)
        }

        if ((obj.state != null && obj.state !== 0)) {
          w.uint32(32)
          w.uint32(obj.state)
        }

        if (obj.addresses != null && obj.addresses.length > 0) {
          for (const value of obj.addresses) {
            w.uint32(42)
            w.string(value)
          }
        }

        if ((obj.version != null && obj.version.byteLength > 0)) {
          w.uint32(50)
          w.bytes(obj.version)
        }

        if ((obj.by != null && obj.by !== '')) {
          w.uint32(58)
          w.string(obj.by)
        }

        if ((obj.proof != null && obj.proof.byteLength > 0)) {
          w.uint32(66)
          w.bytes(obj.proof)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          peer: '',
          epoch: 0,
          incarnation: 0,
          state: 0,
          addresses: [],
          version: uint8ArrayAlloc(0),
          by: '',
          proof: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.peer = reader.string()
              break
            }
            case 2: {
              obj.epoch = reader.uint64Number()
              break
            }
            case 3: {
              obj.incarnation = reader.uint32()
              break
            }
            case 4: {
              obj.state = reader.uint32()
              break
            }
            case 5: {
              if (opts.limits?.addresses != null && obj.addresses.length === opts.limits.addresses) {
                throw new MaxLengthError('Decode error - repeated field "addresses" had too many elements')
              }

              if (obj.addresses.length === 8) {
                throw new MaxLengthError('Decode error - repeated field "addresses" had too many elements')
              }

              obj.addresses.push(reader.string())
              break
            }
            case 6: {
              obj.version = reader.bytes()
              break
            }
            case 7: {
              obj.by = reader.string()
              break
            }
            case 8: {
              obj.proof = reader.bytes()
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

  function encode (obj: Partial<MemberRecord>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, MemberRecord.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<MemberRecord>): MemberRecord {
    return decodeMessage(buf, MemberRecord.codec(), opts)
  }

  return { codec, encode, decode }
})()

export interface MembershipMessage {
  kind: number
  probe: number
  target: string
  epoch: number
  incarnation: number
  digest: number
  reply: boolean
  records: MemberRecord[]
}

export const MembershipMessage = (() => {
  let _codec: Codec<MembershipMessage>

  const codec = (): Codec<MembershipMessage> => {
    if (_codec == null) {
      _codec = message<MembershipMessage>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.kind != null && obj.kind !== 0)) {
          w.uint32(8)
          w.uint32(obj.kind)
        }

        if ((obj.probe != null && obj.probe !== 0)) {
          w.uint32(16)
          w.uint32(obj.probe)
        }

        if ((obj.target != null && obj.target !== '')) {
          w.uint32(26)
          w.string(obj.target)
        }

        if ((obj.epoch != null && obj.epoch !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.epoch)
        }

        if ((obj.incarnation != null && obj.incarnation !== 0)) {
          w.uint32(40)
          w.uint32(obj.incarnation)
        }

        if ((obj.digest != null && obj.digest !== 0)) {
          w.uint32(53)
          w.fixed32(obj.digest)
        }

        if ((obj.reply != null && obj.reply !== false)) {
          w.uint32(56)
          w.bool(obj.reply)
        }

        if (obj.records != null && obj.records.length > 0) {
          for (const value of obj.records) {
            w.uint32(66)
            MemberRecord.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          kind: 0,
          probe: 0,
          target: '',
          epoch: 0,
          incarnation: 0,
          digest: 0,
          reply: false,
          records: []
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
              obj.probe = reader.uint32()
              break
            }
            case 3: {
              obj.target = reader.string()
              break
            }
            case 4: {
              obj.epoch = reader.uint64Number()
              break
            }
            case 5: {
              obj.incarnation = reader.uint32()
              break
            }
            case 6: {
              obj.digest = reader.fixed32()
              break
            }
            case 7: {
              obj.reply = reader.bool()
              break
            }
            case 8: {
              if (opts.limits?.records != null && obj.records.length === opts.limits.records) {
                throw new MaxLengthError('Decode error - repeated field "records" had too many elements')
              }

              if (obj.records.length === 512) {
                throw new MaxLengthError('Decode error - repeated field "records" had too many elements')
              }

              obj.records.push(MemberRecord.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.records$
              }))
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

  function encode (obj: Partial<MembershipMessage>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, MembershipMessage.codec())
  }

  function decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<MembershipMessage>): MembershipMessage {
    return decodeMessage(buf, MembershipMessage.codec(), opts)
  }

  return { codec, encode, decode }
})()

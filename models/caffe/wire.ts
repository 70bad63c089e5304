import { MalformedError } from '../../common/index.ts'
import { Message, type Scalar } from './message.ts'
import { type Field, type MessageType, messageType } from './schema.ts'

/*
 * Protobuf's binary encoding of the schema's messages, for weights and snapshots. Nothing is allocated for a length before as many bytes
 * are known to be there; fields that the schema does not have are skipped, as protobuf prescribes.
 */

/** Messages within messages. */
const MAX_DEPTH = 32

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

/**
 * Reads a message from its binary encoding. Floats are views into `bytes` where they lie aligned, copies where not.
 *
 * @param file - what errors call the bytes
 * @throws MalformedError naming the file and the offset of the byte where it stops making sense
 */
export function decodeMessage(bytes: Uint8Array, type: string, file: string): Message {
  const reader = new Reader(bytes, file)
  return readMessage(reader, messageType(type), bytes.byteLength, 0)
}

class Reader {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly file: string
  at = 0

  constructor(bytes: Uint8Array, file: string) {
    this.bytes = bytes
    this.file = file
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  fail(why: string): never {
    throw new MalformedError(`${this.file}: ${why} at byte ${this.at}`)
  }

  /** A number of up to 64 bits; beyond 2⁵³ only its magnitude is kept. */
  varint(end: number): number {
    let low = 0
    let high = 0
    for (let i = 0; i < 10; i++) {
      if (this.at >= end) return this.fail('a number is cut off')
      const byte = this.bytes[this.at++]
      const part = byte & 0x7f
      if (i < 4) low += part * 2 ** (7 * i)
      else if (i === 4) {
        low += (part & 0xf) * 2 ** 28
        high = part >> 4
      } else high += part * 2 ** (7 * i - 32)
      if (byte < 0x80) return high >= 2 ** 31 ? -((2 ** 32 - 1 - high) * 2 ** 32 + (2 ** 32 - low)) : high * 2 ** 32 + low
    }
    return this.fail('a number is longer than ten bytes')
  }

  /** Moves over `length` bytes. @returns where they begin */
  take(length: number, end: number): number {
    if (!(length >= 0 && length <= end - this.at)) this.fail(`${length} bytes are announced and ${end - this.at} are left`)
    const start = this.at
    this.at += length
    return start
  }
}

function readMessage(r: Reader, type: MessageType, end: number, depth: number): Message {
  if (depth > MAX_DEPTH) r.fail(`messages may be nested ${MAX_DEPTH} deep`)
  const message = new Message(type, { file: r.file })
  while (r.at < end) {
    const tag = r.varint(end)
    const field = type.numbers.get(Math.floor(tag / 8))
    if (tag < 8) r.fail('a field has no number')
    if (field === undefined) skip(r, tag % 8, end)
    else readField(r, message, field, tag % 8, end, depth)
  }
  return message
}

function skip(r: Reader, wire: number, end: number): void {
  if (wire === VARINT) r.varint(end)
  else if (wire === FIXED64) r.take(8, end)
  else if (wire === FIXED32) r.take(4, end)
  else if (wire === LENGTH) r.take(r.varint(end), end)
  else r.fail(`wire type ${wire} is not known`)
}

function readField(r: Reader, into: Message, field: Field, wire: number, end: number, depth: number): void {
  const { type } = field
  const message = typeof type === 'object' && type.kind === 'message'
  if (wire === LENGTH && !message && type !== 'string') {
    if (!field.repeated) r.fail(`field ${into.type.name}.${field.name} is no list`)
    const length = r.varint(end)
    const start = r.take(length, end)
    if (type === 'float') addFloats(r, into, field, start, length)
    else {
      r.at = start
      while (r.at < start + length) add(into, field, readScalar(r, field, start + length))
    }
    return
  }
  const expected = message || type === 'string' ? LENGTH : type === 'float' ? FIXED32 : type === 'double' ? FIXED64 : VARINT
  if (wire !== expected) r.fail(`field ${into.type.name}.${field.name} has wire type ${wire}`)
  if (message) {
    const length = r.varint(end)
    const start = r.take(length, end)
    r.at = start
    add(into, field, readMessage(r, type, start + length, depth + 1))
  } else add(into, field, readScalar(r, field, end))
}

function add(into: Message, field: Field, value: Scalar | Message): void {
  const values = into.values.get(field.name)
  // The last of several values counts where there may be one.
  if (values === undefined || !field.repeated) into.values.set(field.name, [value] as Scalar[])
  else if (values instanceof Float32Array) into.values.set(field.name, [...values, value as number])
  else (values as Scalar[]).push(value as Scalar)
}

function addFloats(r: Reader, into: Message, field: Field, start: number, length: number): void {
  if (length % 4 !== 0) r.fail(`field ${into.type.name}.${field.name} has ${length} bytes of floats`)
  const from = r.bytes.byteOffset + start
  const floats =
    from % 4 === 0
      ? new Float32Array(r.bytes.buffer, from, length / 4)
      : new Float32Array(new Uint8Array(r.bytes.subarray(start, start + length)).buffer)
  const before = into.values.get(field.name)
  if (before === undefined) {
    into.values.set(field.name, floats)
    return
  }
  const joined = new Float32Array(before.length + floats.length)
  joined.set(before as ArrayLike<number>)
  joined.set(floats, before.length)
  into.values.set(field.name, joined)
}

const utf8 = new TextDecoder()

function readScalar(r: Reader, field: Field, end: number): Scalar {
  const { type } = field
  if (type === 'float') return r.view.getFloat32(r.take(4, end), true)
  if (type === 'double') return r.view.getFloat64(r.take(8, end), true)
  if (type === 'string') {
    const length = r.varint(end)
    const start = r.take(length, end)
    return utf8.decode(r.bytes.subarray(start, start + length))
  }
  const value = r.varint(end)
  if (type === 'bool') return value !== 0
  if (type === 'int') return value
  return (type as { names: Map<number, string> }).names.get(value) ?? r.fail(`field ${field.name} has no value ${value}`)
}

/**
 * The binary encoding of a message, in parts that are to be written one behind the other: floats are not copied.
 */
export function encodeMessage(message: Message): Uint8Array[] {
  const parts: Uint8Array[] = []
  const fields = [...message.type.fields.values()].filter(f => f.number > 0 && message.values.has(f.name))
  for (const field of fields.sort((a, b) => a.number - b.number)) {
    const values = message.values.get(field.name)!
    if (field.type === 'float' && field.repeated) {
      if (values.length === 0) continue
      const floats = values instanceof Float32Array ? values : Float32Array.from(values as number[])
      const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength)
      parts.push(header(field, LENGTH), varint(bytes.byteLength), bytes)
      continue
    }
    for (const value of values as (Scalar | Message)[]) parts.push(...encodeValue(field, value))
  }
  return parts
}

/** Length of parts together, bytes. */
export function totalLength(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0)
}

function encodeValue(field: Field, value: Scalar | Message): Uint8Array[] {
  const { type } = field
  if (value instanceof Message) {
    const parts = encodeMessage(value)
    return [header(field, LENGTH), varint(totalLength(parts)), ...parts]
  }
  if (type === 'string') {
    const bytes = new TextEncoder().encode(value as string)
    return [header(field, LENGTH), varint(bytes.byteLength), bytes]
  }
  if (type === 'float') return [header(field, FIXED32), new Uint8Array(Float32Array.of(value as number).buffer)]
  if (type === 'double') return [header(field, FIXED64), new Uint8Array(Float64Array.of(value as number).buffer)]
  if (typeof type === 'object')
    return [header(field, VARINT), varint((type as { numbers: Map<string, number> }).numbers.get(value as string)!)]
  return [header(field, VARINT), varint(Number(value))]
}

function header({ number }: Field, wire: number): Uint8Array {
  return varint(number * 8 + wire)
}

function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

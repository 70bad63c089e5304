import { MalformedError, TooLargeError } from '../../common/index.ts'
import { elementAt } from '../graph/tensors.ts'
import type { Attribute, DataType, Dim, Tensor, TensorData, ValueType } from '../graph/types.ts'
import { constantType } from '../shapes/movement.ts'
import { attributeTypes, EXTERNAL, typeBytes, typeNames } from './constants.ts'
import type { AttributeProto, TensorProto, ValueInfoProto } from './pb/onnx_pb.ts'

/** Elements one tensor may have. */
const MAX_ELEMENTS = 2 ** 31
/** Dimensions one tensor may have. */
const MAX_RANK = 16

/** Gives the bytes of a tensor that lies in a file of its own. */
export type ExternalData = (tensor: string, location: string, offset: number, length: number) => Uint8Array

const arrays: Partial<Record<DataType, new (buffer: ArrayBuffer) => TensorData>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array
}

/**
 * A tensor of a file, its size checked against its bytes before anything is allocated.
 *
 * @param where - what messages call the tensor
 */
export function decodeTensor(proto: TensorProto, where: string, external: ExternalData): Tensor {
  const type = typeNames[proto.dataType]
  const Elements = type === undefined ? undefined : arrays[type]
  if (type === undefined || Elements === undefined) throw new MalformedError(`${where}: element type ${proto.dataType} is not known`)
  const shape = proto.dims.map(d => Number(d))
  if (shape.length > MAX_RANK || shape.some(d => d < 0 || d > MAX_ELEMENTS))
    throw new MalformedError(`${where}: [${shape.slice(0, MAX_RANK)}] is no shape`)
  const count = shape.reduce((a, b) => a * b, 1)
  if (count > MAX_ELEMENTS) throw new TooLargeError(`${where}: ${count} elements are more than ${MAX_ELEMENTS}`)
  const bytes = count * typeBytes[type]
  if (proto.dataLocation === EXTERNAL) return { type, shape, data: new Elements(copy(decodeExternal(proto, where, bytes, external))) }
  if (proto.rawData !== undefined) {
    if (proto.rawData.byteLength !== bytes) {
      throw new MalformedError(`${where}: [${shape.join(', ')}] of ${type} needs ${bytes} bytes and has ${proto.rawData.byteLength}`)
    }
    return { type, shape, data: new Elements(copy(proto.rawData)) }
  }
  const values = typedValues(proto, type)
  if (values.length !== count) throw new MalformedError(`${where}: [${shape.join(', ')}] needs ${count} elements and has ${values.length}`)
  const data = new Elements(new ArrayBuffer(bytes))
  const big = type === 'int64' || type === 'uint64'
  for (let i = 0; i < count; i++) data[i] = big ? BigInt(values[i]) : Number(values[i])
  return { type, shape, data }
}

function typedValues(proto: TensorProto, type: DataType): ArrayLike<number | bigint> {
  switch (type) {
    case 'float32':
      return proto.floatData
    case 'float64':
      return proto.doubleData
    case 'int64':
      return proto.int64Data
    case 'uint32':
    case 'uint64':
      return proto.uint64Data
    default:
      return proto.int32Data
  }
}

function decodeExternal(proto: TensorProto, where: string, bytes: number, external: ExternalData): Uint8Array {
  const entry = (key: string) => proto.externalData.find(e => e.key === key)?.value
  const location = entry('location')
  const offset = Number(entry('offset') ?? 0)
  const length = Number(entry('length') ?? bytes)
  if (location === undefined || location === '') throw new MalformedError(`${where}: its external data names no file`)
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== bytes) {
    throw new MalformedError(`${where}: external data at ${entry('offset')} of ${entry('length')} bytes does not hold ${bytes} bytes`)
  }
  return external(where, location, offset, length)
}

/** The bytes in a buffer of their own, aligned for every element type. */
function copy(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
}

const utf8 = new TextDecoder()

export function decodeAttribute(a: AttributeProto, where: string, external: ExternalData): Attribute {
  const number = (v: bigint) => {
    const n = Number(v)
    // The ends of int64 stand for "to the end"; they stay ends.
    if (Number.isSafeInteger(n)) return n
    return n > 0 ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER
  }
  switch (a.type) {
    case attributeTypes.float:
      return { float: a.f ?? 0 }
    case attributeTypes.int:
      return number(a.i ?? 0n)
    case attributeTypes.string:
      return utf8.decode(a.s ?? new Uint8Array())
    case attributeTypes.floats:
      return { floats: [...a.floats] }
    case attributeTypes.ints:
      return a.ints.map(number)
    case attributeTypes.strings:
      return a.strings.map(s => utf8.decode(s))
    case attributeTypes.tensor:
      if (a.t === undefined) throw new MalformedError(`${where}: attribute '${a.name}' has no tensor`)
      return { tensor: decodeTensor(a.t, `${where}, attribute '${a.name}'`, external) }
    default:
      return { unknown: a.type }
  }
}

/** The type of a declared input; dimensions without a number become symbols. */
export function decodeValue(value: ValueInfoProto, where: string): ValueType {
  const tensor = value.type?.value.case === 'tensorType' ? value.type.value.value : undefined
  if (tensor === undefined) throw new MalformedError(`${where} '${value.name}' is no tensor`)
  const type = typeNames[tensor.elemType]
  if (type === undefined) throw new MalformedError(`${where} '${value.name}' has the unknown element type ${tensor.elemType}`)
  if (tensor.shape === undefined || tensor.shape.dim.length > MAX_RANK) throw new MalformedError(`${where} '${value.name}' has no shape`)
  const shape = tensor.shape.dim.map((d, i): Dim => {
    if (d.value.case === 'dimValue' && d.value.value > 0n && d.value.value < 2n ** 31n) return Number(d.value.value)
    const name = d.value.case === 'dimParam' ? symbol(d.value.value) : ''
    return name === '' ? (i === 0 ? 'N' : `${symbol(value.name)}_${i}`) : name
  })
  return { type, shape }
}

/** A symbol that dims.ts can compute with. */
function symbol(name: string): string {
  return name
    .replace(/[^A-Za-z0-9_]/g, '_')
    .replace(/^(?=\d)/, '_')
    .slice(0, 64)
}

export function tensorType(t: Tensor): ValueType {
  return constantType(t.type, t.shape, i => elementAt(t, i))
}

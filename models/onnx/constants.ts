import type { DataType } from '../graph/types.ts'

/** ONNX's numbers for element types, and back. */
export const typeNumbers: Record<DataType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16
}

export const typeNames: Record<number, DataType> = Object.fromEntries(Object.entries(typeNumbers).map(([name, n]) => [n, name as DataType]))

/** Bytes an element; a string has none. */
export const typeBytes: Record<DataType, number> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  string: 0,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
  bfloat16: 2
}

/** AttributeProto.type: which field of an attribute holds its value. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8
} as const

/** TensorProto.data_location of a tensor in a file of its own. */
export const EXTERNAL = 1

/** Version of the file format that is written. */
export const IR_VERSION = 10

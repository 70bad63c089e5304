import { create, toBinary } from '@bufbuild/protobuf'
import { InvalidParametersError } from '../../common/index.ts'
import { describe } from '../graph/attributes.ts'
import type { Attribute, Dim, Graph, GraphNode, Tensor, ValueType } from '../graph/types.ts'
import { attributeTypes, IR_VERSION, typeNumbers } from './constants.ts'
import {
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema
} from './pb/onnx_pb.ts'

export interface EncodeOptions {
  /** Parameters that become initializers, with their values; the others become inputs. */
  values?: Map<string, Tensor>
  metadata?: Record<string, string>
}

/**
 * The file that holds `graph`. Parameters and states without values are inputs, after the graph's own, in their order.
 *
 * @returns ONNX bytes
 */
export function encodeGraph(graph: Graph, options: EncodeOptions = {}): Uint8Array<ArrayBuffer> {
  const { values = new Map<string, Tensor>(), metadata = {} } = options
  const inputs = [...graph.inputs, ...[...graph.parameters.keys(), ...graph.states.keys()].filter(p => !values.has(p))]
  const contributed = graph.nodes.some(n => n.domain === 'com.microsoft')
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: 'gradmesh',
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(graph.opset) }),
      ...(contributed ? [create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n })] : [])
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
    graph: create(GraphProtoSchema, {
      name: graph.name === '' ? 'graph' : graph.name,
      node: graph.nodes.map(encodeNode),
      initializer: [...graph.constants, ...values].map(([name, tensor]) => encodeTensor(tensor, name)),
      input: inputs.map(name => encodeValue(name, graph.types.get(name)!)),
      output: graph.outputs.map(name => encodeValue(name, graph.types.get(name)!))
    })
  })
  return toBinary(ModelProtoSchema, model)
}

function encodeValue(name: string, type: ValueType): ValueInfoProto {
  const dim = type.shape.map(d => create(TensorShapeProto_DimensionSchema, { value: encodeDim(d) }))
  const tensor = create(TypeProto_TensorSchema, { elemType: typeNumbers[type.type], shape: create(TensorShapeProtoSchema, { dim }) })
  return create(ValueInfoProtoSchema, { name, type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }) })
}

function encodeDim(d: Dim): { case: 'dimValue'; value: bigint } | { case: 'dimParam'; value: string } {
  return typeof d === 'number' ? { case: 'dimValue', value: BigInt(d) } : { case: 'dimParam', value: d }
}

function encodeNode(node: GraphNode): NodeProto {
  return create(NodeProtoSchema, {
    opType: node.op,
    domain: node.domain,
    name: node.name,
    input: node.inputs,
    output: node.outputs,
    attribute: Object.entries(node.attributes).map(([name, value]) => encodeAttribute(node, name, value))
  })
}

const utf8 = new TextEncoder()

function encodeAttribute(node: GraphNode, name: string, value: Attribute): AttributeProto {
  const a = create(AttributeProtoSchema, { name })
  if (typeof value === 'number') {
    a.type = attributeTypes.int
    a.i = BigInt(value)
  } else if (typeof value === 'string') {
    a.type = attributeTypes.string
    a.s = utf8.encode(value)
  } else if (Array.isArray(value)) {
    if (value.length > 0 && typeof value[0] === 'string') {
      a.type = attributeTypes.strings
      a.strings = (value as string[]).map(s => utf8.encode(s))
    } else {
      a.type = attributeTypes.ints
      a.ints = (value as number[]).map(v => BigInt(v))
    }
  } else if ('float' in value) {
    a.type = attributeTypes.float
    a.f = value.float
  } else if ('floats' in value) {
    a.type = attributeTypes.floats
    a.floats = value.floats
  } else if ('tensor' in value) {
    a.type = attributeTypes.tensor
    a.t = encodeTensor(value.tensor, '')
  } else {
    throw new InvalidParametersError(`node ${describe(node)}: attribute '${name}' is of a kind (${value.unknown}) that cannot be written`)
  }
  return a
}

function encodeTensor(tensor: Tensor, name: string): TensorProto {
  const { data } = tensor
  return create(TensorProtoSchema, {
    name,
    dims: tensor.shape.map(d => BigInt(d)),
    dataType: typeNumbers[tensor.type],
    rawData: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  })
}

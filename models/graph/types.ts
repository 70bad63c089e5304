/** Element types of tensors, named as onnxruntime's JavaScript face names them. */
export type DataType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string'

/** A dimension: a number, or an expression over symbols such as `N` or `12*N` (see dims.ts). */
export type Dim = number | string

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array

/** A constant; bool as bytes 0 and 1, float16 and bfloat16 as their 16 bits. */
export interface Tensor {
  type: DataType
  shape: number[]
  data: TensorData
}

/** A float attribute; plain numbers are integers. */
export interface FloatAttribute {
  float: number
}

export interface FloatsAttribute {
  floats: number[]
}

export interface TensorAttribute {
  tensor: Tensor
}

/** An attribute whose kind (a graph, a list of tensors) no operator known here has; it makes its node refused. */
export interface UnknownAttribute {
  unknown: number
}

export type Attribute = number | number[] | string | string[] | FloatAttribute | FloatsAttribute | TensorAttribute | UnknownAttribute

/** One application of an operator. An empty name stands for an input or output that is left out. */
export interface GraphNode {
  op: string
  /** '' is ONNX's own domain. */
  domain: string
  name: string
  inputs: string[]
  outputs: string[]
  attributes: Record<string, Attribute>
}

/** What is known of a value before anything runs. */
export interface ValueType {
  type: DataType
  shape: Dim[]
  /** Elements of a small integer tensor (a shape, axes, a size), where they can be computed ahead. */
  content?: Dim[]
  /** Elements of a small float constant (scales, bounds). */
  values?: number[]
}

/** How a parameter gets its first values, in Caffe's terms. */
export type Filler =
  | { type: 'constant'; value: number }
  | { type: 'uniform'; min: number; max: number }
  /** `sparse`: expected non-zero inputs an output, after Martens 2010; absent: all. */
  | { type: 'gaussian'; mean?: number; std: number; sparse?: number }
  /** Uniform ±√(3/n), n = fan-in, fan-out or their mean. @see Glorot & Bengio 2010 */
  | { type: 'xavier'; norm?: 'fan_in' | 'fan_out' | 'average' }
  /** Normal, √(2/n). @see He 2015 */
  | { type: 'msra'; norm?: 'fan_in' | 'fan_out' | 'average' }
  /** Each output's weights uniform in [0, 1), scaled to sum to 1. */
  | { type: 'positive_unitball' }
  /** Interpolation kernel of a transposed convolution. */
  | { type: 'bilinear' }
  /** The values that a loaded model came with. */
  | { type: 'given'; values: Float32Array }

export interface Parameter {
  name: string
  shape: number[]
  /** Factors on the learning rate and the weight decay. */
  lrMult: number
  decayMult: number
  filler: Filler
}

/** A parameter's place in the flat arenas. */
export interface ParameterInfo extends Parameter {
  /** Floats from the arena's start. */
  offset: number
  /** Floats. */
  size: number
}

/** All parameters, in the order in which the forward graph first reads them. */
export interface ParameterLayout {
  /** Floats. */
  total: number
  parameters: ParameterInfo[]
}

/**
 * A forward model in memory: nodes in topological order, every value with a name, every name assigned once, and the type of
 * each value inferred.
 */
export interface Graph {
  name: string
  /** Version of ONNX's operator set that the nodes follow. */
  opset: number
  /** Values fed from outside; the first one is the data, its first dimension the batch. */
  inputs: string[]
  outputs: string[]
  /** Outputs after the first whose loss is trained too (auxiliary classifiers), with its weight; the exported model leaves them out. */
  auxiliary: Map<string, number>
  nodes: GraphNode[]
  /** Constants that are not trained. */
  constants: Map<string, Tensor>
  /** Trained tensors. */
  parameters: Map<string, Parameter>
  /** Tensors that a step of training changes without a gradient: running statistics. */
  states: Map<string, Parameter>
  /** Values that states take after a step, by state, where nodes compute them. */
  updates?: Map<string, string>
  /** Type of every input, constant, parameter, state and node output. */
  types: Map<string, ValueType>
}

/** The operator set that graphs are built in, and that loaded ones are brought to. */
export const OPSET = 22

/** An empty graph. */
export function createGraph(name: string, opset = OPSET): Graph {
  return {
    name,
    opset,
    inputs: [],
    outputs: [],
    auxiliary: new Map(),
    nodes: [],
    constants: new Map(),
    parameters: new Map(),
    states: new Map(),
    types: new Map()
  }
}

/** A graph that shares nothing mutable with `graph` but tensors' elements. */
export function copyGraph(graph: Graph): Graph {
  return {
    ...graph,
    inputs: [...graph.inputs],
    outputs: [...graph.outputs],
    auxiliary: new Map(graph.auxiliary),
    nodes: graph.nodes.map(n => ({ ...n, inputs: [...n.inputs], outputs: [...n.outputs] })),
    constants: new Map(graph.constants),
    parameters: new Map(graph.parameters),
    states: new Map(graph.states),
    ...(graph.updates === undefined ? {} : { updates: new Map(graph.updates) }),
    types: new Map(graph.types)
  }
}

import { fromBinary } from '@bufbuild/protobuf'
import { GradmeshError, InvalidParametersError, MalformedError, TooLargeError } from '../../common/index.ts'
import { freezeParameters } from '../freeze.ts'
import { describe } from '../graph/attributes.ts'
import { createGraph, type Graph, type GraphNode, OPSET, type Parameter, type Tensor, type ValueType } from '../graph/types.ts'
import { inferNode } from '../shapes/index.ts'
import { decodeAttribute, decodeTensor, decodeValue, type ExternalData, tensorType } from './decode.ts'
import { inferenceForm } from './inference.ts'
import { type GraphProto, type ModelProto, ModelProtoSchema } from './pb/onnx_pb.ts'
import { explicitPadding, upgradeNode } from './upgrade.ts'

/** Oldest and newest operator set that is read. */
const OPSETS = [13, 22]
/** Nodes one model may have. */
const MAX_NODES = 200_000
/** Characters one name may have. */
const MAX_NAME = 1024

export interface LoadOptions {
  /** What messages call the file. @default 'model' */
  name?: string
  /** Parameters that stay as they are: names, with * for any characters and ? for one. */
  freeze?: string[]
  /** Where tensors outside the file come from; without it they are refused. */
  external?: ExternalData
  /** Shape of one sample of the first input, where the file leaves dimensions open; those that it fixes stay. */
  sample?: number[]
}

/** Inputs that hold settings or statistics, not weights; an initializer there is never trained. */
const settings: Record<string, number[]> = {
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  Dropout: [1, 2],
  Pad: [2],
  Resize: [1, 2],
  Range: [0, 1, 2],
  OneHot: [2]
}

/**
 * A forward model from ONNX bytes: operator sets 13 to 22, brought to 22. Its float32 initializers become parameters with the values
 * that they have; all others are constants.
 *
 * @throws MalformedError naming the file and the node or tensor that is wrong
 * @throws InvalidParametersError when the file is sound and asks for something that is not known here
 */
export function loadOnnx(bytes: Uint8Array, options: LoadOptions = {}): Graph {
  const file = options.name ?? 'model'
  try {
    const graph = build(parse(bytes), options.external ?? refuseExternal, options.sample)
    return options.freeze === undefined ? graph : freezeParameters(graph, options.freeze)
  } catch (error) {
    if (error instanceof MalformedError) throw new MalformedError(`${file}: ${error.message}`, { cause: error })
    if (error instanceof TooLargeError) throw new TooLargeError(`${file}: ${error.message}`, { cause: error })
    if (error instanceof InvalidParametersError) throw new InvalidParametersError(`${file}: ${error.message}`, { cause: error })
    if (error instanceof GradmeshError) throw error
    // Whatever bytes made a rule stumble over, they are no model.
    throw new MalformedError(`${file}: not a sound ONNX model (${oneLine(error)})`, { cause: error })
  }
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0].slice(0, 200)
}

function refuseExternal(tensor: string): never {
  throw new MalformedError(`${tensor} lies in another file; open the model by its path`)
}

export function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes)
  } catch (error) {
    throw new MalformedError(`not an ONNX file, or cut off after ${bytes.byteLength} bytes (${oneLine(error)})`)
  }
}

function build(model: ModelProto, external: ExternalData, sample?: number[]): Graph {
  const proto = model.graph
  if (proto === undefined || proto.node.length === 0) throw new MalformedError('it holds no graph')
  if (model.functions.length > 0)
    throw new InvalidParametersError('functions of the model’s own are not known; export it with them inlined')
  if (proto.sparseInitializer.length > 0) throw new InvalidParametersError('sparse initializers are not known; export it with dense ones')
  if (proto.node.length > MAX_NODES) throw new TooLargeError(`${proto.node.length} nodes are more than ${MAX_NODES}`)
  const opset = Number(model.opsetImport.find(o => o.domain === '' || o.domain === 'ai.onnx')?.version ?? 0)
  if (opset < OPSETS[0] || opset > OPSETS[1]) {
    throw new InvalidParametersError(`operator set ${opset} is not one of ${OPSETS[0]} to ${OPSETS[1]}; convert the model to one of them`)
  }
  checkNames(proto)
  const graph = createGraph(proto.name, OPSET)
  const initializers = readInitializers(proto, external)
  for (const [name, tensor] of initializers) {
    graph.constants.set(name, tensor)
    graph.types.set(name, tensorType(tensor))
  }
  let first: ValueType | undefined
  for (const input of proto.input) {
    if (initializers.has(input.name)) continue
    if (input.name === '' || graph.types.has(input.name)) throw new MalformedError(`input '${input.name}' is there twice or has no name`)
    graph.inputs.push(input.name)
    const given = decodeValue(input, 'input')
    first ??= given
    graph.types.set(input.name, openBatch(given, first, given === first ? sample : undefined))
  }
  if (graph.inputs.length === 0) throw new InvalidParametersError('the model has no input to feed data to')
  graph.outputs = proto.output.map(o => o.name)
  const nodes = inferenceForm(graph, sorted(graph, readNodes(proto, external)), new Set(graph.outputs))
  for (const node of nodes) append(graph, node, opset)
  if (graph.outputs.length === 0) throw new MalformedError('it has no outputs')
  for (const output of graph.outputs) if (!graph.types.has(output)) throw new MalformedError(`output '${output}' is assigned by no node`)
  takeParameters(graph, initializers)
  return graph
}

/** An input for batches of any size, and for samples of a known shape where the file leaves theirs open. */
function openBatch(given: ValueType, first: ValueType, sample?: number[]): ValueType {
  const [batch, ...rest] = given.shape
  const [leading] = first.shape
  // Exporters name the batch anew for each input, or write the size of their example where they were not asked to leave it open.
  if (batch === undefined || leading === undefined || (typeof batch === 'number' && batch !== leading)) return given
  const known = sample?.length === rest.length ? rest.map((d, i) => (typeof d === 'string' ? sample[i] : d)) : rest
  return { ...given, shape: [typeof leading === 'number' ? 'N' : leading, ...known] }
}

/** Names reach messages and terminals: one line, no control characters, no end of length. */
function checkNames(proto: GraphProto): void {
  const check = (name: string, what: string) => {
    if (name.length > MAX_NAME) throw new MalformedError(`the name of ${what} has ${name.length} characters; at most ${MAX_NAME} are read`)
    for (let i = 0; i < name.length; i++) {
      const c = name.charCodeAt(i)
      if (c < 32 || c === 127) throw new MalformedError(`the name of ${what} holds a control character at ${i}`)
    }
  }
  proto.input.forEach((v, i) => {
    check(v.name, `input ${i}`)
  })
  proto.output.forEach((v, i) => {
    check(v.name, `output ${i}`)
  })
  proto.initializer.forEach((v, i) => {
    check(v.name, `initializer ${i}`)
  })
  proto.node.forEach((n, i) => {
    for (const name of [n.name, n.opType, n.domain]) check(name, `node ${i}`)
    for (const name of [...n.input, ...n.output]) check(name, `a value of node ${i}`)
    for (const a of n.attribute) check(a.name, `an attribute of node ${i}`)
  })
}

function readInitializers(proto: GraphProto, external: ExternalData): Map<string, Tensor> {
  const initializers = new Map<string, Tensor>()
  for (const t of proto.initializer) {
    if (t.name === '' || initializers.has(t.name)) throw new MalformedError(`initializer '${t.name}' is there twice or has no name`)
    initializers.set(t.name, decodeTensor(t, `initializer '${t.name}'`, external))
  }
  return initializers
}

function readNodes(proto: GraphProto, external: ExternalData): GraphNode[] {
  return proto.node.map(n => {
    const node: GraphNode = {
      op: n.opType,
      domain: n.domain === 'ai.onnx' ? '' : n.domain,
      name: n.name,
      inputs: [...n.input],
      outputs: [...n.output],
      attributes: {}
    }
    const where = `node ${describe(node)}`
    if (!node.outputs.some(o => o !== '')) throw new MalformedError(`${where} has no output`)
    for (const a of n.attribute) {
      if (a.name === '__proto__') throw new MalformedError(`${where} has an attribute called '${a.name}'`)
      node.attributes[a.name] = decodeAttribute(a, where, external)
    }
    return node
  })
}

/** Nodes in an order in which each comes after what it reads (Kahn 1962), otherwise in the file's order. */
function sorted(graph: Graph, nodes: GraphNode[]): GraphNode[] {
  const producer = new Map<string, number>()
  nodes.forEach((node, i) => {
    for (const output of node.outputs) {
      if (output === '') continue
      if (producer.has(output) || graph.types.has(output)) throw new MalformedError(`node ${describe(node)}: '${output}' is assigned twice`)
      producer.set(output, i)
    }
  })
  const waiting = new Array<number>(nodes.length).fill(0)
  const readers: number[][] = nodes.map(() => [])
  nodes.forEach((node, i) => {
    for (const input of new Set(node.inputs)) {
      if (input === '' || graph.types.has(input)) continue
      const from = producer.get(input)
      if (from === undefined) throw new MalformedError(`node ${describe(node)} reads '${input}', which no input, initializer or node gives`)
      waiting[i]++
      readers[from].push(i)
    }
  })
  const order: GraphNode[] = []
  const ready = nodes.flatMap((_, i) => (waiting[i] === 0 ? [i] : []))
  for (let at = 0; at < ready.length; at++) {
    order.push(nodes[ready[at]])
    for (const reader of readers[ready[at]]) if (--waiting[reader] === 0) ready.push(reader)
  }
  if (order.length < nodes.length) {
    const stuck = nodes.find((_, i) => waiting[i] > 0)!
    throw new MalformedError(`the graph has a cycle through or before node ${describe(stuck)}`)
  }
  return order
}

function append(graph: Graph, node: GraphNode, opset: number): void {
  const constant = node.op === 'Constant' && node.domain === '' ? constantOf(node) : undefined
  if (constant !== undefined) {
    graph.constants.set(node.outputs[0], constant)
    graph.types.set(node.outputs[0], tensorType(constant))
    return
  }
  for (const [name, value] of Object.entries(node.attributes)) {
    if (typeof value === 'object' && !Array.isArray(value) && 'unknown' in value) {
      throw new InvalidParametersError(`node ${describe(node)}: attribute '${name}' is of a kind that is not known (control flow is not)`)
    }
  }
  if (node.domain === '') upgradeNode(graph, node, opset)
  explicitPadding(graph, node)
  const types = inferNode(node, graph.types)
  graph.nodes.push(node)
  node.outputs.forEach((output, i) => {
    if (output === '') return
    if (types[i] === undefined)
      throw new MalformedError(`node ${describe(node)} has ${node.outputs.length} outputs and the operator ${types.length}`)
    graph.types.set(output, types[i])
  })
}

function constantOf(node: GraphNode): Tensor | undefined {
  const [[name, value]] = Object.entries(node.attributes).concat([['', 0]])
  if (typeof value === 'object' && !Array.isArray(value)) {
    if ('tensor' in value) return value.tensor
    if ('float' in value) return { type: 'float32', shape: [], data: Float32Array.of(value.float) }
    if ('floats' in value) return { type: 'float32', shape: [value.floats.length], data: Float32Array.from(value.floats) }
  }
  if (name === 'value_int') return { type: 'int64', shape: [], data: BigInt64Array.of(BigInt(value as number)) }
  if (name === 'value_ints')
    return { type: 'int64', shape: [(value as number[]).length], data: BigInt64Array.from(value as number[], BigInt) }
  return undefined
}

/** Turns the float initializers that are weights into parameters. */
function takeParameters(graph: Graph, initializers: ReadonlyMap<string, Tensor>): void {
  const setting = new Set<string>()
  const read = new Set<string>()
  for (const node of graph.nodes) {
    node.inputs.forEach((input, i) => {
      read.add(input)
      if (node.domain === '' && settings[node.op]?.includes(i)) setting.add(input)
    })
  }
  for (const node of graph.nodes) {
    if (node.domain !== '' || node.op !== 'BatchNormalization') continue
    for (const name of node.inputs.slice(3, 5)) {
      const tensor = initializers.get(name)
      if (tensor?.type !== 'float32') continue
      graph.states.set(name, given(name, tensor))
      graph.constants.delete(name)
    }
  }
  for (const [name, tensor] of initializers) {
    if (tensor.type !== 'float32' || setting.has(name) || !read.has(name)) continue
    graph.parameters.set(name, given(name, tensor))
    graph.constants.delete(name)
    graph.types.set(name, { type: 'float32', shape: tensor.shape })
  }
}

function given(name: string, tensor: Tensor): Parameter {
  return { name, shape: tensor.shape, lrMult: 1, decayMult: 1, filler: { type: 'given', values: tensor.data as Float32Array } }
}

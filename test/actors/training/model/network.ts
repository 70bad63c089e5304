import { float } from '../../../../models/graph/attributes.ts'
import { Emitter } from '../../../../models/graph/emitter.ts'
import { createGraph, type Filler, type Graph } from '../../../../models/graph/types.ts'
import { exportModel, initialise, parameterLayout } from '../../../../models/index.ts'

/** An ONNX file: of pictures of digits, a convolution, then what is named, then a classifier. */
export function network(...middle: ('dropout' | 'batch normalization')[]): Uint8Array {
  const graph: Graph = createGraph('network')
  graph.inputs.push('data')
  graph.types.set('data', { type: 'float32', shape: ['N', 1, 28, 28] })
  const parameter = (name: string, shape: number[], filler: Filler, into = graph.parameters) => {
    into.set(name, { name, shape, lrMult: 1, decayMult: 1, filler })
    graph.types.set(name, { type: 'float32', shape })
    return name
  }
  const e = new Emitter(graph)
  const constant = (value: number): Filler => ({ type: 'constant', value })
  let x = e.op('Conv', ['data', parameter('conv.w', [4, 1, 5, 5], { type: 'xavier' })], { strides: [3, 3], kernel_shape: [5, 5] })
  if (middle.includes('dropout')) x = e.op('Dropout', [x, e.constant({ type: 'float32', shape: [], data: Float32Array.of(0.4) })])
  if (middle.includes('batch normalization')) {
    const [scale, shift] = [parameter('bn.scale', [4], constant(1)), parameter('bn.shift', [4], constant(0))]
    const statistics = [parameter('bn.mean', [4], constant(0), graph.states), parameter('bn.var', [4], constant(1), graph.states)]
    x = e.op('BatchNormalization', [x, scale, shift, ...statistics], { momentum: float(0.9) })
  }
  x = e.op('Flatten', [e.op('Relu', [x])])
  graph.outputs = [e.op('MatMul', [x, parameter('ip.w', [256, 10], { type: 'gaussian', std: 0.05 })], {}, 'scores')]
  const layout = parameterLayout(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 1, arena)
  return exportModel(graph, layout, arena)
}

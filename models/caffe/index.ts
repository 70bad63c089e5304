/**
 * Caffe's files: nets and solvers in protobuf's text format, weights and snapshots in its binary one, and nets as graphs.
 *
 * @example
 * const net = parseNet(await readFile('lenet_train_test.prototxt', 'utf8'), 'lenet_train_test.prototxt')
 * const { graph, training } = caffeModel(net, { shape: [1, 28, 28] })
 * const model = trainingGraph(graph, training)
 */
import type { Graph } from '../graph/types.ts'
import type { TrainingOptions } from '../training.ts'
import { type ConvertedNet, convertNet } from './convert.ts'
import { filterLayers, type Phase, stateOf } from './filter.ts'
import { declaredShape as shapeOfData } from './layers/data.ts'
import { batchSize, type CaffeInput, dataLayers, sourceOf } from './layers/index.ts'
import type { Message } from './message.ts'
import type { CaffeNet } from './net.ts'

export { netOf } from './from-model.ts'
export { Message } from './message.ts'
export { type CaffeNet, parseNet } from './net.ts'
export { printText } from './print.ts'
export { type CaffeSolver, isSolver, type NetReference, parseSolver } from './solver.ts'
export { parseText } from './text.ts'
export {
  type CaffeBlob,
  learnable,
  readSolverState,
  readWeights,
  type SolverState,
  useWeights,
  writeSolverState,
  writeWeights
} from './weights.ts'
export type { CaffeInput, ConvertedNet }

/** The shape of a sample that the net's data layers declare; undefined where none does. */
export function declaredShape(net: CaffeNet): number[] | undefined {
  return net
    .messages('layer')
    .map(shapeOfData)
    .find(shape => shape !== undefined)
}

/** What a net says of the data that it takes in a phase. */
export interface CaffeData {
  /** Samples a batch. */
  batch?: number
  /** What it reads, which `--data` takes the place of. */
  source?: string
  /** File of a mean that is subtracted. */
  meanFile?: string
}

/** What the data layers of a net say in one phase. @param over - state of a solver that counts over the net's own */
export function caffeData(net: CaffeNet, phase: Phase, over?: Message): CaffeData {
  const state = stateOf(phase, net.message('state'), ...(over === undefined ? [] : [over]))
  const layer = filterLayers(net, state).find(l => dataLayers.has(l.string('type')))
  if (layer === undefined) return {}
  const transform = layer.message('transform_param')
  const said = {
    batch: batchSize(layer),
    source: sourceOf(layer),
    meanFile: transform.has('mean_file') ? transform.string('mean_file') : undefined
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

export interface CaffeModelOptions {
  /** States of a solver that count over the nets' own. */
  train?: Message
  test?: Message
  /** The net that scores the test data, where it is another file. @default the net itself */
  testNet?: CaffeNet
}

export interface CaffeModel {
  /** The net in phase TEST, with the parameters that are trained: what is exported. */
  graph: Graph
  /** The net in phase TRAIN. */
  train: ConvertedNet
  test: ConvertedNet
  /** How {@link ConvertedNet.graph} of `train` is made a training graph. */
  training: TrainingOptions
}

/**
 * A net as it is trained and as it is tested.
 *
 * @throws MalformedError, InvalidParametersError naming file, position and layer
 */
export function caffeModel(net: CaffeNet, input: CaffeInput, options: CaffeModelOptions = {}): CaffeModel {
  const states = (own: Message, over: Message | undefined) => [own.message('state'), ...(over === undefined ? [] : [over])]
  const testNet = options.testNet ?? net
  const train = convertNet(net, stateOf('TRAIN', ...states(net, options.train)), input)
  const test = convertNet(testNet, stateOf('TEST', ...states(testNet, options.test)), input)
  // Lighter heads help in training only; they are left out of what is exported.
  const [heaviest] = test.heads
  for (const { value, weight } of test.heads) {
    if (weight < heaviest.weight && test.graph.outputs.includes(value)) test.graph.auxiliary.set(value, weight)
  }
  return { graph: test.graph, train, test, training: { loss: train.loss, evaluation: { graph: test.graph, loss: test.loss } } }
}

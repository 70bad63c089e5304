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
import { stateOf } from './filter.ts'
import type { CaffeInput } from './layers/index.ts'
import type { Message } from './message.ts'
import { parseText } from './text.ts'
import { upgradeNet } from './upgrade.ts'

export { Message } from './message.ts'
export { printText } from './print.ts'
export { parseText } from './text.ts'
export type { CaffeInput }

/** A net of Caffe's, read and brought to today's form. */
export type CaffeNet = Message

/**
 * Reads a net.
 *
 * @param file - what errors call the text
 * @throws MalformedError `file:line:column: …`
 */
export function parseNet(text: string, file: string): CaffeNet {
  return upgradeNet(parseText(text, 'NetParameter', file))
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

import { InvalidParametersError } from '../common/index.ts'
import { freezeParameters } from './freeze.ts'
import { backward } from './gradients/index.ts'
import { Emitter } from './graph/emitter.ts'
import { prune, rename } from './graph/prune.ts'
import { copyGraph, type Graph, type ParameterLayout } from './graph/types.ts'
import { type LossName, type LossOutputs, losses } from './losses/index.ts'
import { lower, SAMPLES } from './lowering/index.ts'
import { encodeGraph } from './onnx/encode.ts'
import { parameterLayout, stateLayout } from './parameters.ts'

/** A model made ready for training: two ONNX files and what their inputs and outputs are called. */
export interface TrainingGraph {
  /**
   * ONNX bytes: inputs are the data, the labels and every parameter by name; outputs are lossSum, denominator and correct (float32
   * scalars) and a gradient of lossSum for each parameter, last layer first.
   */
  train: Uint8Array
  /** ONNX bytes, forward only: the same inputs; outputs lossSum, denominator, correct. */
  evaluate: Uint8Array
  inputs: {
    /** `shape` without the batch, which may have any size from 1 on. */
    data: { name: string; shape: number[] }
    /** `shape` without the batch: [] for one label a sample. */
    labels: { name: string; type: 'int32' | 'float32'; shape: number[] }
    /** One number a sample, a hash of (seed, epoch, sample id), for what is random in training; absent where nothing is. */
    samples?: { name: string; type: 'int32' }
  }
  outputs: {
    lossSum: string
    denominator: string
    correct: string
    /** In the order of `layout.parameters`. */
    gradients: string[]
    /** New values of the states after a step, in the order of `state.parameters`. */
    states: string[]
  }
  layout: ParameterLayout
  /** Running statistics: inputs by name of both graphs, changed by a step without a gradient. Most models have none. */
  state: ParameterLayout
}

export interface TrainingOptions {
  /** Parameters that stay as they are: names, with * for any characters and ? for one; they must have values. */
  freeze?: string[]
  /** @default 'softmax-cross-entropy' */
  loss?: LossName
}

/** {@link TrainingGraph} before it is written: for tests and tools that look inside. */
export interface TrainingParts {
  train: Graph
  evaluate: Graph
  outputs: TrainingGraph['outputs']
  layout: ParameterLayout
  state: ParameterLayout
}

const LABELS = 'labels'

function withLoss(e: Emitter, loss: LossName): LossOutputs {
  const copy = e.graph
  if (copy.types.has(LABELS)) throw new InvalidParametersError(`the model has a value called '${LABELS}'; give it another name`)
  const scores = copy.outputs[0]
  copy.inputs.push(LABELS)
  const { labels, build } = losses[loss]
  const rest = labels.each === 'score' ? copy.types.get(scores)!.shape.slice(1) : []
  copy.types.set(LABELS, { type: labels.type, shape: [copy.types.get(copy.inputs[0])!.shape[0] ?? 'N', ...rest] })
  const made = build(e, scores, LABELS)
  copy.outputs = []
  const outputs = { ...made }
  for (const key of ['lossSum', 'denominator', 'correct'] as const) {
    if (copy.types.has(key)) throw new InvalidParametersError(`the model has a value called '${key}'; give it another name`)
    outputs[key] = e.op('Identity', [made[key]], {}, key)
    copy.outputs.push(key)
  }
  return outputs
}

/** Forward, loss and backward of `graph` as graphs in memory. */
export function trainingParts(whole: Graph, options: TrainingOptions = {}): TrainingParts {
  const graph = options.freeze === undefined ? whole : freezeParameters(whole, options.freeze)
  const loss = options.loss ?? 'softmax-cross-entropy'
  if (!Object.hasOwn(losses, loss))
    throw new InvalidParametersError(`no loss is called '${loss}'; there are ${Object.keys(losses).join(', ')}`)
  const layout = parameterLayout(graph)
  const names = layout.parameters.map(p => p.name)
  const evaluate = copyGraph(graph)
  withLoss(new Emitter(evaluate, 'g/'), loss)
  prune(evaluate)

  const { e, updates } = lower(graph, 'g/')
  const train = e.graph
  const outputs = withLoss(e, loss)
  const found = backward(e, outputs.lossSum, names)
  const gradients = new Map<string, string>()
  const taken = new Set<string>([...train.outputs, ...train.inputs, ...names, ...train.constants.keys()])
  for (const name of [...names].reverse()) {
    const gradient = found.get(name)
    const output = `gradient/${name}`
    if (gradient === undefined) {
      // The loss does not depend on it: its gradient is zero, not absent.
      const zeros = e.op('Mul', [name, e.scalarLike(name, 0)])
      gradients.set(name, e.op('Identity', [zeros], {}, output))
    } else if (taken.has(gradient)) {
      gradients.set(name, e.op('Identity', [gradient], {}, output))
    } else {
      taken.add(gradient)
      rename(train, gradient, output)
      for (const [key, value] of found) if (value === gradient) found.set(key, output)
      taken.add(output)
      gradients.set(name, output)
    }
    train.outputs.push(output)
  }
  const state = stateLayout(graph)
  const states = state.parameters.map(({ name }) => {
    const output = e.op('Identity', [updates.get(name) ?? name], {}, `state/${name}`)
    train.outputs.push(output)
    return output
  })
  prune(train)
  return { train, evaluate, outputs: { ...outputs, gradients: names.map(n => gradients.get(n)!), states }, layout, state }
}

function labelsOf(train: Graph): TrainingGraph['inputs']['labels'] {
  const { type, shape } = train.types.get(LABELS)!
  return { name: LABELS, type: type as 'int32' | 'float32', shape: shape.slice(1) as number[] }
}

/**
 * The training graph of a forward model: its first output is what the loss is taken of.
 *
 * Gradients are of the sum of the samples' losses; the mean is taken where gradients of several ranks meet.
 *
 * @throws InvalidParametersError naming the node when an operator on a gradient's path has no rule
 */
export function trainingGraph(graph: Graph, options: TrainingOptions = {}): TrainingGraph {
  const { train, evaluate, outputs, layout, state } = trainingParts(graph, options)
  const data = graph.inputs[0]
  const shape = graph.types.get(data)!.shape.slice(1)
  if (!shape.every(d => typeof d === 'number')) {
    throw new InvalidParametersError(`input '${data}' has the shape [N, ${shape.join(', ')}]; all but the batch must be numbers`)
  }
  return {
    train: encodeGraph(train),
    evaluate: encodeGraph(evaluate),
    inputs: {
      data: { name: data, shape: shape as number[] },
      labels: labelsOf(train),
      ...(train.inputs.includes(SAMPLES) ? { samples: { name: SAMPLES, type: 'int32' as const } } : {})
    },
    outputs,
    layout,
    state
  }
}

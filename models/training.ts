import { InvalidParametersError } from '../common/index.ts'
import { freezeParameters } from './freeze.ts'
import { backward } from './gradients/index.ts'
import { isStatic } from './graph/dims.ts'
import { Emitter } from './graph/emitter.ts'
import { prune, rename } from './graph/prune.ts'
import { copyGraph, type DataType, type Graph, type ParameterLayout } from './graph/types.ts'
import { type LossDefinition, type LossName, type LossOutputs, losses, parseLoss } from './losses/index.ts'
import { ownOutput } from './losses/own-output.ts'
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
    data: { name: string; type: DataType; shape: number[] }
    /** `shape` without the batch: [] for one label a sample. */
    labels: { name: string; type: DataType; shape: number[] }
    /** One number a sample, a hash of (seed, epoch, sample id), for what is random in training; absent where nothing is. */
    samples?: { name: string; type: 'int32' }
  }
  outputs: {
    lossSum: string
    denominator: string
    correct: string
    /** Whether `correct` counts anything: a loss of numbers, not classes, knows no hits. */
    counts: boolean
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
  /** A loss to append, or the model's own output that is one. @default 'softmax-ce' */
  loss?: LossName | LossDefinition
  /** What scores the test data, where that is another graph or another loss; its parameters and states are among the model's. */
  evaluation?: { graph: Graph; loss?: LossName | LossDefinition }
}

/** {@link TrainingGraph} before it is written: for tests and tools that look inside. */
export interface TrainingParts {
  train: Graph
  evaluate: Graph
  outputs: TrainingGraph['outputs']
  /** The input that labels are fed to. */
  labels: string
  layout: ParameterLayout
  state: ParameterLayout
}

const LABELS = 'labels'

/**
 * Appends the loss to a copy of a model.
 *
 * @param auxiliaries - whether the losses of auxiliary outputs are added
 * @returns its outputs and the input that labels are fed to
 */
function withLoss(
  e: Emitter,
  loss: LossName | LossDefinition,
  auxiliaries: boolean
): { outputs: LossOutputs & { correct: string; counts: boolean }; labels: string } {
  const copy = e.graph
  const own = typeof loss === 'string' && loss.startsWith('output:') ? loss.slice('output:'.length) : undefined
  const appended = typeof loss === 'string' ? losses[loss as keyof typeof losses] : loss
  // A model that ends in its own loss reads its labels itself.
  const extra = copy.inputs.filter((name, i) => i > 0 && name !== SAMPLES)
  if (extra.length > (own === undefined ? 0 : 1)) {
    const can = own === undefined ? 'one, the data; two, the data and the labels, with output:NAME' : 'two, the data and the labels'
    throw new InvalidParametersError(
      `the model has the inputs ${[copy.inputs[0], ...extra].map(name => `'${name}'`).join(', ')}; with ${typeof loss === 'string' ? `loss ${loss}` : 'its losses'} it may have ${can}`
    )
  }
  const labels = extra[0] ?? LABELS
  if (extra.length === 0) {
    if (copy.types.has(LABELS)) throw new InvalidParametersError(`the model has a value called '${LABELS}'; give it another name`)
    const scores = copy.outputs[0]
    const given = own === undefined ? appended.labels(copy.types.get(scores)!.shape, scores) : undefined
    copy.inputs.push(LABELS)
    const batch = copy.types.get(copy.inputs[0])!.shape[0] ?? 'N'
    copy.types.set(LABELS, { type: given?.type ?? 'int32', shape: [batch, ...(given?.shape ?? [])] })
  }
  const made = own === undefined ? appended.build(e, copy.outputs[0], labels) : ownOutput(e, own, labels)
  if (own === undefined && auxiliaries) {
    for (const [output, weight] of copy.auxiliary) {
      const { lossSum } = appended.build(e, output, labels)
      made.lossSum = e.op('Add', [made.lossSum, e.op('Mul', [lossSum, e.scalar(weight)])])
    }
  }
  copy.outputs = []
  const outputs = { ...made, correct: made.correct ?? e.scalar(0), counts: made.correct !== undefined }
  for (const key of ['lossSum', 'denominator', 'correct'] as const) {
    if (copy.types.has(key)) throw new InvalidParametersError(`the model has a value called '${key}'; give it another name`)
    outputs[key] = e.op('Identity', [outputs[key]], {}, key)
    copy.outputs.push(key)
  }
  return { outputs, labels }
}

function lossOf(loss: LossName | LossDefinition = 'softmax-ce'): LossName | LossDefinition {
  return typeof loss === 'string' ? parseLoss(loss) : loss
}

/** A copy of what scores the test data, with the parameters and states of the graph that is trained. */
function evaluationGraph(graph: Graph, { evaluation, freeze }: TrainingOptions): Graph {
  if (evaluation === undefined) return copyGraph(graph)
  const evaluate = copyGraph(evaluation.graph)
  for (const kind of ['parameters', 'states'] as const) {
    for (const [name, { shape }] of evaluate[kind]) {
      const frozen = graph.constants.get(name)
      if (frozen !== undefined && freeze !== undefined) {
        evaluate.constants.set(name, frozen)
        continue
      }
      const trained = graph[kind].get(name)
      if (trained?.shape.join() === shape.join()) continue
      const how = trained === undefined ? 'is not in the graph that is trained' : `has the shape [${trained.shape.join(', ')}] in training`
      throw new InvalidParametersError(
        `parameter '${name}' of the graph that scores the test data ${how}; give both graphs the same layers`
      )
    }
    evaluate[kind] = new Map(graph[kind])
    for (const [name, { shape }] of graph[kind]) evaluate.types.set(name, { type: 'float32', shape })
  }
  return evaluate
}

/** Forward, loss and backward of `graph` as graphs in memory. */
export function trainingParts(whole: Graph, options: TrainingOptions = {}): TrainingParts {
  const graph = options.freeze === undefined ? whole : freezeParameters(whole, options.freeze)
  const loss = lossOf(options.loss)
  const layout = parameterLayout(graph)
  const names = layout.parameters.map(p => p.name)
  const evaluate = evaluationGraph(graph, options)
  withLoss(new Emitter(evaluate, 'g/'), lossOf(options.evaluation?.loss ?? loss), false)
  prune(evaluate)

  const { e, updates } = lower(graph, 'g/')
  const train = e.graph
  const { outputs, labels } = withLoss(e, loss, true)
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
  return { train, evaluate, outputs: { ...outputs, gradients: names.map(n => gradients.get(n)!), states }, labels, layout, state }
}

/** What a graph wants fed as `name`, the batch left out. @throws InvalidParametersError when its size is not known */
function fed(graph: Graph, name: string): { name: string; type: DataType; shape: number[] } {
  const { type, shape } = graph.types.get(name)!
  const each = shape.slice(1)
  if (isStatic(each)) return { name, type, shape: each }
  throw new InvalidParametersError(`input '${name}' has the shape [${shape.join(', ')}]; all but the batch must be numbers`)
}

/**
 * The training graph of a forward model: its first output is what the loss is taken of, unless the loss is another output.
 *
 * Gradients are of the sum of the samples' losses; the mean is taken where gradients of several ranks meet.
 *
 * @throws InvalidParametersError naming the node when an operator on a gradient's path has no rule
 */
export function trainingGraph(graph: Graph, options: TrainingOptions = {}): TrainingGraph {
  const { train, evaluate, outputs, labels, layout, state } = trainingParts(graph, options)
  return {
    train: encodeGraph(train),
    evaluate: encodeGraph(evaluate),
    inputs: {
      data: fed(graph, graph.inputs[0]),
      labels: fed(train, labels),
      ...(train.inputs.includes(SAMPLES) ? { samples: { name: SAMPLES, type: 'int32' as const } } : {})
    },
    outputs,
    layout,
    state
  }
}

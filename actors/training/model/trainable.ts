import { GradmeshError, InvalidParametersError, MalformedError } from '../../../common/index.ts'
import {
  type DataType,
  freezeParameters,
  type Graph,
  type LossName,
  parseLoss,
  type TrainingGraph,
  trainingGraph
} from '../../../models/index.ts'
import { labelsFor } from './labels.ts'
import type { ModelContext, OpenedModel } from './source.ts'

/** Element types that numbers of a data set are turned into. */
const feedable: readonly DataType[] = ['float32', 'float64', 'int32', 'int64', 'uint8']

/**
 * A graph with the job's loss and its frozen parameters, ready to be trained on the job's data.
 *
 * @param name - what messages call the model
 * @throws InvalidParametersError when the graph fits the loss or the data in no way
 */
export function trainable(whole: Graph, { spec, data }: ModelContext, name: string): OpenedModel {
  const graph = spec.freeze === undefined || spec.freeze.length === 0 ? whole : freezeParameters(whole, spec.freeze)
  if (graph.parameters.size === 0) throw new InvalidParametersError(`${name}: it has no float32 initializer that could be trained`)
  const loss = parseLoss(spec.loss ?? 'softmax-ce')
  const training = differentiated(graph, loss, name)
  const { data: input } = training.inputs
  if (!feedable.includes(input.type)) {
    throw new InvalidParametersError(`${name} takes samples of ${input.type}; those of ${feedable.join(', ')} can be fed`)
  }
  if (!sameSamples(input.shape, data.shape)) {
    throw new InvalidParametersError(
      `${name} takes samples of [${input.shape.join(', ')}] and the data has [${data.shape.join(', ')}]; choose other data, or export the model for these`
    )
  }
  const scores = graph.outputs[0]!
  const shape = graph.types.get(scores)!.shape
  if (!loss.startsWith('output:') && typeof shape[0] === 'number') {
    throw new InvalidParametersError(
      `${name}: its output '${scores}' is [${shape.join(', ')}] whatever the batch; export it with a first dimension that is dynamic`
    )
  }
  if (loss === 'softmax-ce') {
    const classes = shape[shape.length === 3 ? 2 : 1] as number
    if (classes < data.classes) {
      throw new InvalidParametersError(`${name} tells ${classes} classes apart and the data has ${data.classes}; give it as many outputs`)
    }
  }
  labelsFor(training.inputs.labels, data)
  return { graph, training }
}

function differentiated(graph: Graph, loss: LossName, name: string): TrainingGraph {
  try {
    return trainingGraph(graph, { loss })
  } catch (error) {
    if (error instanceof GradmeshError) throw error
    // A file may pass for a model and still be none that a rule can work on.
    const why = error instanceof Error ? error.message.split('\n')[0]!.slice(0, 200) : String(error)
    throw new MalformedError(`${name}: not a sound model (${why})`, { cause: error })
  }
}

/** Whether the floats of one are those of the other, in their order: dimensions of 1 do not matter, nor that a sample is flat. */
function sameSamples(model: number[], data: number[]): boolean {
  const long = (shape: number[]) => shape.filter(d => d !== 1)
  const count = (shape: number[]) => shape.reduce((a, b) => a * b, 1)
  return long(model).join() === long(data).join() || (long(model).length === 1 && count(model) === count(data))
}

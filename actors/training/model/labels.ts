import { InvalidParametersError } from '../../../common/index.ts'
import type { TrainingGraph } from '../../../models/index.ts'
import type { ModelContext } from './source.ts'

/** What a training graph is fed as labels. */
export type GraphLabels = Int32Array<ArrayBuffer> | Float32Array<ArrayBuffer>

/** Turns a batch's labels, as data sets give them, into what a training graph takes. */
export interface WriteLabels {
  /** Numbers a sample. */
  readonly size: number
  allocate(samples: number): GraphLabels
  /** @param into - at least `labels.length · size` long, from {@link WriteLabels.allocate} */
  write(labels: Int32Array, into: GraphLabels): void
}

/**
 * How the classes of a data set become the labels that a loss asks for: the class itself, or, where floats are asked for, one number a
 * class with a 1 at the sample's own, or the class as a number. A text has a class a position.
 *
 * @throws InvalidParametersError when the loss asks for anything else
 */
export function labelsFor(labels: TrainingGraph['inputs']['labels'], data: ModelContext['data']): WriteLabels {
  const size = labels.shape.reduce((a, b) => a * b, 1)
  const { positions = 1 } = data
  if (labels.type === 'float32' && positions === 1) {
    const allocate = (samples: number) => new Float32Array(samples * size)
    if (size === 1) return { size, allocate, write: (from, into) => into.set(from) }
    if (size === data.classes) return { size, allocate, write: (from, into) => oneHot(from, into, size) }
  } else if ((labels.type === 'int32' || labels.type === 'int64') && size === positions) {
    return { size, allocate: samples => new Int32Array(samples * size), write: (from, into) => into.set(from) }
  }
  throw new InvalidParametersError(
    `the model's labels are ${labels.type} [${['N', ...labels.shape].join(', ')}], which the classes of this data (${data.classes}${positions === 1 ? '' : `, ${positions} a sample`}) cannot be; choose another loss or other data`
  )
}

function oneHot(labels: Int32Array, into: GraphLabels, classes: number): void {
  into.fill(0, 0, labels.length * classes)
  for (const [i, label] of labels.entries()) if (label >= 0 && label < classes) into[i * classes + label] = 1
}

/** Models by name. */
import { InvalidParametersError } from '../../common/index.ts'
import type { Graph } from '../graph/types.ts'
import { cifar10Quick } from './cifar10-quick.ts'
import { lenet } from './lenet.ts'
import { type MlpOptions, mlp } from './mlp.ts'

/** What a model is built for. */
export interface ZooInput {
  /** Of one sample: [channels, height, width]. */
  shape: number[]
  classes: number
}

const zoo = {
  lenet: (input: ZooInput) => lenet(input),
  mlp: (input: ZooInput, options?: MlpOptions) => mlp(input, options),
  'cifar10-quick': (input: ZooInput) => cifar10Quick(input)
}

export type ModelName = keyof typeof zoo

/** Every name that {@link buildModel} takes. */
export const modelNames: string[] = Object.keys(zoo)

/**
 * A model of the zoo for samples of the given shape.
 *
 * @throws InvalidParametersError when the name is unknown or the samples are too small for the model
 */
export function buildModel(name: ModelName | (string & {}), input: ZooInput, options?: MlpOptions): Graph {
  if (!Object.hasOwn(zoo, name)) throw new InvalidParametersError(`no model is called '${name}'; there are ${modelNames.join(', ')}`)
  const { shape, classes } = input
  if (!Number.isInteger(classes) || classes < 2) throw new InvalidParametersError(`a classifier needs 2 classes or more, not ${classes}`)
  try {
    return zoo[name as ModelName](input, options)
  } catch (error) {
    if (error instanceof Error && error.name === 'MalformedError') {
      throw new InvalidParametersError(`model ${name} does not take samples of shape [${shape.join(', ')}]: ${error.message}`)
    }
    throw error
  }
}

export type { MlpOptions }

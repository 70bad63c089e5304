/** Models by name. */
import { InvalidParametersError } from '../../common/index.ts'
import { buildDescription, type Model } from '../description/index.ts'
import type { Graph } from '../graph/types.ts'
import { alexnet } from './alexnet.ts'
import { charLstm } from './char-lstm.ts'
import { cifar10Full } from './cifar10-full.ts'
import { cifar10Quick } from './cifar10-quick.ts'
import { googlenet } from './googlenet.ts'
import { gptNano } from './gpt-nano.ts'
import { lenet } from './lenet.ts'
import { type MlpOptions, mlp } from './mlp.ts'
import { mobilenetV2 } from './mobilenet-v2.ts'
import { resnet18, resnet20, resnet50 } from './resnet.ts'

/** What a model is built for. */
export interface ZooInput {
  /** Of one sample: [channels, height, width]; [length] for a model of text. */
  shape: number[]
  /** Classes, or tokens of a text. */
  classes: number
}

interface Entry {
  describe: (input: ZooInput, options?: MlpOptions) => Model
  /** What its description was written for. */
  input: ZooInput
}

const digits = { shape: [1, 28, 28], classes: 10 }
const pictures = { shape: [3, 32, 32], classes: 10 }
const photographs = { shape: [3, 224, 224], classes: 1000 }
const text = { shape: [64], classes: 65 }

const zoo = {
  lenet: { describe: lenet, input: digits },
  mlp: { describe: mlp, input: digits },
  'cifar10-quick': { describe: cifar10Quick, input: pictures },
  'cifar10-full': { describe: cifar10Full, input: pictures },
  alexnet: { describe: alexnet, input: { shape: [3, 227, 227], classes: 1000 } },
  googlenet: { describe: googlenet, input: photographs },
  resnet20: { describe: resnet20, input: pictures },
  resnet18: { describe: resnet18, input: photographs },
  resnet50: { describe: resnet50, input: photographs },
  'mobilenet-v2': { describe: mobilenetV2, input: photographs },
  'char-lstm': { describe: charLstm, input: text },
  'gpt-nano': { describe: gptNano, input: text }
} satisfies Record<string, Entry>

export type ModelName = keyof typeof zoo

/** Every name that {@link buildModel} takes. */
export const modelNames: string[] = Object.keys(zoo)

/** The samples and classes that a model of the zoo was published for. @throws InvalidParametersError when the name is unknown */
export function modelInput(name: ModelName | (string & {})): ZooInput {
  const { shape, classes } = entryOf(name).input
  return { shape: [...shape], classes }
}

/**
 * The description of a model of the zoo for samples of the given shape.
 *
 * @throws InvalidParametersError when the name is unknown or the samples are too small for the model
 */
export function describeModel(name: ModelName | (string & {}), input: ZooInput, options?: MlpOptions): Model {
  const { describe } = entryOf(name)
  const { shape, classes } = input
  if (!Number.isInteger(classes) || classes < 2) throw new InvalidParametersError(`a classifier needs 2 classes or more, not ${classes}`)
  try {
    return describe(input, options)
  } catch (error) {
    if (error instanceof InvalidParametersError) {
      throw new InvalidParametersError(`model ${name} does not take samples of shape [${shape.join(', ')}]: ${error.message}`, {
        cause: error
      })
    }
    throw error
  }
}

/** A model of the zoo as a graph. @see describeModel */
export function buildModel(name: ModelName | (string & {}), input: ZooInput, options?: MlpOptions): Graph {
  return buildDescription(describeModel(name, input, options))
}

function entryOf(name: string): Entry {
  if (!Object.hasOwn(zoo, name)) throw new InvalidParametersError(`no model is called '${name}'; there are ${modelNames.join(', ')}`)
  return zoo[name as ModelName]
}

export type { MlpOptions }

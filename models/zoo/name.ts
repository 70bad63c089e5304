import { InvalidParametersError } from '../../common/index.ts'
import type { Graph } from '../graph/types.ts'
import { buildModel, type MlpOptions, modelNames } from './index.ts'

/**
 * Builds a model of the zoo by its name, options after a question mark where it takes any
 * (`mlp?hidden=64,64&activation=tanh`).
 *
 * @throws InvalidParametersError that lists the known names or options
 */
export function modelNamed(text: string, input: { shape: number[]; classes: number }): Graph {
  const { name, options } = parseModelName(text)
  return buildModel(name, input, options)
}

/** The parts of a model's name; see {@link modelNamed}. @throws InvalidParametersError */
export function parseModelName(text: string): { name: string; options?: MlpOptions } {
  const [name = '', query = ''] = text.split('?', 2)
  if (!modelNames.includes(name as (typeof modelNames)[number])) {
    throw new InvalidParametersError(
      `there is no model '${name.slice(0, 100)}'; choose one of ${modelNames.join(', ')}, or give the path of a model's file`
    )
  }
  const options = new URLSearchParams(query)
  if (name !== 'mlp') {
    if (query !== '') throw new InvalidParametersError(`model ${name} takes no options, yet '${query.slice(0, 80)}' follows its name`)
    return { name }
  }
  for (const key of options.keys()) {
    if (key !== 'hidden' && key !== 'activation') {
      throw new InvalidParametersError(`model mlp has no option ${JSON.stringify(key.slice(0, 40))}; known: hidden, activation`)
    }
  }
  const hidden = options.get('hidden')?.split(',').map(Number)
  if (hidden?.some(h => !Number.isInteger(h) || h < 1 || h > 65_536)) {
    throw new InvalidParametersError(`hidden=${options.get('hidden')} of model mlp: give layer widths like 1024,1024`)
  }
  const activation = options.get('activation') ?? 'relu'
  if (activation !== 'relu' && activation !== 'tanh' && activation !== 'sigmoid') {
    throw new InvalidParametersError(`activation=${activation.slice(0, 40)} of model mlp: choose relu, tanh or sigmoid`)
  }
  return { name, options: { activation, ...(hidden === undefined ? {} : { hidden }) } }
}

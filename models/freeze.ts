import { InvalidParametersError } from '../common/index.ts'
import { copyGraph, type Graph } from './graph/types.ts'

/** A pattern over names: * stands for any characters, ? for one. */
function matcher(glob: string): RegExp {
  const text = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${text}$`, 's')
}

/**
 * The graph with the parameters that a pattern matches made constants, at the values that they came with.
 *
 * @param globs - names of parameters, with * for any characters and ? for one
 * @throws InvalidParametersError when a pattern matches no parameter, or one that has no values yet
 */
export function freezeParameters(graph: Graph, globs: string[]): Graph {
  const frozen = copyGraph(graph)
  for (const glob of globs) {
    const pattern = matcher(glob)
    const names = [...graph.parameters.keys()].filter(name => pattern.test(name))
    if (names.length === 0) {
      const some = [...graph.parameters.keys()].slice(0, 5).map(n => `'${n}'`)
      throw new InvalidParametersError(
        `'${glob}' matches no parameter to freeze; there are ${some.join(', ')}${graph.parameters.size > 5 ? ', …' : ''}`
      )
    }
    for (const name of names) {
      const { shape, filler } = graph.parameters.get(name)!
      if (filler.type !== 'given')
        throw new InvalidParametersError(`parameter '${name}' has no values to be frozen at; load a trained model`)
      frozen.parameters.delete(name)
      frozen.constants.set(name, { type: 'float32', shape, data: filler.values })
    }
  }
  if (frozen.parameters.size === 0) throw new InvalidParametersError('every parameter is frozen; leave one to train')
  return frozen
}

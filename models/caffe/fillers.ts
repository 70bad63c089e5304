import { InvalidParametersError } from '../../common/index.ts'
import type { Filler } from '../graph/types.ts'
import type { Message } from './message.ts'

const norms = { FAN_IN: 'fan_in', FAN_OUT: 'fan_out', AVERAGE: 'average' } as const

/** First values as a FillerParameter has them; one that says nothing is constant 0. @throws InvalidParametersError for an unknown type */
export function fillerOf(message: Message): Filler {
  const type = message.string('type')
  switch (type) {
    case 'constant':
      return { type, value: message.number('value') }
    case 'uniform':
      return { type, min: message.number('min'), max: message.number('max') }
    case 'gaussian': {
      const sparse = message.number('sparse')
      return { type, mean: message.number('mean'), std: message.number('std'), ...(sparse >= 0 ? { sparse } : {}) }
    }
    case 'xavier':
    case 'msra':
      return { type, norm: norms[message.string('variance_norm') as keyof typeof norms] }
    case 'positive_unitball':
    case 'bilinear':
      return { type }
    default:
      throw new InvalidParametersError(
        `${message.at}: there is no filler '${type.slice(0, 60)}'; there are constant, uniform, gaussian, xavier, msra, positive_unitball, bilinear`
      )
  }
}

import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/**
 * The character model of char-rnn (github.com/karpathy/char-rnn, its defaults): two LSTM layers of 128 over one-hot characters, a score for
 * each next character. 240,321 parameters for 65 characters.
 */
export function charLstm({ shape, classes }: ZooInput): Model {
  const weight = { filler: { type: 'uniform', min: -0.08, max: 0.08 } as const }
  const b = layers('char-lstm', shape).layer('oneHot', 'characters', { vocabulary: classes })
  for (const i of [1, 2]) b.layer('lstm', `lstm${i}`, { size: 128, weight, bias: weight })
  return b.innerProduct('decoder', { outputs: classes, axis: 2, weight, bias: weight }).describe()
}

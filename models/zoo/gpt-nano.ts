import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

const LAYERS = 3
const HEADS = 3
const SIZE = 48

/**
 * The smallest of minGPT's models (github.com/karpathy/minGPT): three blocks of three heads, 48 wide, after Radford 2019, without
 * dropout. 84,912 parameters, and 96 a character and 48 a position.
 */
export function gptNano({ shape, classes }: ZooInput): Model {
  const std = 0.02
  const weight = { filler: { type: 'gaussian', std } as const }
  // What ends in the residual sum begins smaller, the more often it is added to.
  const last = { filler: { type: 'gaussian', std: std / Math.sqrt(2 * LAYERS) } as const }
  const bias = { decayMult: 0 }
  const fixed = { decayMult: 0 }
  const b = layers('gpt-nano', shape)
    .layer('embedding', 'tokens', { vocabulary: classes, size: SIZE, weight, ...fixed })
    .layer('positionalEmbedding', 'positions', { weight, ...fixed })
  for (let i = 1; i <= LAYERS; i++) {
    const name = `block${i}`
    const input = b.last
    b.layerNorm(`${name}.norm1`, fixed)
      .layer('selfAttention', `${name}.attention`, { heads: HEADS, weight, outputWeight: last, bias })
      .add(`${name}.sum1`, { inputs: [input, `${name}.attention`] })
      .layerNorm(`${name}.norm2`, fixed)
      .innerProduct(`${name}.wide`, { outputs: 4 * SIZE, axis: 2, activation: 'gelu', weight, bias })
      .innerProduct(`${name}.narrow`, { outputs: SIZE, axis: 2, weight: last, bias })
      .add(`${name}.sum2`, { inputs: [`${name}.sum1`, `${name}.narrow`] })
  }
  return b.layerNorm('norm', fixed).innerProduct('head', { outputs: classes, axis: 2, weight, bias: false }).describe()
}

import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/** Expansion, output channels, repetitions, stride of the first. Sandler 2018, table 2. */
const rows = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1]
] as const

/** MobileNetV2 of width 1 (Sandler 2018). 3,504,872 parameters for 3×224×224 and 1,000 classes. */
export function mobilenetV2({ shape, classes }: ZooInput): Model {
  const b = layers('MobileNetV2', shape)
  const convolution = (name: string, outputs: number, options: { kernel: number; stride?: number; group?: number; linear?: boolean }) => {
    const { linear = false, ...rest } = options
    const weight = { filler: { type: 'msra', norm: 'fan_out' } as const }
    b.convolution(`${name}.conv`, { outputs, ...rest, pad: (rest.kernel - 1) / 2, weight, bias: false })
    b.batchNorm(`${name}.bn`, linear ? {} : { activation: 'relu6' })
  }
  convolution('first', 32, { kernel: 3, stride: 2 })
  let channels = 32
  let block = 0
  for (const [expansion, outputs, count, first] of rows) {
    for (let i = 0; i < count; i++) {
      const name = `block${++block}`
      const input = b.last
      const stride = i === 0 ? first : 1
      const wide = channels * expansion
      if (expansion > 1) convolution(`${name}.expand`, wide, { kernel: 1 })
      convolution(`${name}.depth`, wide, { kernel: 3, stride, group: wide })
      convolution(`${name}.project`, outputs, { kernel: 1, linear: true })
      if (stride === 1 && channels === outputs) b.add(`${name}.sum`, { inputs: [b.last, input] })
      channels = outputs
    }
  }
  convolution('last', 1280, { kernel: 1 })
  return b
    .globalAveragePool('pool')
    .dropout('dropout', { ratio: 0.2 })
    .innerProduct('classifier', { outputs: classes, weight: { filler: { type: 'gaussian', std: 0.01 } } })
    .describe()
}

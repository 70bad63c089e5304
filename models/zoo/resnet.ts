import { type LayerBuilder, layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

const he = { weight: { filler: { type: 'msra', norm: 'fan_out' } as const }, bias: false as const }

/** A convolution and its batch normalisation. */
function convolution(b: LayerBuilder, name: string, outputs: number, kernel: number, stride: number, activation?: 'relu'): void {
  b.convolution(`${name}.conv`, { outputs, kernel, stride, pad: (kernel - 1) / 2, ...he })
  b.batchNorm(`${name}.bn`, activation === undefined ? {} : { activation })
}

/** Joins a block's branch with its shortcut. */
function join(b: LayerBuilder, name: string, branch: string, shortcut: string): void {
  b.add(`${name}.sum`, { inputs: [branch, shortcut], activation: 'relu' })
}

/**
 * ResNet-20 for CIFAR-10 (He 2015, 4.2): three stages of three blocks; shortcuts without parameters, which take every second pixel and add
 * channels of zeros (option A). 269,722 parameters for 3×32×32 and 10 classes.
 */
export function resnet20({ shape, classes }: ZooInput): Model {
  const b = layers('ResNet-20', shape)
  convolution(b, 'conv1', 16, 3, 1, 'relu')
  let channels = 16
  for (const [stage, width] of [16, 32, 64].entries()) {
    for (let block = 1; block <= 3; block++) {
      const name = `stage${stage + 1}.${block}`
      const input = b.last
      const stride = width > channels ? 2 : 1
      convolution(b, `${name}.1`, width, 3, stride, 'relu')
      convolution(b, `${name}.2`, width, 3, 1)
      const branch = b.last
      if (stride > 1) {
        const more = (width - channels) / 2
        b.from(input).layer('subsample', `${name}.every`, { stride }).layer('padChannels', `${name}.pad`, { before: more, after: more })
      } else {
        b.from(input)
      }
      join(b, name, branch, b.last)
      channels = width
    }
  }
  return b.globalAveragePool('pool').innerProduct('fc', { outputs: classes }).describe()
}

function stem(b: LayerBuilder): void {
  convolution(b, 'conv1', 64, 7, 2, 'relu')
  b.maxPool('pool1', { kernel: 3, stride: 2, pad: 1, ceil: false })
}

/** Four stages; the first block of each widens, and halves the picture but in the first. A shortcut that must change shape is a convolution. */
function stages(b: LayerBuilder, blocks: number[], expansion: number, branch: (name: string, width: number, stride: number) => void): void {
  let channels = 64
  blocks.forEach((count, stage) => {
    const width = 64 * 2 ** stage
    for (let block = 1; block <= count; block++) {
      const name = `stage${stage + 1}.${block}`
      const input = b.last
      const stride = block === 1 && stage > 0 ? 2 : 1
      branch(name, width, stride)
      const end = b.last
      b.from(input)
      if (channels !== width * expansion || stride > 1) convolution(b, `${name}.shortcut`, width * expansion, 1, stride)
      join(b, name, end, b.last)
      channels = width * expansion
    }
  })
}

/** ResNet-18 (He 2015, table 1). 11,689,512 parameters for 3×224×224 and 1,000 classes. */
export function resnet18({ shape, classes }: ZooInput): Model {
  const b = layers('ResNet-18', shape)
  stem(b)
  stages(b, [2, 2, 2, 2], 1, (name, width, stride) => {
    convolution(b, `${name}.1`, width, 3, stride, 'relu')
    convolution(b, `${name}.2`, width, 3, 1)
  })
  return b.globalAveragePool('pool').innerProduct('fc', { outputs: classes }).describe()
}

/**
 * ResNet-50 (He 2015, table 1), halving in the 3×3 convolution of a block, as PyTorch's model does. 25,557,032 parameters for 3×224×224
 * and 1,000 classes.
 */
export function resnet50({ shape, classes }: ZooInput): Model {
  const b = layers('ResNet-50', shape)
  stem(b)
  stages(b, [3, 4, 6, 3], 4, (name, width, stride) => {
    convolution(b, `${name}.1`, width, 1, 1, 'relu')
    convolution(b, `${name}.2`, width, 3, stride, 'relu')
    convolution(b, `${name}.3`, 4 * width, 1, 1)
  })
  return b.globalAveragePool('pool').innerProduct('fc', { outputs: classes }).describe()
}

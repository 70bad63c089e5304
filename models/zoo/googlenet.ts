import { type LayerBuilder, layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/** Outputs of a module's branches: 1×1; 3×3 after its reduction; 5×5 after its; after pooling. Szegedy 2014, table 1. */
const modules = {
  '3a': [64, 96, 128, 16, 32, 32],
  '3b': [128, 128, 192, 32, 96, 64],
  '4a': [192, 96, 208, 16, 48, 64],
  '4b': [160, 112, 224, 24, 64, 64],
  '4c': [128, 128, 256, 24, 64, 64],
  '4d': [112, 144, 288, 32, 64, 64],
  '4e': [256, 160, 320, 32, 128, 128],
  '5a': [256, 160, 320, 32, 128, 128],
  '5b': [384, 192, 384, 48, 128, 128]
} as const

const learned = (value: number) => ({ bias: { filler: { type: 'constant', value } as const, lrMult: 2, decayMult: 0 } })

function inception(b: LayerBuilder, id: keyof typeof modules): void {
  const [one, reduce3, three, reduce5, five, pooled] = modules[id]
  const name = `inception_${id}`
  const input = b.last
  const conv = (branch: string, outputs: number, kernel: number, pad = 0) =>
    b.convolution(`${name}/${branch}`, { outputs, kernel, pad, activation: 'relu', ...learned(0.2) })
  conv('1x1', one, 1)
  b.from(input)
  conv('3x3_reduce', reduce3, 1)
  conv('3x3', three, 3, 1)
  b.from(input)
  conv('5x5_reduce', reduce5, 1)
  conv('5x5', five, 5, 2)
  b.from(input).maxPool(`${name}/pool`, { kernel: 3, stride: 1, pad: 1 })
  conv('pool_proj', pooled, 1)
  b.concat(`${name}/output`, { inputs: ['1x1', '3x3', '5x5', 'pool_proj'].map(branch => `${name}/${branch}`) })
}

/** A classifier half way, trained with weight 0.3 and left out of the finished model. */
function auxiliary(b: LayerBuilder, name: string, classes: number): string {
  const from = b.last
  b.averagePool(`${name}/ave_pool`, { kernel: 5, stride: 3 })
    .convolution(`${name}/conv`, { outputs: 128, kernel: 1, activation: 'relu', ...learned(0.2) })
    .innerProduct(`${name}/fc`, { outputs: 1024, activation: 'relu', ...learned(0.2) })
    .dropout(`${name}/drop_fc`, { ratio: 0.7 })
    .innerProduct(`${name}/classifier`, { outputs: classes, ...learned(0) })
    .from(from)
  return `${name}/classifier`
}

/**
 * GoogLeNet as Caffe has it (Szegedy 2014), with both auxiliary classifiers. 13,378,280 parameters for 3×224×224 and 1,000 classes, those of
 * the auxiliary classifiers included.
 */
export function googlenet({ shape, classes }: ZooInput): Model {
  const norm = { size: 5, alpha: 1e-4, beta: 0.75 }
  const half = { kernel: 3, stride: 2 }
  const b = layers('GoogLeNet', shape)
    .convolution('conv1/7x7_s2', { outputs: 64, kernel: 7, stride: 2, pad: 3, activation: 'relu', ...learned(0.2) })
    .maxPool('pool1/3x3_s2', half)
    .lrn('pool1/norm1', norm)
    .convolution('conv2/3x3_reduce', { outputs: 64, kernel: 1, activation: 'relu', ...learned(0.2) })
    .convolution('conv2/3x3', { outputs: 192, kernel: 3, pad: 1, activation: 'relu', ...learned(0.2) })
    .lrn('conv2/norm2', norm)
    .maxPool('pool2/3x3_s2', half)
  inception(b, '3a')
  inception(b, '3b')
  b.maxPool('pool3/3x3_s2', half)
  inception(b, '4a')
  const first = auxiliary(b, 'loss1', classes)
  inception(b, '4b')
  inception(b, '4c')
  inception(b, '4d')
  const second = auxiliary(b, 'loss2', classes)
  inception(b, '4e')
  b.maxPool('pool4/3x3_s2', half)
  inception(b, '5a')
  inception(b, '5b')
  b.globalAveragePool('pool5')
    .dropout('pool5/drop', { ratio: 0.4 })
    .innerProduct('loss3/classifier', { outputs: classes, ...learned(0) })
  return b.describe([
    { layer: b.last, name: 'logits' },
    { layer: first, lossWeight: 0.3 },
    { layer: second, lossWeight: 0.3 }
  ])
}

import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/**
 * The full model of Caffe's CIFAR-10 example (after Krizhevsky's cuda-convnet layers-18pct): responses normalised within channels, a classifier
 * whose weights decay 250 times as fast. 89,578 parameters for 3×32×32 and 10 classes.
 */
export function cifar10Full({ shape, classes }: ZooInput): Model {
  const gaussian = (std: number) => ({ filler: { type: 'gaussian', std } as const })
  const same = { kernel: 5, pad: 2 }
  const half = { kernel: 3, stride: 2 }
  const within = { size: 3, alpha: 5e-5, beta: 0.75, region: 'within' } as const
  const bias = { lrMult: 2 }
  return layers('CIFAR10_full', shape)
    .convolution('conv1', { outputs: 32, ...same, weight: gaussian(0.0001), bias })
    .maxPool('pool1', half)
    .relu('relu1')
    .lrn('norm1', within)
    .convolution('conv2', { outputs: 32, ...same, weight: gaussian(0.01), bias })
    .relu('relu2')
    .averagePool('pool2', half)
    .lrn('norm2', within)
    .convolution('conv3', { outputs: 64, ...same, weight: gaussian(0.01) })
    .relu('relu3')
    .averagePool('pool3', half)
    .innerProduct('ip1', { outputs: classes, weight: { ...gaussian(0.01), decayMult: 250 }, bias: { lrMult: 2, decayMult: 0 } })
    .describe()
}

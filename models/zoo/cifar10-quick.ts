import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/**
 * The quick model of Caffe's CIFAR-10 example (after Krizhevsky's cuda-convnet layers-18pct): pooling windows overlap and their
 * number is rounded up; biases learn at twice the rate. 145,578 parameters for 3×32×32 and 10 classes.
 */
export function cifar10Quick({ shape, classes }: ZooInput): Model {
  const gaussian = (std: number) => ({ filler: { type: 'gaussian', std } as const })
  const bias = { lrMult: 2 }
  const same = { kernel: 5, pad: 2, bias }
  const half = { kernel: 3, stride: 2 }
  return layers('CIFAR10_quick', shape)
    .convolution('conv1', { outputs: 32, ...same, weight: gaussian(0.0001) })
    .maxPool('pool1', half)
    .relu('relu1')
    .convolution('conv2', { outputs: 32, ...same, weight: gaussian(0.01) })
    .relu('relu2')
    .averagePool('pool2', half)
    .convolution('conv3', { outputs: 64, ...same, weight: gaussian(0.01) })
    .relu('relu3')
    .averagePool('pool3', half)
    .innerProduct('ip1', { outputs: 64, weight: gaussian(0.1), bias })
    .innerProduct('ip2', { outputs: classes, weight: gaussian(0.1), bias })
    .describe()
}

import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/**
 * AlexNet as Caffe has it (after Krizhevsky 2012; responses are normalised before they are pooled). 60,965,224 parameters for 3×227×227
 * and 1,000 classes.
 */
export function alexnet({ shape, classes }: ZooInput): Model {
  const learned = (std: number, value: number) => ({
    weight: { filler: { type: 'gaussian', std } as const },
    bias: { filler: { type: 'constant', value } as const, lrMult: 2, decayMult: 0 }
  })
  const pool = { kernel: 3, stride: 2 }
  const norm = { size: 5, alpha: 1e-4, beta: 0.75 }
  return layers('AlexNet', shape)
    .convolution('conv1', { outputs: 96, kernel: 11, stride: 4, ...learned(0.01, 0) })
    .relu('relu1')
    .lrn('norm1', norm)
    .maxPool('pool1', pool)
    .convolution('conv2', { outputs: 256, kernel: 5, pad: 2, group: 2, ...learned(0.01, 0.1) })
    .relu('relu2')
    .lrn('norm2', norm)
    .maxPool('pool2', pool)
    .convolution('conv3', { outputs: 384, kernel: 3, pad: 1, ...learned(0.01, 0) })
    .relu('relu3')
    .convolution('conv4', { outputs: 384, kernel: 3, pad: 1, group: 2, ...learned(0.01, 0.1) })
    .relu('relu4')
    .convolution('conv5', { outputs: 256, kernel: 3, pad: 1, group: 2, ...learned(0.01, 0.1) })
    .relu('relu5')
    .maxPool('pool5', pool)
    .innerProduct('fc6', { outputs: 4096, ...learned(0.005, 0.1) })
    .relu('relu6')
    .dropout('drop6')
    .innerProduct('fc7', { outputs: 4096, ...learned(0.005, 0.1) })
    .relu('relu7')
    .dropout('drop7')
    .innerProduct('fc8', { outputs: classes, ...learned(0.01, 0) })
    .describe()
}

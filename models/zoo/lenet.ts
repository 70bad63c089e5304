import { layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

/**
 * LeNet as Caffe's MNIST example has it: after LeCun 1998, with max pooling and one ReLU; biases learn at twice the rate. 431,080
 * parameters for 1×28×28 and 10 classes.
 */
export function lenet({ shape, classes }: ZooInput): Model {
  const bias = { lrMult: 2 }
  return layers('LeNet', shape)
    .convolution('conv1', { outputs: 20, kernel: 5, bias })
    .maxPool('pool1', { kernel: 2 })
    .convolution('conv2', { outputs: 50, kernel: 5, bias })
    .maxPool('pool2', { kernel: 2 })
    .innerProduct('ip1', { outputs: 500, bias })
    .relu('relu1')
    .innerProduct('ip2', { outputs: classes, bias })
    .describe()
}

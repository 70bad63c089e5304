import { basename } from 'node:path'
import { loadOnnx, openOnnx, packOnnx } from '../../../models/index.ts'
import type { ModelSource } from './source.ts'
import { trainable } from './trainable.ts'

/** An ONNX file, with its external data folded in. */
export const onnxSource: ModelSource = {
  ending: '.onnx',
  async collect(path, name, options) {
    const content = await packOnnx(path, options)
    loadOnnx(content, { name: path })
    return [{ name, content }]
  },
  async open(path, context, options) {
    const graph = await openOnnx(path, { ...options, sample: context.data.shape })
    return trainable(graph, context, basename(path))
  }
}

import { caffeSource } from './caffe.ts'
import { descriptionSources } from './description.ts'
import { onnxSource } from './onnx.ts'
import type { ModelSource } from './source.ts'

/** Every kind of file that `--model` takes. */
export const sources: readonly ModelSource[] = [onnxSource, caffeSource, ...descriptionSources]

import { dirname, join } from 'node:path'
import { InvalidParametersError, NotFoundError } from '../../../common/index.ts'
import {
  type CaffeModel,
  type CaffeNet,
  caffeData,
  caffeModel,
  freezeParameters,
  parseLoss,
  readWeights,
  trainingGraph,
  useWeights
} from '../../../models/index.ts'
import { type CaffeFiles, find, MAX_WEIGHTS, readBytes, readCaffe } from './caffe-files.ts'
import { restore, snapshot } from './caffe-snapshot.ts'
import { jobOf } from './caffe-solver.ts'
import { labelsFor } from './labels.ts'
import type { ModelContext, ModelSource, OpenedModel } from './source.ts'

/** What a file of weights is called in a job. */
const WEIGHTS = 'weights.caffemodel'

/** A net of Caffe's, or a solver with its nets. */
export const caffeSource: ModelSource = {
  ending: '.prototxt',
  takesWeights: true,
  async collect(path, name, options) {
    const { text, nets } = await readCaffe(path, options)
    const encode = (content: string) => new TextEncoder().encode(content)
    const files = [{ name, content: encode(text) }, ...Array.from(nets, ([name, text]) => ({ name, content: encode(text) }))]
    if (options.weights === undefined) return files
    const content = await readBytes(options.weights, MAX_WEIGHTS, options.signal)
    readWeights(content, options.weights)
    return [...files, { name: WEIGHTS, content }]
  },
  async settings(path, options) {
    const files = await readCaffe(path, options)
    const weights = await weightsOf(files, path)
    return { ...jobOf(files), ...(weights === undefined ? {} : { weights }) }
  },
  async notes(path, options) {
    const { solver, net } = await readCaffe(path, options)
    const { source, meanFile } = caffeData(net, 'TRAIN', solver?.trainState)
    const replaced = source === undefined ? [] : [`source '${source}': the data of --data takes its place`]
    if (meanFile !== undefined) replaced.push(`mean_file '${meanFile}': the mean of that data takes its place`)
    return [...replaced, ...(solver?.notes ?? [])]
  },
  async open(path, context, options) {
    const files = await readCaffe(path, { ...options, carried: true })
    const weights =
      context.spec.weights === undefined ? undefined : await readBytes(join(dirname(path), WEIGHTS), MAX_WEIGHTS, options.signal)
    return await openCaffe(files, context, weights, options)
  }
}

/** The weights that a solver names. */
async function weightsOf({ solver }: CaffeFiles, path: string): Promise<string | undefined> {
  const [file, ...more] = solver?.weights ?? []
  if (file === undefined) return undefined
  if (more.length > 0) throw new InvalidParametersError(`${path}: 'weights' names ${more.length + 1} files; leave one`)
  const found = await find(file, path)
  if (found === undefined) throw new NotFoundError(`${path}: the weights '${file}' are not there; put them beside it or give their path`)
  return found
}

async function openCaffe(
  files: CaffeFiles,
  context: ModelContext,
  weights: Uint8Array | undefined,
  options: { signal?: AbortSignal }
): Promise<OpenedModel> {
  const { spec, data } = context
  const { solver, net, testNet } = files
  const mean = wantsMean(files) ? await meanOf(data, options.signal) : undefined
  const model = caffeModel(
    net,
    {
      shape: data.shape,
      ...(data.scaling === undefined ? {} : { scaling: data.scaling }),
      ...(mean === undefined ? {} : { mean: () => mean })
    },
    {
      ...(solver?.trainState === undefined ? {} : { train: solver.trainState }),
      ...(solver?.testState === undefined ? {} : { test: solver.testState }),
      ...(testNet === undefined ? {} : { testNet })
    }
  )
  checkClasses(model, net, data.classes)
  if (weights !== undefined) useWeights(model.train, [model.train.graph, model.graph], readWeights(weights, WEIGHTS), spec.weights!)
  const opened = trainable(model, spec)
  labelsFor(opened.training.inputs.labels, data)
  return { ...opened, snapshot: state => snapshot(model, files, state), restore: (path, options) => restore(model, path, options) }
}

function trainable(model: CaffeModel, { loss, freeze = [] }: ModelContext['spec']): OpenedModel {
  const frozen = freeze.length === 0 ? {} : { freeze }
  const graph = freeze.length === 0 ? model.graph : freezeParameters(model.graph, freeze)
  const named = loss === undefined ? undefined : parseLoss(loss)
  const options = named === undefined ? model.training : { loss: named, evaluation: { graph: model.graph, loss: named } }
  return { graph, training: trainingGraph(model.train.graph, { ...options, ...frozen }) }
}

/** A classifier must tell as many classes apart as there are. */
function checkClasses({ train }: CaffeModel, net: CaffeNet, classes: number): void {
  const heads = new Set(train.heads.map(h => h.value))
  for (const layer of train.layers) {
    if (layer.string('type') !== 'SoftmaxWithLoss') continue
    for (const scores of heads) {
      const [, outputs] = train.graph.types.get(scores)!.shape
      if (typeof outputs === 'number' && outputs < classes && layer.strings('bottom')[0] === scores) {
        throw new InvalidParametersError(
          `${net.source.file}: '${scores}' tells ${outputs} classes apart and the data has ${classes}; give its layer as many outputs`
        )
      }
    }
  }
}

function wantsMean({ solver, net, testNet }: CaffeFiles): boolean {
  const train = caffeData(net, 'TRAIN', solver?.trainState)
  return train.meanFile !== undefined || caffeData(testNet ?? net, 'TEST', solver?.testState).meanFile !== undefined
}

/** Samples read at once for a mean. */
const BLOCK = 64

/** The mean of all training samples in bytes, an element each; zeros where only the shape is to be checked. */
async function meanOf({ shape, train, scaling }: ModelContext['data'], signal?: AbortSignal): Promise<Float32Array> {
  const size = shape.reduce((a, b) => a * b, 1)
  const sums = new Float64Array(size)
  if (train === undefined) return new Float32Array(size)
  const into = new Float32Array(BLOCK * size)
  const labels = new Int32Array(BLOCK)
  for (let start = 0; start < train.count; start += BLOCK) {
    signal?.throwIfAborted()
    const ids = Array.from({ length: Math.min(BLOCK, train.count - start) }, (_, i) => start + i)
    train.read(ids, into, labels)
    for (let i = 0; i < ids.length; i++) for (let k = 0; k < size; k++) sums[k]! += into[i * size + k]!
    // The thread that reads also answers its peers.
    await new Promise(resolve => setImmediate(resolve))
  }
  const plane = size / shape[0]!
  const { mean, scale } = scaling ?? { mean: [0], scale: 1 }
  return Float32Array.from(sums, (sum, k) => sum / train.count / scale + (mean[Math.floor(k / plane)] ?? 0))
}

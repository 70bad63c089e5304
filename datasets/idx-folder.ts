import { createHash, type Hash } from 'node:crypto'
import { MalformedError, NotFoundError } from '../common/index.ts'
import { type Folder, openFirst, type SourceFile } from './files.ts'
import { readIdx } from './idx.ts'
import { createPace } from './pace.ts'
import { byteSplit, GREY_SCALING } from './splits.ts'
import type { Dataset, OpenOptions } from './types.ts'

interface Half {
  images: Uint8Array
  labels: Uint8Array
  count: number
  /** `[h, w]` */
  size: number[]
  shown: string
}

/**
 * Opens a folder of grey pictures that has MNIST's file names: `{train,t10k}-images-idx3-ubyte` and `…-labels-idx1-ubyte`, with
 * `.idx3` for `-idx3` as well, each plain or with `.gz`.
 *
 * @param classes - labels must be below it
 * @throws NotFoundError when a file is missing, MalformedError when one is not as it must be
 * @see http://yann.lecun.com/exdb/mnist/ for the format
 */
export async function openIdxFolder(uri: string, folder: Folder, classes: number, options: OpenOptions): Promise<Dataset> {
  const hash = createHash('sha256').update(`idx 1 ${JSON.stringify(GREY_SCALING)} ${classes};`)
  const train = await readHalf(folder, 'train', classes, hash, options)
  options.onProgress?.(train.count, train.count)
  const test = await readHalf(folder, 't10k', classes, hash, options)
  options.onProgress?.(train.count + test.count, train.count + test.count)
  if (train.size.join() !== test.size.join()) {
    throw new MalformedError(`${test.shown}: its pictures are ${test.size.join(' × ')}, those of ${train.shown} ${train.size.join(' × ')}`)
  }
  const shape = [1, ...train.size]
  return {
    uri,
    shape,
    classes,
    train: byteSplit(train.images, train.labels, shape, GREY_SCALING),
    test: byteSplit(test.images, test.labels, shape, GREY_SCALING),
    scaling: GREY_SCALING,
    fingerprint: { count: train.count, testCount: test.count, shape, classes, digest: hash.digest('hex') }
  }
}

async function readHalf(folder: Folder, half: 'train' | 't10k', classes: number, hash: Hash, { signal }: OpenOptions): Promise<Half> {
  const pace = createPace(`reading ${folder.shown}`, signal)
  const pictures = await open(folder, half, 'images', 3)
  let names: SourceFile | undefined
  try {
    names = await open(folder, half, 'labels', 1)
    const images = await readIdx(pictures, 3, hash, signal)
    const labels = await readIdx(names, 1, hash, signal)
    const count = images.dims[0]!
    if (labels.dims[0] !== count) {
      throw new MalformedError(`${names.shown}: has ${labels.dims[0]} labels for the ${count} pictures of ${pictures.shown}`)
    }
    await pace.rest()
    checkLabels(labels.data, classes, names.shown)
    return { images: images.data, labels: labels.data, count, size: images.dims.slice(1), shown: pictures.shown }
  } finally {
    await Promise.all([pictures.handle.close(), names?.handle.close()])
  }
}

async function open(folder: Folder, half: string, kind: 'images' | 'labels', rank: number): Promise<SourceFile> {
  const plain = ['-', '.'].map(separator => `${half}-${kind}${separator}idx${rank}-ubyte`)
  const file = await openFirst(
    folder,
    plain.flatMap(name => [name, `${name}.gz`])
  )
  if (file !== undefined) return file
  throw new NotFoundError(
    `'${folder.shown}' has no ${plain[0]} (nor ${plain[0]}.gz); an IDX folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte, ` +
      't10k-images-idx3-ubyte and t10k-labels-idx1-ubyte'
  )
}

/** @throws MalformedError that names the first label that is not below `classes` */
export function checkLabels(labels: Uint8Array, classes: number, shown: string): void {
  const index = labels.findIndex(label => label >= classes)
  if (index < 0) return
  throw new MalformedError(
    `${shown}: label ${index} is ${labels[index]}, out of the range 0 to ${classes - 1}; an idx: folder with more classes is opened with ?classes=N`
  )
}

import { createHash, type Hash } from 'node:crypto'
import { AbortedError, MalformedError, NotFoundError, TooLargeError } from '../common/index.ts'
import { type Folder, openFirst, type SourceFile } from './files.ts'
import { createPace } from './pace.ts'
import { byteSplit, COLOUR_SCALE, type Scaling } from './splits.ts'
import type { Dataset, OpenOptions } from './types.ts'

const SHAPE = [3, 32, 32]
const CLASSES = 10
const PLANE = 32 * 32
const PICTURE = 3 * PLANE
const RECORD = 1 + PICTURE
const TRAIN = [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`)
const TEST = ['test_batch.bin']
/** Records of one file at most; CIFAR-10's have 10,000. */
const MAX_RECORDS = 200_000
/** Records read at once. */
const BLOCK = 128

/**
 * CIFAR-10 (Krizhevsky 2009) in its binary form: records of a label byte and 3,072 picture bytes, red, green and blue planes. Values are
 * (byte − mean) / 32 with the mean of each channel over the training files.
 *
 * @throws NotFoundError when a file is missing, MalformedError when one is truncated or holds a label over 9
 * @see https://www.cs.toronto.edu/~kriz/cifar.html for the format
 */
export async function openCifar(uri: string, folder: Folder, options: OpenOptions): Promise<Dataset> {
  const hash = createHash('sha256').update(`cifar 1 ${COLOUR_SCALE};`)
  const files: SourceFile[] = []
  try {
    for (const name of [...TRAIN, ...TEST]) files.push(await open(folder, name))
    const counts = files.map(records)
    const train = await readBatches(files.slice(0, TRAIN.length), counts.slice(0, TRAIN.length), hash, options)
    const test = await readBatches(files.slice(TRAIN.length), counts.slice(TRAIN.length), hash, options)
    const scaling: Scaling = { mean: train.sums.map(sum => sum / (train.labels.length * PLANE)), scale: COLOUR_SCALE }
    return {
      uri,
      shape: [...SHAPE],
      classes: CLASSES,
      train: byteSplit(train.images, train.labels, SHAPE, scaling),
      test: byteSplit(test.images, test.labels, SHAPE, scaling),
      scaling,
      fingerprint: {
        count: train.labels.length,
        testCount: test.labels.length,
        shape: [...SHAPE],
        classes: CLASSES,
        digest: hash.digest('hex')
      }
    }
  } finally {
    await Promise.all(files.map(file => file.handle.close()))
  }
}

async function open(folder: Folder, name: string): Promise<SourceFile> {
  const file = await openFirst(folder, [name])
  if (file !== undefined) return file
  throw new NotFoundError(
    `'${folder.shown}' has no ${name}; a folder of CIFAR-10's binary version holds data_batch_1.bin to data_batch_5.bin and test_batch.bin`
  )
}

/** Records of a file, from its size alone. */
function records({ size, shown }: SourceFile): number {
  const whole = Math.ceil(size / RECORD)
  if (size === 0) throw new MalformedError(`${shown}: is empty; copy it again`)
  if (size % RECORD !== 0) {
    throw new MalformedError(
      `${shown}: is truncated or no CIFAR-10 file: expected ${whole * RECORD} bytes (records of ${RECORD}), found ${size}`
    )
  }
  if (whole > MAX_RECORDS) throw new TooLargeError(`${shown}: ${whole} pictures are over the limit of ${MAX_RECORDS}`)
  return whole
}

async function readBatches(files: SourceFile[], counts: number[], hash: Hash, { signal, onProgress }: OpenOptions) {
  const total = counts.reduce((a, b) => a + b)
  const images = new Uint8Array(total * PICTURE)
  const labels = new Uint8Array(total)
  const sums = [0, 0, 0]
  const block = new Uint8Array(BLOCK * RECORD)
  let at = 0
  for (const [i, file] of files.entries()) {
    const pace = createPace(`reading ${file.shown}`, signal)
    for (let first = 0; first < counts[i]!; first += BLOCK) {
      const bytes = block.subarray(0, Math.min(BLOCK, counts[i]! - first) * RECORD)
      await readFully(file, bytes, first * RECORD, signal)
      hash.update(bytes)
      for (let r = 0; r < bytes.length; r += RECORD, at++) {
        if (bytes[r]! >= CLASSES) {
          throw new MalformedError(`${file.shown}: label ${first + r / RECORD} is ${bytes[r]}, out of the range 0 to ${CLASSES - 1}`)
        }
        labels[at] = bytes[r]!
        images.set(bytes.subarray(r + 1, r + RECORD), at * PICTURE)
      }
      addPlanes(images.subarray((at - bytes.length / RECORD) * PICTURE, at * PICTURE), sums)
      if (pace.due()) await pace.rest()
    }
    onProgress?.(at, total)
  }
  return { images, labels, sums }
}

async function readFully(file: SourceFile, into: Uint8Array, position: number, signal: AbortSignal | undefined): Promise<void> {
  let got = 0
  while (got < into.length) {
    if (signal?.aborted) throw new AbortedError(`reading ${file.shown} was aborted`, { cause: signal.reason })
    const { bytesRead } = await file.handle.read(into, got, into.length - got, position + got)
    if (bytesRead === 0) throw new MalformedError(`${file.shown}: is truncated: expected ${file.size} bytes, found ${position + got}`)
    got += bytesRead
  }
}

/** Adds the bytes of each channel; integers, so exact in any order. */
function addPlanes(pictures: Uint8Array, sums: number[]): void {
  for (let i = 0; i < pictures.length; ) {
    for (let c = 0; c < 3; c++) {
      let sum = 0
      for (const end = i + PLANE; i < end; i++) sum += pictures[i]!
      sums[c] = sums[c]! + sum
    }
  }
}

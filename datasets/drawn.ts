import { createHash } from 'node:crypto'
import { InvalidParametersError } from '../common/index.ts'
import { createPace } from './pace.ts'
import { byteSplit, type Draw, drawnSplit, type Scaling, sampleSize } from './splits.ts'
import type { Dataset, OpenOptions, Split } from './types.ts'
import { type DatasetUri, formatUri } from './uri.ts'

/** A data set that is drawn. */
export interface DrawnKind {
  /** Changes with every change of the pictures, so that nodes of different releases do not train together on different pictures. */
  version: number
  shape: number[]
  classes: number
  scaling: Scaling
  /** Samples when the URI names no number. */
  train: number
  test: number
  drawer(seed: number): Draw
}

/** Seeds of drawn data sets are below it. */
export const MAX_SEED = 2 ** 32
/** Bytes of pictures kept for one split; a larger one is drawn anew at each read. */
const MAX_KEPT = 256 * 1024 * 1024
/** Pictures of each split that enter the digest. */
const DIGESTED = 256
/** First id of the test split: the two share no sample, whatever their sizes. */
const TEST_IDS = 2 ** 32

/**
 * Draws the data set that `uri` describes, a few milliseconds of it at a time.
 *
 * @throws AbortedError, InvalidParametersError
 */
export async function openDrawn(
  uri: DatasetUri,
  kind: DrawnKind,
  { seed: defaultSeed = 0, signal, onProgress }: OpenOptions
): Promise<Dataset> {
  if (!(Number.isInteger(defaultSeed) && defaultSeed >= 0 && defaultSeed < MAX_SEED)) {
    throw new InvalidParametersError(`the seed of a data set must be an integer from 0 to ${MAX_SEED - 1}, not ${defaultSeed}`)
  }
  const train = uri.parameters.get('train') ?? kind.train
  const test = uri.parameters.get('test') ?? kind.test
  const seed = uri.parameters.get('seed') ?? defaultSeed
  const canonical = formatUri({
    name: uri.name,
    parameters: new Map([
      ['train', train],
      ['test', test],
      ['seed', seed]
    ])
  })
  const hash = createHash('sha256').update(`${canonical} version ${kind.version} ${kind.shape} ${JSON.stringify(kind.scaling)};`)
  const draw = kind.drawer(seed)
  const size = sampleSize(kind.shape)
  const pace = createPace(`drawing ${uri.name}`, signal)

  const open = async (count: number, firstId: number, before: number): Promise<Split> => {
    const at = (id: number, into: Uint8Array, offset: number): number => draw(firstId + id, into, offset)
    const keep = count * size <= MAX_KEPT
    const drawn = keep ? count : Math.min(count, DIGESTED)
    const images = new Uint8Array(drawn * size)
    const labels = new Uint8Array(drawn)
    for (let id = 0; id < drawn; id++) {
      labels[id] = at(id, images, id * size)
      if (!pace.due()) continue
      onProgress?.(before + id + 1, train + test)
      await pace.rest()
    }
    const digested = Math.min(count, DIGESTED)
    hash.update(images.subarray(0, digested * size)).update(labels.subarray(0, digested))
    onProgress?.(before + count, train + test)
    return keep ? byteSplit(images, labels, kind.shape, kind.scaling) : drawnSplit(count, at, kind.shape, kind.scaling)
  }

  const trainSplit = await open(train, 0, 0)
  await pace.rest()
  const testSplit = await open(test, TEST_IDS, train)
  const shape = [...kind.shape]
  return {
    uri: canonical,
    shape,
    classes: kind.classes,
    train: trainSplit,
    test: testSplit,
    scaling: kind.scaling,
    fingerprint: { count: train, testCount: test, shape: [...shape], classes: kind.classes, digest: hash.digest('hex') }
  }
}

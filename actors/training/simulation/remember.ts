import type { Dataset, Split } from '../../../datasets/index.ts'

/** Most floats that are kept, 512 MiB. */
const MAX_FLOATS = 2 ** 27

/**
 * A data set that reads each sample once and keeps it, as far as memory is allowed: simulated runs go over the same samples again and
 * again, and drawing or decoding them would take longer than training on them.
 */
export function rememberSamples(dataset: Dataset): Dataset {
  const size = dataset.shape.reduce((a, b) => a * b, 1)
  return {
    uri: dataset.uri,
    shape: dataset.shape,
    classes: dataset.classes,
    fingerprint: dataset.fingerprint,
    train: remember(dataset.train, size),
    test: remember(dataset.test, size)
  }
}

function remember(split: Split, size: number): Split {
  const kept = Math.min(split.count, Math.floor(MAX_FLOATS / size))
  const data = new Float32Array(kept * size)
  const labels = new Int32Array(kept)
  const known = new Uint8Array(kept)
  const label = new Int32Array(1)
  return {
    count: split.count,
    read(ids, into, labelsInto) {
      for (let i = 0; i < ids.length; i++) {
        const id = ids[i]!
        const target = into.subarray(i * size, (i + 1) * size)
        if (known[id] === 1) {
          target.set(data.subarray(id * size, (id + 1) * size))
          labelsInto[i] = labels[id]!
          continue
        }
        split.read([id], target, label)
        labelsInto[i] = label[0]!
        if (id >= kept) continue
        known[id] = 1
        data.set(target, id * size)
        labels[id] = label[0]!
      }
    }
  }
}

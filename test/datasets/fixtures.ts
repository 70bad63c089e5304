import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { createRng } from '../../common/index.ts'

/** Bytes of an IDX file of unsigned bytes. */
export function idxBytes(dims: number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length)
  header[2] = 8
  header[3] = dims.length
  dims.forEach((dim, i) => {
    header.writeUInt32BE(dim, 4 + 4 * i)
  })
  return Buffer.concat([header, data])
}

/** What `writeIdxFolder` writes. */
export interface IdxFixture {
  /** @default 60 */
  train?: number
  /** @default 20 */
  test?: number
  /** Height and width. @default [28, 28] */
  size?: [number, number]
  /** @default 10 */
  classes?: number
  /** @default false */
  gzip?: boolean
  /** Between `images` and `idx3`. @default '-' */
  separator?: '-' | '.'
  /** @default 1 */
  seed?: number | string
}

/**
 * Writes a folder in MNIST's naming. The pictures are easy to learn: noise with a bright bar whose place tells the class (sample i has class i mod classes).
 *
 * @returns the folder
 */
export async function writeIdxFolder(folder: string, fixture: IdxFixture = {}): Promise<string> {
  const { train = 60, test = 20, size = [28, 28], classes = 10, gzip = false, separator = '-', seed = 1 } = fixture
  const rng = createRng(seed)
  const [height, width] = size
  await mkdir(folder, { recursive: true })
  for (const [half, count] of [
    ['train', train],
    ['t10k', test]
  ] as const) {
    const images = new Uint8Array(count * height * width)
    const labels = new Uint8Array(count)
    for (let i = 0; i < count; i++) {
      const label = i % classes
      labels[i] = label
      const bar = Math.floor((label * height) / classes)
      for (let p = 0; p < height * width; p++) images[i * height * width + p] = rng.int(60) + (Math.floor(p / width) === bar ? 180 : 0)
    }
    const save = (name: string, bytes: Buffer): Promise<void> =>
      writeFile(path.join(folder, gzip ? `${name}.gz` : name), gzip ? gzipSync(bytes) : bytes)
    await save(`${half}-images${separator}idx3-ubyte`, idxBytes([count, height, width], images))
    await save(`${half}-labels${separator}idx1-ubyte`, idxBytes([count], labels))
  }
  return folder
}

/** Writes a folder in the form of CIFAR-10's binary version, `perFile` random pictures a file. @returns the folder */
export async function writeCifarFolder(folder: string, perFile = 12, seed: number | string = 1): Promise<string> {
  const rng = createRng(seed)
  await mkdir(folder, { recursive: true })
  for (const name of [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`).concat('test_batch.bin')) {
    const bytes = new Uint8Array(perFile * 3073)
    for (let i = 0; i < bytes.length; i++) bytes[i] = i % 3073 === 0 ? rng.int(10) : rng.int(256)
    await writeFile(path.join(folder, name), bytes)
  }
  return folder
}

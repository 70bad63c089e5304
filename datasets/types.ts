import type { Scaling } from './splits.ts'

/** One half of a data set: samples addressed by id, 0 ≤ id < `count`. */
export interface Split {
  /** Samples there are. */
  readonly count: number
  /**
   * Writes sample `ids[i]` as float32 c·h·w (channels first, rows, columns) at `i·size` of `into`, and its class at `labels[i]`; of a text
   * its tokens, and the token that follows each, likewise.
   *
   * @throws InvalidParametersError when an id is not below `count` or a target is too short; nothing useful is in the targets then
   */
  read(ids: ArrayLike<number>, into: Float32Array, labels: Int32Array): void
}

/** What two nodes compare before they train on the same URI: equal fingerprints mean equal samples. */
export interface Fingerprint {
  /** Training samples. */
  count: number
  /** Test samples. */
  testCount: number
  /** Of a sample. */
  shape: number[]
  classes: number
  /** Labels of a sample, where it has more than one. */
  positions?: number
  /**
   * SHA-256, hex. Of a data set in files: of every image and label byte and of the scaling. Of a drawn one: of its
   * parameters and the first pictures of each split, which changes as soon as a machine draws differently.
   */
  digest: string
}

/** An opened data set. `uri` alone reopens it on any node that can reach the same files. */
export interface Dataset {
  /** In canonical form: every parameter spelled out, paths as the user gave them. */
  readonly uri: string
  /** `[channels, height, width]`; of a text `[length]`. */
  readonly shape: number[]
  /** Classes of a label; of a text its different tokens. */
  readonly classes: number
  /** Labels of a sample, where it has more than one: a text has one a position. */
  readonly positions?: number
  readonly train: Split
  readonly test: Split
  readonly fingerprint: Fingerprint
  /** How the values were made from bytes; absent where they were not. */
  readonly scaling?: Scaling
}

/** Options of `openDataset`. */
export interface OpenOptions {
  /**
   * Folders that paths in a URI may lead into. A relative path is looked for in each, in order. When absent any path is
   * allowed and a relative one starts at the working directory; when empty none is allowed.
   */
  dataRoots?: string[]
  /** Seed of drawn data sets whose URI names none. It belongs to the data, not to the job. @default 0 */
  seed?: number
  signal?: AbortSignal
  /** Called now and then with the samples ready so far and their number. */
  onProgress?(done: number, total: number): void
}

import { hash32, InvalidParametersError, MalformedError, mix32, TooLargeError } from '../../../common/index.ts'

/** What is to be trained: every sample of every epoch once, in ranges of the epoch's order. */
export interface LedgerSpec {
  job: string
  /** Samples of an epoch. */
  samples: number
  /** Samples of a range; an epoch's last range may be shorter. */
  rangeSize: number
  epochs: number
}

/** Trainers that ever committed a range of one job, restarts counted. */
export const MAX_COMMITTERS = 65_535
/** Ranges of all epochs together (two bytes each are kept). */
export const MAX_RANGES = 2 ** 28
/** Longest name of a trainer, UTF-16 units. */
export const MAX_NAME = 256

/** Who committed what of one epoch. */
export interface EpochRecord {
  /** By range: 1 + index of a trainer that committed it, 0 for none. */
  committer: Uint16Array
  /** Further committers of ranges that were trained more than once. */
  extra: Map<number, number[]>
  /** Committed ranges. */
  ranges: number
  /** Committed samples, each counted once. */
  samples: number
  /** Samples that were trained again: every commit of a range but one. */
  duplicated: number
  /** First range that is not committed. */
  low: number
  /** Digest of the set of (range, trainer): equal sets have equal digests, whatever the order they came in. */
  digest: [number, number]
}

/**
 * A grow-only set of (epoch, range, trainer): "this trainer has trained and applied this range". Merged by union, which is
 * commutative, associative and idempotent; all figures are functions of the set.
 */
export interface Ledger {
  readonly spec: LedgerSpec
  /** Ranges of an epoch. */
  readonly ranges: number
  readonly names: string[]
  readonly indices: Map<string, number>
  /** By epoch; absent until something of it is committed. */
  readonly epochs: (EpochRecord | undefined)[]
  /** First epoch that is not complete. */
  low: number
}

/**
 * An empty ledger.
 *
 * @throws InvalidParametersError when the specification makes no sense
 * @throws TooLargeError when it has more than {@link MAX_RANGES} ranges
 */
export function createLedger(spec: LedgerSpec): Ledger {
  for (const [name, value] of [
    ['samples', spec.samples],
    ['rangeSize', spec.rangeSize],
    ['epochs', spec.epochs]
  ] as const) {
    if (!(Number.isSafeInteger(value) && value >= 1))
      throw new InvalidParametersError(`${name} of a ledger must be a whole number of at least 1, not ${value}`)
  }
  const ranges = Math.ceil(spec.samples / spec.rangeSize)
  if (ranges * spec.epochs > MAX_RANGES) {
    throw new TooLargeError(`${spec.epochs} epochs of ${ranges} ranges are more than ${MAX_RANGES}; take a larger batch or fewer epochs`)
  }
  return { spec, ranges, names: [], indices: new Map(), epochs: [], low: 0 }
}

/** Positions [start, end) of a range in its epoch's order. */
export function bounds({ spec }: Ledger, range: number): { start: number; end: number } {
  return { start: range * spec.rangeSize, end: Math.min((range + 1) * spec.rangeSize, spec.samples) }
}

/** Whether anyone is known to have committed the range. */
export function isCommitted(ledger: Ledger, epoch: number, range: number): boolean {
  return (ledger.epochs[epoch]?.committer[range] ?? 0) !== 0
}

/** Whether every range of the epoch is committed. */
export function isComplete(ledger: Ledger, epoch: number): boolean {
  return ledger.epochs[epoch]?.ranges === ledger.ranges
}

/** Whether every range of every epoch is committed. */
export function isFinished(ledger: Ledger): boolean {
  return ledger.low === ledger.spec.epochs
}

/** Figures of an epoch, in samples: `committed` counts each once, `duplicated` what was trained again beside that. */
export function figures(ledger: Ledger, epoch: number): { committed: number; duplicated: number } {
  const record = ledger.epochs[epoch]
  return { committed: record?.samples ?? 0, duplicated: record?.duplicated ?? 0 }
}

/** Samples committed over all epochs, as far as this trainer knows. */
export function committedSamples(ledger: Ledger): number {
  let samples = ledger.low * ledger.spec.samples
  for (let epoch = ledger.low; epoch < Math.min(ledger.low + 2, ledger.spec.epochs); epoch++) samples += figures(ledger, epoch).committed
  return samples
}

/** First range at or after `from` that nobody has committed, `ranges` when there is none. */
export function nextUncommitted(ledger: Ledger, epoch: number, from: number): number {
  const record = ledger.epochs[epoch]
  if (record === undefined) return Math.min(from, ledger.ranges)
  let range = Math.max(from, record.low)
  while (range < ledger.ranges && record.committer[range] !== 0) range++
  return range
}

/**
 * Adds (epoch, range, trainer).
 *
 * @returns whether it is news
 * @throws RangeError when there is no such range: the caller checks input of peers before
 * @throws MalformedError when more than {@link MAX_COMMITTERS} trainers are named
 */
export function commit(ledger: Ledger, epoch: number, range: number, trainer: string): boolean {
  if (!(epoch >= 0 && epoch < ledger.spec.epochs && range >= 0 && range < ledger.ranges))
    throw new RangeError(`no range ${range} of epoch ${epoch}`)
  const index = indexOf(ledger, trainer)
  ledger.epochs[epoch] ??= emptyRecord(ledger.ranges)
  const record = ledger.epochs[epoch]
  const { start, end } = bounds(ledger, range)
  const known = record.committer[range]
  if (known === index + 1) return false
  if (known === 0) {
    record.committer[range] = index + 1
    record.ranges++
    record.samples += end - start
    while (record.low < ledger.ranges && record.committer[record.low] !== 0) record.low++
    while (isComplete(ledger, ledger.low)) ledger.low++
  } else {
    const others = record.extra.get(range) ?? []
    if (others.includes(index)) return false
    others.push(index)
    record.extra.set(range, others)
    record.duplicated += end - start
  }
  const name = hash32(trainer)
  record.digest[0] = (record.digest[0] ^ mix32(name ^ mix32(range))) >>> 0
  record.digest[1] = (record.digest[1] ^ mix32(mix32(name + range) + range)) >>> 0
  return true
}

/** Every trainer known to have committed the range. */
export function committers(ledger: Ledger, epoch: number, range: number): string[] {
  const record = ledger.epochs[epoch]
  if (record === undefined || record.committer[range] === 0) return []
  return [record.committer[range] - 1, ...(record.extra.get(range) ?? [])].map(i => ledger.names[i])
}

function indexOf(ledger: Ledger, trainer: string): number {
  const known = ledger.indices.get(trainer)
  if (known !== undefined) return known
  if (trainer.length === 0 || trainer.length > MAX_NAME)
    throw new MalformedError(`a trainer's name has 1 to ${MAX_NAME} characters, not ${trainer.length}`)
  if (ledger.names.length >= MAX_COMMITTERS)
    throw new MalformedError(`more than ${MAX_COMMITTERS} trainers in the ledger of job ${ledger.spec.job}`)
  ledger.names.push(trainer)
  ledger.indices.set(trainer, ledger.names.length - 1)
  return ledger.names.length - 1
}

function emptyRecord(ranges: number): EpochRecord {
  return { committer: new Uint16Array(ranges), extra: new Map(), ranges: 0, samples: 0, duplicated: 0, low: 0, digest: [0, 0] }
}

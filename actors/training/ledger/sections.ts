import { MalformedError } from '../../../common/index.ts'
import { Reader, Writer } from './bytes.ts'
import { commit, type Ledger, MAX_COMMITTERS, MAX_NAME } from './ledger.ts'

/** Ranges that one section covers at most, so that it fits a control message. */
export const SECTION = 65_536

/**
 * Part of a ledger as bytes: who committed which of the ranges [start, start + count) of an epoch. For each trainer the shorter of a
 * bitmap and a list of runs.
 */
export function writeSection(
  writer: Writer,
  ledger: Ledger,
  epoch: number,
  start = 0,
  count = Math.min(SECTION, ledger.ranges - start)
): void {
  const record = ledger.epochs[epoch]
  const byTrainer = new Map<number, number[]>()
  const add = (trainer: number, range: number) => {
    const list = byTrainer.get(trainer)
    if (list === undefined) byTrainer.set(trainer, [range])
    else list.push(range)
  }
  for (let i = 0; i < count && record !== undefined; i++) {
    const index = record.committer[start + i]
    if (index === 0) continue
    add(index - 1, i)
    const extra = record.extra.size > 0 ? record.extra.get(start + i) : undefined
    if (extra !== undefined) for (const other of extra) add(other, i)
  }
  writer.uint(epoch).uint(start).uint(count).uint(byTrainer.size)
  for (const [trainer, list] of byTrainer) {
    writer.text(ledger.names[trainer])
    const runs = writeRuns(list)
    const bitmap = Math.ceil(count / 8)
    if (runs.length <= bitmap) writer.byte(0).bytes(runs)
    else writer.byte(1).bytes(bitmapOf(list, bitmap))
  }
}

/**
 * Merges one section.
 *
 * @returns what it covers, and whether it held news
 * @throws MalformedError when it is not one of this ledger's; what stood before the fault is merged, which is harmless
 */
export function readSection(reader: Reader, ledger: Ledger): { epoch: number; start: number; count: number; news: boolean } {
  const epoch = reader.uint(ledger.spec.epochs - 1)
  const start = reader.uint(ledger.ranges - 1)
  const count = reader.uint(Math.min(SECTION, ledger.ranges - start))
  const trainers = reader.uint(MAX_COMMITTERS)
  let news = false
  for (let i = 0; i < trainers; i++) {
    const name = reader.text(MAX_NAME * 3)
    const add = (range: number) => {
      if (commit(ledger, epoch, start + range, name)) news = true
    }
    const form = reader.byte()
    if (form === 0) readRuns(reader, count, add)
    else if (form === 1) readBitmap(reader, count, add)
    else throw reader.malformed(`a list of form ${form}`)
  }
  return { epoch, start, count, news }
}

/** A whole ledger, for a checkpoint. */
export function encodeLedger(ledger: Ledger): Uint8Array {
  const writer = new Writer()
  writer.byte(1)
  for (let epoch = 0; epoch < ledger.epochs.length; epoch++) {
    if (ledger.epochs[epoch] === undefined) continue
    for (let start = 0; start < ledger.ranges; start += SECTION) writeSection(writer, ledger, epoch, start)
  }
  return writer.finish()
}

/**
 * Merges what {@link encodeLedger} wrote into `ledger`.
 *
 * @returns whether it held news
 * @throws MalformedError
 */
export function mergeLedger(ledger: Ledger, bytes: Uint8Array): boolean {
  const reader = new Reader(bytes, 'a ledger')
  const version = reader.byte()
  if (version !== 1) throw new MalformedError(`a ledger of version ${version} is not known here; this one reads version 1`)
  let news = false
  while (!reader.done) news = readSection(reader, ledger).news || news
  return news
}

/** Number of runs, then for each the gap before it and its length less one. */
function writeRuns(list: number[]): Uint8Array {
  const writer = new Writer()
  const runs: [gap: number, length: number][] = []
  let end = 0
  for (const range of list) {
    if (runs.length > 0 && range === end) runs[runs.length - 1][1]++
    else runs.push([range - end, 1])
    end = range + 1
  }
  writer.uint(runs.length)
  for (const [gap, length] of runs) writer.uint(gap).uint(length - 1)
  return writer.finish()
}

function readRuns(reader: Reader, count: number, add: (range: number) => void): void {
  const runs = reader.uint(count)
  let at = 0
  for (let i = 0; i < runs; i++) {
    at += reader.uint(count - at)
    if (at >= count) throw reader.malformed('a run behind the end')
    const length = reader.uint(count - at - 1) + 1
    for (let k = 0; k < length; k++) add(at++)
  }
}

function bitmapOf(list: number[], length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (const range of list) bytes[range >> 3] |= 1 << (range & 7)
  return bytes
}

function readBitmap(reader: Reader, count: number, add: (range: number) => void): void {
  const bytes = reader.bytes(Math.ceil(count / 8))
  for (let i = 0; i < count; i++) if ((bytes[i >> 3] >> (i & 7)) & 1) add(i)
}

import { Writer } from './bytes.ts'
import type { Ledger } from './ledger.ts'
import { type Digest, MAX_DIGESTS } from './messages.ts'
import { SECTION, writeSection } from './sections.ts'

/** What `ledger` holds, in short: the last epochs one by one, all before them together. */
export function digestsOf(ledger: Ledger): Digest[] {
  const end = ledger.epochs.length
  const start = Math.max(0, end - MAX_DIGESTS)
  const digests: Digest[] = []
  if (start > 0) digests.push(digestBelow(ledger, start))
  for (let epoch = start; epoch < end; epoch++) digests.push(digestOf(ledger, epoch))
  return digests
}

/** The sections that whoever sent `digests` may lack, in messages that each fit a control message. */
export function answerTo(ledger: Ledger, digests: Digest[]): Uint8Array[] {
  const equal = new Set<number>()
  for (const theirs of digests) {
    const ours = theirs.below ? digestBelow(ledger, theirs.epoch) : digestOf(ledger, theirs.epoch)
    if (ours.ranges !== theirs.ranges || ours.hash[0] !== theirs.hash[0] || ours.hash[1] !== theirs.hash[1]) continue
    for (let epoch = theirs.below ? 0 : theirs.epoch; epoch <= theirs.epoch - (theirs.below ? 1 : 0); epoch++) equal.add(epoch)
  }
  const messages: Uint8Array[] = []
  let writer = new Writer()
  for (let epoch = 0; epoch < ledger.epochs.length; epoch++) {
    if (equal.has(epoch) || ledger.epochs[epoch] === undefined) continue
    for (let start = 0; start < ledger.ranges; start += SECTION) {
      writeSection(writer, ledger, epoch, start)
      if (writer.length < 2 ** 20) continue
      messages.push(writer.finish())
      writer = new Writer()
    }
  }
  if (writer.length > 0) messages.push(writer.finish())
  return messages
}

function digestOf(ledger: Ledger, epoch: number): Digest {
  const record = ledger.epochs[epoch]
  return { epoch, below: false, ranges: record?.ranges ?? 0, hash: record?.digest ?? [0, 0] }
}

/** All epochs before `epoch` in one; each is turned by its number so that two that swap places are told apart. */
function digestBelow(ledger: Ledger, epoch: number): Digest {
  const digest: Digest = { epoch, below: true, ranges: 0, hash: [0, 0] }
  for (let e = 0; e < epoch; e++) {
    const record = ledger.epochs[e]
    if (record === undefined) continue
    digest.ranges += record.ranges
    for (const i of [0, 1]) digest.hash[i] = (Math.imul(digest.hash[i], 31) + record.digest[i] + e) >>> 0
  }
  return digest
}

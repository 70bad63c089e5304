import { MAX_CONTROL_MESSAGE, MAX_TRAINERS } from '../../../common/index.ts'
import { Reader, Writer } from './bytes.ts'
import { type Ledger, MAX_NAME } from './ledger.ts'

/** What a trainer is at: its newest claim has the highest `seq`. Without a range it is at none. */
export interface Claim {
  seq: number
  at?: { epoch: number; range: number }
}

/** What another trainer is at. */
export interface NamedClaim {
  name: string
  claim: Claim
}

/** Digest of one epoch's set of commits; of all epochs below `epoch` together where `below` is set. */
export interface Digest {
  epoch: number
  below: boolean
  ranges: number
  hash: [number, number]
}

/**
 * What ledgers tell one another. Every message carries its sender's claim.
 *
 * - `update`: sections of the sender's ledger follow ({@link readSection}); none where only the claim is news
 * - `hello`: the sender is new and takes over what it owns; answered with `welcome`, after which the receiver starts none of it: with
 *   what others are at, and sections of what was committed last: so a claim never tells of the next range before the commit of the last
 * - `digest`: what the sender knows, in short; answered with what it lacks, and with a digest where `reply` is not set
 * - `ask`: give me one of your ranges of this epoch, I have none left; answered with `grant` or `deny`
 */
export type LedgerMessage =
  | { type: 'update'; claim: Claim; sections: Uint8Array }
  | { type: 'hello'; claim: Claim }
  | { type: 'welcome'; claim: Claim; others: NamedClaim[]; sections: Uint8Array }
  | { type: 'digest'; claim: Claim; reply: boolean; digests: Digest[] }
  | { type: 'ask' | 'deny'; claim: Claim; number: number; epoch: number }
  | { type: 'grant'; claim: Claim; number: number; epoch: number; range: number }

/** Trainers that get a trainer's own news at once; the others learn it by anti-entropy. */
export const FAN_OUT = 16
/** Trainers a view holds. */
export const MAX_VIEW = MAX_TRAINERS

const kinds = ['update', 'hello', 'welcome', 'digest', 'ask', 'deny', 'grant'] as const
/** Epochs of which a digest speaks one by one. */
export const MAX_DIGESTS = 64
const MAX_SEQ = Number.MAX_SAFE_INTEGER

export function encodeMessage(message: LedgerMessage): Uint8Array {
  const writer = new Writer()
  const { claim } = message
  writer.byte(kinds.indexOf(message.type))
  writeClaim(writer, claim)
  switch (message.type) {
    case 'update':
      writer.bytes(message.sections)
      break
    case 'digest':
      writer.byte(message.reply ? 1 : 0).uint(message.digests.length)
      for (const { epoch, below, ranges, hash } of message.digests) {
        writer
          .uint(epoch)
          .byte(below ? 1 : 0)
          .uint(ranges)
          .uint(hash[0])
          .uint(hash[1])
      }
      break
    case 'welcome':
      writer.uint(message.others.length)
      for (const other of message.others) writeClaim(writer.text(other.name), other.claim)
      writer.bytes(message.sections)
      break
    case 'grant':
      writer.uint(message.number).uint(message.epoch).uint(message.range)
      break
    case 'ask':
    case 'deny':
      writer.uint(message.number).uint(message.epoch)
  }
  return writer.finish()
}

/** @throws MalformedError when the bytes are no message about `ledger` */
export function decodeMessage(body: Uint8Array, ledger: Ledger): LedgerMessage {
  const reader = new Reader(body, 'a ledger message')
  if (body.length > MAX_CONTROL_MESSAGE) throw reader.malformed(`${body.length} bytes`)
  const type = kinds[reader.byte()]
  if (type === undefined) throw reader.malformed('an unknown kind')
  const message = readRest(type, readClaim(reader, ledger), reader, ledger)
  if (!reader.done) throw reader.malformed('more than the message')
  return message
}

function writeClaim(writer: Writer, { seq, at }: Claim): void {
  writer.uint(seq).byte(at === undefined ? 0 : 1)
  if (at !== undefined) writer.uint(at.epoch).uint(at.range)
}

function readClaim(reader: Reader, ledger: Ledger): Claim {
  const claim: Claim = { seq: reader.uint(MAX_SEQ) }
  if (reader.byte() !== 0) claim.at = { epoch: reader.uint(ledger.spec.epochs - 1), range: reader.uint(ledger.ranges - 1) }
  return claim
}

function readRest(type: LedgerMessage['type'], claim: Claim, reader: Reader, ledger: Ledger): LedgerMessage {
  const lastEpoch = ledger.spec.epochs - 1
  const lastRange = ledger.ranges - 1
  switch (type) {
    case 'update':
      return { type, claim, sections: reader.rest() }
    case 'digest': {
      const reply = reader.byte() !== 0
      const digests: Digest[] = []
      for (let left = reader.uint(MAX_DIGESTS + 1); left > 0; left--) {
        const epoch = reader.uint(lastEpoch + 1)
        const below = reader.byte() !== 0
        digests.push({ epoch, below, ranges: reader.uint(MAX_SEQ), hash: [reader.uint(0xffffffff), reader.uint(0xffffffff)] })
      }
      return { type, claim, reply, digests }
    }
    case 'grant':
      return { type, claim, number: reader.uint(MAX_SEQ), epoch: reader.uint(lastEpoch), range: reader.uint(lastRange) }
    case 'ask':
    case 'deny':
      return { type, claim, number: reader.uint(MAX_SEQ), epoch: reader.uint(lastEpoch) }
    case 'welcome': {
      const others: NamedClaim[] = []
      for (let left = reader.uint(MAX_VIEW); left > 0; left--)
        others.push({ name: reader.text(MAX_NAME * 3), claim: readClaim(reader, ledger) })
      return { type, claim, others, sections: reader.rest() }
    }
    case 'hello':
      return { type, claim }
  }
}

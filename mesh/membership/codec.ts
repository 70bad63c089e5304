import { MalformedError, TooLargeError } from '../../common/index.ts'
import { MembershipMessage as Wire, type MemberRecord as WireRecord } from './pb/membership.ts'
import {
  MAX_ADDRESS_BYTES,
  MAX_ADDRESSES,
  MAX_EPOCH,
  MAX_INCARNATION,
  MAX_MEMBERSHIP_MESSAGE,
  MAX_PEER_BYTES,
  MAX_PROOF_BYTES,
  MAX_RECORDS_PER_MESSAGE,
  MAX_VERSION_BYTES,
  type MemberRecord,
  type MemberState
} from './record.ts'
import type { MembershipMessage } from './state.ts'

const kinds = ['ping', 'ack', 'ask', 'nack', 'news', 'digest', 'state'] as const
const states: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left']

/** @throws TooLargeError when the message is over MAX_MEMBERSHIP_MESSAGE, which the core's own limits exclude */
export function encodeMembership(message: MembershipMessage): Uint8Array {
  const bytes = Wire.encode({
    kind: kinds.indexOf(message.kind) + 1,
    epoch: message.epoch,
    incarnation: message.incarnation,
    records: message.records.map(toWire),
    ...('probe' in message ? { probe: message.probe } : {}),
    ...('target' in message ? { target: message.target } : {}),
    ...('digest' in message ? { digest: message.digest } : {}),
    ...('reply' in message ? { reply: message.reply } : {})
  })
  if (bytes.length > MAX_MEMBERSHIP_MESSAGE) {
    throw new TooLargeError(`membership message of ${bytes.length} bytes: at most ${MAX_MEMBERSHIP_MESSAGE} may be sent`)
  }
  return bytes
}

function toWire(record: MemberRecord): WireRecord {
  return {
    ...record,
    state: states.indexOf(record.state),
    version: record.version as Uint8Array<ArrayBuffer>,
    proof: record.proof as Uint8Array<ArrayBuffer>
  }
}

/** @throws MalformedError for anything but one whole message within every limit of record.ts */
export function decodeMembership(bytes: Uint8Array): MembershipMessage {
  if (bytes.length > MAX_MEMBERSHIP_MESSAGE) {
    throw new MalformedError(`membership message of ${bytes.length} bytes: at most ${MAX_MEMBERSHIP_MESSAGE} are taken`)
  }
  let wire: Wire
  try {
    wire = Wire.decode(bytes, { limits: { records: MAX_RECORDS_PER_MESSAGE } })
  } catch (error) {
    throw new MalformedError(`membership message of ${bytes.length} bytes is not protobuf of this form: ${String(error)}`, { cause: error })
  }
  const kind = kinds[wire.kind - 1]
  const { probe, digest, reply } = wire
  const head = { ...life(wire, 'sender'), records: wire.records.map(fromWire) }
  switch (kind) {
    case 'ping':
      return { ...head, kind, probe }
    case 'ack':
      return { ...head, kind, probe, target: wire.target === '' ? '' : name(wire.target, 'target') }
    case 'ask':
    case 'nack':
      return { ...head, kind, probe, target: name(wire.target, 'target') }
    case 'digest':
      return { ...head, kind, digest }
    case 'state':
      return { ...head, kind, reply }
    case 'news':
      return { ...head, kind }
    default:
      throw new MalformedError(`membership message has kind ${wire.kind}: 1 to ${kinds.length} are known`)
  }
}

function fromWire(wire: WireRecord): MemberRecord {
  const state = states[wire.state]
  if (state === undefined) throw new MalformedError(`membership record has state ${wire.state}: 0 to ${states.length - 1} are known`)
  return {
    peer: name(wire.peer, 'peer'),
    ...life(wire, 'record'),
    state,
    addresses: addresses(wire.addresses),
    version: part(wire.version, MAX_VERSION_BYTES, 'version'),
    by: wire.by === '' ? '' : name(wire.by, 'by'),
    proof: part(wire.proof, MAX_PROOF_BYTES, 'proof')
  }
}

function life(wire: { epoch: number; incarnation: number }, what: string): { epoch: number; incarnation: number } {
  const { epoch, incarnation } = wire
  if (!(Number.isInteger(epoch) && epoch >= 0 && epoch <= MAX_EPOCH && incarnation <= MAX_INCARNATION)) {
    throw new MalformedError(`membership ${what} has life ${epoch}/${incarnation}: epochs go to ${MAX_EPOCH}`)
  }
  return { epoch, incarnation }
}

function name(text: string, what: string): string {
  if (text === '' || Buffer.byteLength(text) > MAX_PEER_BYTES) {
    throw new MalformedError(`membership ${what} has ${text.length} characters: give a peer id of 1 to ${MAX_PEER_BYTES} bytes`)
  }
  return text
}

function addresses(texts: string[]): string[] {
  if (texts.length > MAX_ADDRESSES) throw new MalformedError(`membership record has ${texts.length} addresses: at most ${MAX_ADDRESSES}`)
  for (const text of texts) {
    if (text === '' || Buffer.byteLength(text) > MAX_ADDRESS_BYTES) {
      throw new MalformedError(`membership address has ${text.length} characters: give 1 to ${MAX_ADDRESS_BYTES} bytes`)
    }
  }
  return texts
}

/** A copy: the frame that `bytes` is a view of shall not live as long as the member. */
function part(bytes: Uint8Array, max: number, what: string): Uint8Array {
  if (bytes.length > max) throw new MalformedError(`membership ${what} has ${bytes.length} bytes: at most ${max} are taken`)
  return bytes.slice()
}
